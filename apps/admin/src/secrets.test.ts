/** Secrets through the API: in as text, out as fingerprints, at rest sealed. */
import { importSecretKey, openSecret, verifyPassword } from "@postern/secrets";
import { openConfiguration } from "@postern/store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { unopenedSecrets } from "./sealing.ts";
import { openTestApi, SECRET_KEY, type TestApi } from "./testing/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

const hosts = [{ host: "smart.example.com", port: 587 }];
const relay = (password: unknown) => ({
  kind: "smtp",
  hosts,
  credentials: { username: "gate", password },
});
type Shown = { credentials: { password: { sealed: string } }; password: { sealed: string } };

/** What lies in the store. */
async function kept() {
  const { relays, users } = await openConfiguration(api.database).load();
  return { relays, users };
}

test("a relay's password is stored sealed and never shown", async () => {
  const put = await api.ask<Shown>("PUT", "/v1/relays/smart", { body: relay("hunter2-hunter2") });
  expect(put.status).toBe(201);
  const { sealed } = put.body.credentials.password;
  expect(put.body.credentials.password).toEqual({ sealed: expect.stringMatching(/^[\w-]{16}$/) });

  const stored = (await kept()).relays.get("smart") as unknown as {
    credentials: { password: { box: string } };
  };
  const key = await importSecretKey(SECRET_KEY);
  expect(await openSecret(key, stored.credentials.password)).toBe("hunter2-hunter2");

  for (
    const path of [
      "/v1/relays/smart",
      "/v1/relays",
      "/v1/config",
      "/v1/config/versions/2/diff",
      "/v1/config/versions",
      "/v1/audit",
    ]
  ) {
    const text = JSON.stringify((await api.ask("GET", path)).body);
    expect(text).not.toContain("hunter2");
    expect(text).not.toContain("A256GCM");
  }
  const dump = await api.database.sql`
    select coalesce(string_agg(body::text, ''), '') as text from configuration_resources`;
  expect(dump[0]!.text).not.toContain("hunter2");

  // The same text again changes nothing; the fingerprint keeps what is in force.
  for (const password of ["hunter2-hunter2", { sealed }]) {
    const again = await api.ask<Shown>("PUT", "/v1/relays/smart", { body: relay(password) });
    expect(again.body).toEqual(put.body);
    expect((await kept()).relays.get("smart")).toEqual(stored);
  }
  // Another relay may take it over.
  const copy = await api.ask("PUT", "/v1/relays/copy", { body: relay({ sealed }) });
  expect(copy.status).toBe(201);
  // A new one is another one, and what it changed is shown by fingerprints.
  const next = await api.ask<Shown>("PUT", "/v1/relays/smart", { body: relay("correct horse") });
  expect(next.body.credentials.password.sealed).not.toBe(sealed);
  const { body: [newest] } = await versions();
  const diff = await api.ask<{ changed: unknown[] }>("GET", `/v1/config/versions/${newest}/diff`);
  expect(diff.body.changed).toEqual([{
    kind: "relays",
    name: "smart",
    changes: [{
      pointer: "/credentials/password/sealed",
      from: sealed,
      to: next.body.credentials.password.sealed,
    }],
  }]);
});

async function versions() {
  const { body } = await api.ask<{ items: { version: number }[] }>("GET", "/v1/config/versions");
  return { body: body.items.map(({ version }) => version) };
}

test.each([
  [{ sealed: "unknown" }, "no secret in force has this fingerprint: give the text"],
  [
    { sealed: "unknown", box: "A256GCM:AAAA" },
    "box is never given: give the text, or the fingerprint alone",
  ],
])("%j is refused where it stands", async (password, detail) => {
  const put = await api.ask("PUT", "/v1/relays/wrong", { body: relay(password) });
  expect(put).toMatchObject({
    status: 422,
    body: { errors: [{ pointer: "/credentials/password", detail }] },
  });
});

test("OAuth2 and HTTP secrets are sealed too", async () => {
  const oauth2 = {
    tokenUrl: "https://login.example.com/token",
    clientId: "gate",
    clientSecret: "client-secret-1",
    refreshToken: "refresh-token-1",
  };
  const body = { kind: "smtp", hosts, credentials: { username: "gate", oauth2 } };
  const put = await api.ask("PUT", "/v1/relays/oauth", { body });
  expect(put.body).toMatchObject({
    credentials: {
      oauth2: {
        clientSecret: { sealed: expect.any(String) },
        refreshToken: { sealed: expect.any(String) },
      },
    },
  });
  const http = { kind: "http", url: "https://hook.example.com/", secret: "signing-key-1" };
  expect((await api.ask("PUT", "/v1/relays/hook", { body: http })).body)
    .toMatchObject({ secret: { sealed: expect.any(String) } });
  const text = JSON.stringify([...(await kept()).relays.values()]);
  for (const secret of ["client-secret-1", "refresh-token-1", "signing-key-1"]) {
    expect(text).not.toContain(secret);
  }
});

test("of a user's password only a verifier is kept", async () => {
  const put = (name: string, password: unknown) =>
    api.ask<Shown>("PUT", `/v1/users/${name}`, { body: { password } });
  const alice = await put("alice", "correct horse");
  expect(alice.body.password).toEqual({ sealed: expect.any(String) });
  const { password } = (await kept()).users.get("alice") as { password: { box: string } };
  expect(await verifyPassword(password.box, "correct horse")).toBe(true);
  expect(await verifyPassword(password.box, "wrong horse")).toBe(false);
  // That two users have the same password does not show.
  const bob = await put("bob", "correct horse");
  expect(bob.body.password.sealed).not.toBe(alice.body.password.sealed);
  expect((await put("alice", { sealed: alice.body.password.sealed })).status).toBe(200);
  expect((await kept()).users.get("alice")).toMatchObject({ password });

  const carol = await put("carol", { scram: password.box });
  expect(carol.status).toBe(201);
  expect(JSON.stringify(carol.body)).not.toContain("SCRAM");
  expect((await kept()).users.get("carol")).toMatchObject({ password: { box: password.box } });
  expect((await put("dave", "short")).status).toBe(422);
});

test("under another key, each secret that cannot be opened is named, and can be set anew", async () => {
  const configuration = await openConfiguration(api.database).load();
  expect(await unopenedSecrets(configuration, await importSecretKey(SECRET_KEY))).toEqual([]);
  const other = await importSecretKey(new Uint8Array(32).fill(1));
  expect((await unopenedSecrets(configuration, other)).toSorted()).toEqual([
    "relay copy, /credentials/password",
    "relay hook, /secret",
    "relay oauth, /credentials/oauth2/clientSecret",
    "relay oauth, /credentials/oauth2/refreshToken",
    "relay smart, /credentials/password",
  ]);
});
