/** What comes before the children: the ports, the welcome. */
import { createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { portProblem } from "./ports.ts";
import { welcome } from "./welcome.ts";

describe("ports", () => {
  test("a taken port is told with its variable, a free one and 0 are not", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const wanted = { variable: "POSTERN_SMTP_LISTEN", host: "127.0.0.1", port };
    expect(await portProblem([wanted])).toBe(
      `port ${port} of POSTERN_SMTP_LISTEN is already in use: is another gateway running?`,
    );
    await new Promise<void>((resolve) => server.close(() => resolve()));
    expect(await portProblem([wanted])).toBeUndefined();
    const any = { ...wanted, port: 0 };
    expect(await portProblem([any, any])).toBeUndefined();
    expect(await portProblem([wanted, { ...wanted, variable: "POSTERN_ADMIN_LISTEN" }])).toBe(
      `port ${port} of POSTERN_ADMIN_LISTEN is already in use: POSTERN_SMTP_LISTEN asks for it too`,
    );
  });
});

test("the welcome names real addresses and the token's file", () => {
  const text = welcome({
    smtp: ["smtp://0.0.0.0:2525", "smtps://0.0.0.0:465"],
    api: ["http://127.0.0.1:8025"],
    tokenFile: ".postern/admin-token",
    sandbox: true,
  });
  expect(text).toContain("| curl smtp://localhost:2525 --mail-from you@example.org");
  expect(text).toContain(
    '  curl -H "Authorization: Bearer $(cat .postern/admin-token)" http://localhost:8025/v1/messages\n',
  );
});
