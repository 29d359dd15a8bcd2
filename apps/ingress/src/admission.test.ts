import { clientSchema, settingsSchema, userSchema } from "@postern/config";
import { compile } from "@postern/routing";
import { expect, test } from "vitest";
import { Admission } from "./admission.ts";

const empty = {
  version: 1,
  domains: new Map(),
  relays: new Map(),
  clients: new Map(),
  users: new Map(),
  rules: new Map(),
  settings: new Map(),
};

function settings(smtp: object) {
  return new Map([["gateway", settingsSchema.parse({ smtp })]]);
}

const limits = { connections: 2 };
const snapshot = compile({
  ...empty,
  clients: new Map([["lan", clientSchema.parse({ networks: ["10.0.0.0/8"], limits })]]),
  users: new Map([["anna", userSchema.parse({ limits })]]),
  settings: settings({ sessionsPerIngress: 4, sessionsPerAddress: 1 }),
});

const at = (address: string, client?: string, user?: string) => ({
  address,
  client,
  user,
  tls: false,
  helo: "",
});

test("a client has as many sessions as its limit, wherever they come from", () => {
  const admission = new Admission();
  const [a, b, c, d] = [1, 2, 3, 4].map(() => admission.open(snapshot));
  expect(a!.take(snapshot, at("10.0.0.1", "lan"))).toBeUndefined();
  expect(b!.take(snapshot, at("10.0.0.2", "lan"))).toBeUndefined();
  expect(c!.take(snapshot, at("10.0.0.3", "lan"))).toMatchObject({ code: 421, enhanced: "4.7.0" });
  a!.leave();
  expect(d!.take(snapshot, at("10.0.0.3", "lan"))).toBeUndefined();
});

test("a session is counted anew when more is known of it, and never twice", () => {
  const admission = new Admission();
  const [a, b, c, d] = [1, 2, 3, 4].map(() => admission.open(snapshot));
  for (let again = 0; again < 3; again += 1) {
    expect(a!.take(snapshot, at("10.0.0.1", "lan", "anna"))).toBeUndefined();
  }
  expect(b!.take(snapshot, at("192.0.2.1", undefined, "anna"))).toBeUndefined();
  expect(c!.take(snapshot, at("192.0.2.1", undefined, "anna"))).toMatchObject({ code: 421 });
  expect(d!.take(snapshot, at("192.0.2.1"))).toBeUndefined();
  a!.leave();
  a!.leave();
  expect(admission.size).toBe(2);
  expect(d!.take(snapshot, at("192.0.2.1", undefined, "anna"))).toBeUndefined();
});

test("strangers have one limit for each address; clients and users are not counted there", () => {
  const admission = new Admission();
  const [a, b, c, d] = [1, 2, 3, 4].map(() => admission.open(snapshot));
  expect(a!.take(snapshot, at("192.0.2.1"))).toBeUndefined();
  expect(b!.take(snapshot, at("192.0.2.1"))).toMatchObject({ code: 421, enhanced: "4.7.0" });
  expect(c!.take(snapshot, at("192.0.2.2"))).toBeUndefined();
  expect(d!.take(snapshot, at("192.0.2.1", undefined, "anna"))).toBeUndefined();
});

test("an ingress has so many sessions in all; one more disturbs none that is in", () => {
  const admission = new Admission();
  const places = [1, 2, 3, 4].map(() => admission.open(snapshot));
  expect(places[0]!.take(snapshot, at("192.0.2.1"))).toBeUndefined();
  const refused = admission.open(snapshot);
  expect(refused.take(snapshot, at("192.0.2.5"))).toMatchObject({ code: 421, enhanced: "4.3.2" });
  // The refused one has not closed its side yet, and the first says EHLO, another its preamble.
  expect(places[0]!.take(snapshot, at("192.0.2.1"))).toBeUndefined();
  expect(places[3]!.take(snapshot, at("192.0.2.4"))).toBeUndefined();
  refused.leave();
  expect(admission.size).toBe(4);
  places[1]!.leave();
  expect(admission.open(snapshot).take(snapshot, at("192.0.2.6"))).toBeUndefined();
});

test("who is refused for other limits frees the place at once", () => {
  const admission = new Admission();
  const [a, b] = [admission.open(snapshot), admission.open(snapshot)];
  expect(a.take(snapshot, at("192.0.2.1"))).toBeUndefined();
  expect(b.take(snapshot, at("192.0.2.1"))).toMatchObject({ code: 421 });
  expect(admission.size).toBe(1);
  b.leave();
  expect(admission.size).toBe(1);
});

/** How many of 100 sessions from an address are taken where nobody has set a limit. */
function taken(address: string, client?: string): number {
  const admission = new Admission();
  const snapshot = compile({
    ...empty,
    clients: new Map([["lan", clientSchema.parse({ networks: ["192.0.2.0/24"] })]]),
  });
  let count = 0;
  while (count < 100 && !admission.open(snapshot).take(snapshot, at(address, client))) count += 1;
  return count;
}

test.each(["198.51.100.1", "11.0.0.1", "172.32.0.1", "2001:db8::1", "fec0::1"])(
  "where no limit is set, %s has fifty sessions, as any address of the internet",
  (address) => expect(taken(address)).toBe(50),
);

test.each([
  "10.1.2.3",
  "100.64.1.1",
  "127.0.0.1",
  "169.254.1.1",
  "172.31.255.1",
  "192.168.1.1",
  "::1",
  "fd00::1",
  "fe80::1%eth0",
])(
  "where no limit is set, %s has as many as it likes: it may be a balancer",
  (address) => expect(taken(address)).toBe(100),
);

test("where no limit is set, neither a client has one, wherever it is", () => {
  expect(taken("192.0.2.1", "lan")).toBe(100);
});
