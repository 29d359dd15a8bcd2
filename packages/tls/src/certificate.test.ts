import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StartError } from "@postern/process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listeningLog } from "../../../tests/log.ts";
import { checkCertificate, openCertificate } from "./index.ts";
import { makeSelfSigned } from "./self-signed.ts";

const now = new Date("2026-11-24T12:00:00Z");
let one: string;
let other: string;
let folder: string;
beforeAll(async () => {
  one = await makeSelfSigned("mx.example.com", now);
  other = await makeSelfSigned("mx.example.org", now);
  folder = await mkdtemp(join(tmpdir(), "postern-tls-"));
});
afterAll(() => rm(folder, { recursive: true }));

interface Said {
  readonly message: string;
}
function recordingLog() {
  const said: Said[] = [];
  return { said, log: listeningLog((message) => said.push({ message })) };
}

describe("a certificate of our own making", () => {
  test("is for the host name, for ten years, and its key belongs to it", () => {
    const { cert, subject, validTo, serverEndPoint } = checkCertificate(one, one);
    expect(subject).toBe("CN=mx.example.com");
    expect(validTo.toISOString()).toBe("2036-11-23T12:00:00.000Z");
    const parsed = new X509Certificate(cert);
    expect(parsed.checkHost("mx.example.com")).toBe("mx.example.com");
    expect(parsed.verify(parsed.publicKey)).toBe(true);
    expect(Array.from(serverEndPoint, (byte) => byte.toString(16).padStart(2, "0")).join(":"))
      .toBe(parsed.fingerprint256.toLowerCase());
  });

  test("a long name has its place, too", async () => {
    const name = `${"a".repeat(60)}.${"b".repeat(60)}.example.com`;
    const text = await makeSelfSigned(name, now);
    expect(new X509Certificate(checkCertificate(text, text).cert).checkHost(name)).toBe(name);
  });

  test("is made once by all who start at once, and kept", async () => {
    const { log } = recordingLog();
    const dataDir = join(folder, "kept");
    const environment = { tls: undefined, dataDir, hostname: "mx.test" };
    const open = () => openCertificate(environment, log, () => now);
    const sources = await Promise.all([open(), open(), open()]);
    sources.push(await open());
    expect(new Set(sources.map(({ current }) => current.cert)).size).toBe(1);
    const { mode } = await Deno.stat(join(dataDir, "tls-certificate.pem"));
    expect(mode! & 0o777).toBe(0o600);
  });

  test("serves one process where it cannot be kept", async () => {
    const { log, said } = recordingLog();
    const dataDir = "/proc/nowhere";
    const source = await openCertificate(
      { tls: undefined, dataDir, hostname: "mx.test" },
      log,
      () => now,
    );
    expect(source.current.subject).toBe("CN=mx.test");
    expect(said[0]?.message).toContain("for this process alone");
  });
});

describe("what cannot be used is told", () => {
  test.each([
    ["no certificate", () => ["", one], /certificate cannot be read/],
    ["no key", () => [one, "nothing"], /key cannot be read/],
    ["another's key", () => [one, other], /does not belong/],
    [
      "a broken chain",
      () => [`${one}\n${one.replace(/MII.{20}/, "MIIAAAA")}`, one],
      /of the chain/,
    ],
  ])("%s", (_, texts, problem) => {
    const [cert, key] = texts() as [string, string];
    expect(() => checkCertificate(cert, key)).toThrow(problem);
  });
});

describe("certificates in files", () => {
  const paths = () => ({ certFile: join(folder, "cert.pem"), keyFile: join(folder, "key.pem") });
  const write = async (cert: string, key: string) => {
    await writeFile(paths().certFile, cert);
    await writeFile(paths().keyFile, key);
  };
  const open = (log = recordingLog().log) =>
    openCertificate({ tls: paths(), dataDir: folder, hostname: "mx.test" }, log, () => now);

  test("a new one comes into force, a bad one does not", async () => {
    await write(one, one);
    const { log, said } = recordingLog();
    const source = await open(log);
    const used: string[] = [];
    source.onChange(({ subject }) => used.push(subject));
    await source.reload();
    expect(used).toEqual([]);
    await write(other, one);
    await source.reload();
    expect(source.current.subject).toBe("CN=mx.example.com");
    expect(said.at(-1)?.message).toBe("the new certificate is not used");
    await write(other, other);
    await source.reload();
    expect(used).toEqual(["CN=mx.example.org"]);
    expect(source.current.subject).toBe("CN=mx.example.org");
    source.stop();
  });

  test("a bad one at start ends the start", async () => {
    await write(one, other);
    await expect(open()).rejects.toThrow(StartError);
    await rm(paths().certFile);
    await expect(open()).rejects.toThrow(/POSTERN_TLS_CERT_FILE .* cannot be read/);
  });
});
