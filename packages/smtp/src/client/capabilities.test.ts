import { describe, expect, test } from "vitest";
import { parseCapabilities, withoutExtensions } from "./capabilities.ts";

const parse = (...lines: string[]) =>
  parseCapabilities({ code: 250, lines: ["hop.example at your service", ...lines] });

test("everything that is offered", () => {
  const capabilities = parse(
    "PIPELINING",
    "SIZE 52428800",
    "8BITMIME",
    "SMTPUTF8",
    "CHUNKING",
    "BINARYMIME",
    "STARTTLS",
    "AUTH PLAIN login",
    "ENHANCEDSTATUSCODES",
    "DSN",
    "REQUIRETLS",
    "DELIVERBY 240",
    "MT-PRIORITY MIXER",
    "LIMITS RCPTMAX=100 MAILMAX=20 RCPTDOMAINMAX=1",
    "X-OWN a b",
  );
  expect(capabilities).toMatchObject({
    name: "hop.example",
    extended: true,
    pipelining: true,
    size: { maximum: 52_428_800 },
    eightBitMime: true,
    smtpUtf8: true,
    chunking: true,
    binaryMime: true,
    startTls: true,
    auth: ["PLAIN", "LOGIN"],
    enhancedStatusCodes: true,
    dsn: true,
    requireTls: true,
    deliverBy: { minimumSeconds: 240 },
    mtPriority: { profile: "MIXER" },
    limits: { rcptMax: 100, mailMax: 20, rcptDomainMax: 1 },
  });
  expect(capabilities.keywords.get("X-OWN")).toBe("a b");
});

describe("single lines", () => {
  test.each([
    ["SIZE", { size: {} }],
    ["SIZE 0", { size: {} }],
    ["SIZE many", { size: {} }],
    ["size 5", { size: { maximum: 5 } }],
    ["SIZE=5", { size: { maximum: 5 } }],
    ["DELIVERBY", { deliverBy: { minimumSeconds: 0 } }],
    ["MT-PRIORITY", { mtPriority: { profile: "" } }],
    ["AUTH", { auth: [] }],
    ["AUTH=LOGIN PLAIN", { auth: ["LOGIN", "PLAIN"] }],
    ["AUTH PLAIN PLAIN", { auth: ["PLAIN"] }],
    ["LIMITS", { limits: {} }],
    ["LIMITS RCPTMAX=0 MAILMAX=-1 RCPTDOMAINMAX", { limits: {} }],
    ["LIMITS rcptmax=7 FUTURE=x", { limits: { rcptMax: 7 } }],
    ["  PIPELINING", { pipelining: false }],
    ["pipelining  ", { pipelining: true }],
    ["PIPELININGS", { pipelining: false }],
  ])("%j", (line, expected) => expect(parse(line)).toMatchObject(expected));
});

test("AUTH in both spellings counts together", () => {
  expect(parse("AUTH PLAIN", "AUTH=LOGIN PLAIN").auth).toEqual(["PLAIN", "LOGIN"]);
});

test("HELO offers nothing", () => {
  const capabilities = withoutExtensions({ code: 250, lines: ["old.example hello"] });
  expect(capabilities).toMatchObject({ name: "old.example", extended: false, pipelining: false });
  expect(capabilities.keywords.size).toBe(0);
});
