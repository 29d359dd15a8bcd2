/** How many sessions a client and an ingress may have, by real connections. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Dialogue } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { Gateway } from "./gateway.ts";

const gateway = new Gateway();
let port = 0;
const open: Dialogue[] = [];

beforeAll(async () => {
  await gateway.start({});
  ({ port } = await gateway.startIngress());
});

afterEach(() => {
  for (const dialogue of open.splice(0)) dialogue.close();
});

afterAll(() => gateway.stop());

async function greeting(): Promise<string> {
  const dialogue = new Dialogue(port);
  open.push(dialogue);
  return await dialogue.greeting;
}

/** The change is in force when a session too many is told so. */
async function refusedAfter(sessions: number): Promise<string> {
  return await eventually("one session is too many", async () => {
    for (const dialogue of open.splice(0)) dialogue.close();
    for (let count = 0; count < sessions; count += 1) {
      if (!(await greeting()).startsWith("220 ")) return undefined;
    }
    const last = await greeting();
    return last.startsWith("421 ") && last;
  });
}

test("a client has its limit, which a change lifts while the others' sessions go on", async () => {
  await gateway.put("/v1/clients/local", { networks: ["127.0.0.0/8"], limits: { connections: 2 } });
  expect(await refusedAfter(2)).toMatch(/^421 4\.7\.0 Too many sessions of yours/);
  await gateway.put("/v1/clients/local", { networks: ["127.0.0.0/8"], limits: { connections: 3 } });
  await eventually("the third may come", async () => (await greeting()).startsWith("220 "));
  expect(await open[0]!.say("EHLO client.test")).toMatch(/^250-gateway\.test/);
});

test("an ingress has its limit", async () => {
  await gateway.put("/v1/clients/local", { networks: ["127.0.0.0/8"] });
  await gateway.put("/v1/settings", { smtp: { sessionsPerIngress: 4 } });
  expect(await refusedAfter(4)).toMatch(/^421 4\.3\.2 Too many sessions/);
  expect(await open[0]!.say("EHLO client.test")).toMatch(/^250-gateway\.test/);
  open.pop()!.close();
  open.pop()!.close();
  await eventually("a place is free", async () => (await greeting()).startsWith("220 "));
});
