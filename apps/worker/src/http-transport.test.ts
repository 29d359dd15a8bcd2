import { createHmac } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { deliverByHttp } from "./http-transport.ts";
import { Transport } from "./transport.ts";
import { deliveryOf, relayOf, testDelivering } from "./testing/delivering.ts";

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

const servers: Deno.HttpServer[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.shutdown();
});

/** A server that answers as told and keeps what it was asked. */
function serve(answer: (n: number) => Response | Promise<Response> = () => new Response("ok")) {
  const asked: Asked[] = [];
  const options = { port: 0, hostname: "127.0.0.1", onListen: () => {} };
  const server = Deno.serve(options, async (request) => {
    const { method, url, headers } = request;
    asked.push({ method, path: new URL(url).pathname, headers, body: await request.text() });
    return await answer(asked.length);
  });
  servers.push(server);
  return { asked, url: `http://127.0.0.1:${server.addr.port}/inbound` };
}

const relayTo = (url: string, more: Record<string, unknown> = {}) =>
  relayOf({ kind: "http", url, ...more });

test("the content is posted as it stands, the envelope beside it", async () => {
  const { asked, url } = serve(() => new Response("queued\r\nas 7", { status: 202 }));
  const text = "Subject: grün\r\n\r\n.dot\r\nGrüße\r\n";
  const delivery = deliveryOf([
    "a@x.test",
    '"b, c"@x.test',
    "grün@x.test",
    { forwardPath: "d@x.test", treatment: { sourceRoute: ["b.test"] } },
  ], { text, reversePath: "s+t=u@example.org" });
  const attempt = await deliverByHttp(delivery, relayTo(url), testDelivering());
  expect(attempt.verdicts).toEqual([0, 1, 2, 3].map((ordinal) => ({
    ordinal,
    status: "delivered",
    reply: "250 2.0.0 HTTP 202 Accepted: queued as 7",
    owed: "delivered",
  })));
  expect(asked).toHaveLength(2);
  const [{ method, path, headers, body }] = asked as [Asked, Asked];
  expect([method, path, body]).toEqual(["POST", "/inbound", text]);
  expect(headers.get("content-type")).toBe("message/rfc822");
  expect(headers.get("postern-message")).toBe(delivery.messageId);
  expect(headers.get("postern-reverse-path")).toBe("s+t=u@example.org");
  expect(headers.get("postern-forward-path"))
    .toBe("a@x.test,%22b%2C%20c%22@x.test,gr%C3%BCn@x.test");
  expect(headers.get("postern-signature")).toBeNull();
  expect(asked[1]!.headers.get("postern-forward-path")).toBe(
    "@b.test%3Ad@x.test",
  );
});

test("the null reverse-path is empty", async () => {
  const { asked, url } = serve();
  await deliverByHttp(
    deliveryOf(["a@x.test"], { reversePath: "" }),
    relayTo(url),
    testDelivering(),
  );
  expect(asked[0]!.headers.get("postern-reverse-path")).toBe("");
});

test("the idempotency key is the same at each attempt, and another for other recipients", async () => {
  const { asked, url } = serve();
  const relay = relayTo(url, { limits: { recipientsPerMessage: 1 } });
  for (const attempts of [0, 1]) {
    await deliverByHttp(
      deliveryOf(["a@x.test", "b@x.test"], { attempts }),
      relay,
      testDelivering(),
    );
  }
  const keys = asked.map(({ headers }) => headers.get("idempotency-key"));
  expect(keys[0]).toMatch(/^[0-9a-f]{64}$/);
  expect(keys).toEqual([keys[0], keys[1], keys[0], keys[1]]);
  expect(keys[0]).not.toBe(keys[1]);
});

test.each(["small", "large"])(
  "%s content is signed with its envelope and the time",
  async (size) => {
    const { asked, url } = serve();
    const text = `Subject: x\r\n\r\n${"0123456789\r\n".repeat(size === "small" ? 1 : 40_000)}`;
    const bytes = new TextEncoder().encode(text);
    const delivering = testDelivering();
    const delivery = deliveryOf(["a@x.test"], {
      text,
      ...(size === "small" ? {} : { content: undefined, size: bytes.length }),
    });
    delivering.stored.set(delivery.messageId, [
      bytes.subarray(0, 100_000),
      bytes.subarray(100_000),
    ]);
    await deliverByHttp(delivery, relayTo(url, { secret: "s3cret" }), delivering);
    const [{ headers, body }] = asked as [Asked];
    expect(body).toBe(text);
    const [, time, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(
      headers.get("postern-signature")!,
    )!;
    expect(Number(time)).toBe(delivering.time / 1000);
    const signed = [
      time,
      headers.get("idempotency-key"),
      headers.get("postern-reverse-path"),
      headers.get("postern-forward-path"),
      text,
    ].join(".");
    expect(signature).toBe(createHmac("sha256", "s3cret").update(signed).digest("hex"));
  },
);

describe("an answer", () => {
  const answered = async (response: () => Response, delivering = testDelivering()) => {
    const { url } = serve(response);
    const attempt = await deliverByHttp(deliveryOf(["a@x.test"]), relayTo(url), delivering);
    const [{ status, reply }] = attempt.verdicts as [typeof attempt.verdicts[0]];
    return { status, reply, attempt };
  };
  const bodyless = [204, 304];

  test.each([
    ...[200, 201, 202, 204].map((code) => [code, "delivered", false]),
    ...[400, 401, 403, 404, 410, 413, 422].map((code) => [code, "never", false]),
    ...[301, 302, 304, 408, 409, 425, 500, 501].map((code) => [code, "later", false]),
    ...[429, 502, 503, 504].map((code) => [code, "later", true]),
  ] as [number, string, boolean][])(
    "%i: %s (the destination waits: %s)",
    async (code, status, waits) => {
      const result = await answered(() =>
        new Response(bodyless.includes(code) ? null : "why", {
          status: code,
          headers: { location: "http://127.0.0.1:1/" },
        })
      );
      expect(result.status).toBe(status);
      expect(result.reply).toMatch(
        new RegExp(
          `^${{ delivered: "250 2", never: "550 5", later: "451 4" }[status]}\\.0\\.0 HTTP ${code}`,
        ),
      );
      expect(result.attempt.destinationFailure === undefined).toBe(!waits);
    },
  );

  test.each([
    ["120", 120],
    ["Thu, 01 Jan 2026 01:00:00 GMT", 3600],
    ["soon", undefined],
    ["-5", undefined],
  ])("with Retry-After %s", async (value, seconds) => {
    const delivering = testDelivering();
    const headers = { "retry-after": value };
    const { attempt } = await answered(
      () => new Response("", { status: 503, headers }),
      delivering,
    );
    const expected = seconds === undefined ? undefined : delivering.time + seconds * 1000;
    if (value === "-5") {
      expect(attempt.notBefore?.getTime() ?? 0).toBeLessThanOrEqual(delivering.time);
    } else expect(attempt.notBefore?.getTime()).toBe(expected);
  });

  test("of any length is read no further than it is shown", async () => {
    const endless = () =>
      new Response(
        new ReadableStream({
          pull: (controller) =>
            controller.enqueue(new TextEncoder().encode("no \u0007".repeat(100))),
        }),
        { status: 400 },
      );
    const { reply } = await answered(endless);
    expect(reply).toMatch(/^550 5\.0\.0 HTTP 400 Bad Request: no no no/);
    expect(reply.length).toBeLessThan(300);
  });
});

describe("a message that requires TLS", () => {
  const delivery = deliveryOf(["a@x.test", "b@x.test"], { parameters: { requireTls: true } });

  test("bounces rather than go by http", async () => {
    const { asked, url } = serve();
    const { host } = new URL(url);
    const attempt = await deliverByHttp(delivery, relayTo(url), testDelivering());
    const reply = `550 5.7.30 REQUIRETLS: ${host} has no TLS`;
    expect(attempt).toEqual({
      verdicts: [0, 1].map((ordinal) => ({ ordinal, status: "never", reply })),
      facts: { host, relay: "relay", seconds: 0 },
    });
    expect(asked).toEqual([]);
  });

  test("is tried by https", async () => {
    const { url } = serve();
    const relay = relayTo(url.replace("http:", "https:"));
    const attempt = await deliverByHttp(delivery, relay, testDelivering());
    expect(attempt.verdicts[0]).toMatchObject({
      status: "later",
      reply: expect.stringMatching(/^451 4\.4\.1 /),
    });
  });
});

test("a server that is not there makes the destination wait", async () => {
  const { url } = serve();
  await servers.pop()!.shutdown();
  const attempt = await deliverByHttp(deliveryOf(["a@x.test"]), relayTo(url), testDelivering());
  expect(attempt.verdicts[0]).toMatchObject({
    status: "later",
    reply: expect.stringMatching(/^451 4\.4\.1 /),
  });
  expect(attempt.destinationFailure).toBeDefined();
});

test("content that cannot be read is no fault of the server's, and what was delivered stays so", async () => {
  const { asked, url } = serve();
  let reads = 0;
  const damaged = new Error("of 100 bytes of content 14 are in the store");
  const queue = {
    async *readContent() {
      yield new TextEncoder().encode("Subject: x\r\n\r\n");
      if (++reads > 1) throw damaged;
      yield new Uint8Array(86);
    },
  };
  const attempt = await deliverByHttp(
    deliveryOf(["a@x.test", "b@x.test"], { content: undefined, size: 100 }),
    relayTo(url, { limits: { recipientsPerMessage: 1 } }),
    { ...testDelivering(), queue: queue as never },
  );
  expect(attempt.verdicts.map(({ ordinal, status }) => [ordinal, status])).toEqual([
    [0, "delivered"],
  ]);
  expect(attempt.error).toBe(damaged);
  expect(attempt.destinationFailure).toBeUndefined();
  expect(asked[0]!.body).toHaveLength(100);
});

test("a server that does not answer in time is not waited for", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  const { url } = serve(() => promise);
  const relay = relayTo(url, { timeout: 1 });
  const delivery = deliveryOf([...Array(60).keys()].map((n) => `r${n}@x.test`));
  const attempt = await deliverByHttp(delivery, relay, testDelivering());
  resolve(new Response());
  expect(attempt.verdicts).toHaveLength(60);
  expect(attempt.verdicts[59]!.reply).toMatch(/no answer within 2 s/);
});

test("a secret that cannot be opened makes the destination wait", async () => {
  const { asked, url } = serve();
  const delivering = {
    ...testDelivering(),
    openSecret: () => Promise.reject(new Error("this worker has no POSTERN_SECRET_KEY")),
  };
  const relay = relayTo(url, { secret: "x" });
  const attempt = await deliverByHttp(deliveryOf(["a@x.test"]), relay, delivering);
  expect(attempt.destinationFailure).toMatch(/no POSTERN_SECRET_KEY/);
  expect(asked).toHaveLength(0);
});

describe("while the claim is not certain", () => {
  test("nothing is posted any more, and what was stays delivered", async () => {
    const { asked, url } = serve();
    const relay = relayTo(url, { limits: { recipientsPerMessage: 1 } });
    const delivery = deliveryOf(["a@x.test", "b@x.test", "c@x.test"]);
    const transport = new Transport(testDelivering());
    const { verdicts, destinationFailure } = await transport.deliver(
      delivery,
      relay,
      () => asked.length === 0,
    );
    const reply = "451 4.3.0 Not posted: the claim was uncertain";
    expect(verdicts).toMatchObject([
      { ordinal: 0, status: "delivered" },
      { ordinal: 1, status: "later", reply },
      { ordinal: 2, status: "later", reply },
    ]);
    expect(destinationFailure).toBeUndefined();
    expect(asked).toHaveLength(1);
  });

  test("content that streams is not ended", async () => {
    const whole: boolean[] = [];
    const options = { port: 0, hostname: "127.0.0.1", onListen: () => {} };
    const server = Deno.serve(options, async (request) => {
      whole.push(await request.text().then(() => true, () => false));
      return new Response("ok");
    });
    servers.push(server);
    const delivering = testDelivering();
    const piece = new TextEncoder().encode("Subject: x\r\n\r\nHello\r\n");
    const delivery = deliveryOf(["a@x.test"], { content: undefined, size: piece.length });
    delivering.stored.set(delivery.messageId, [piece]);
    // It is certain before the request and no more when the content has been read.
    const answers = [true, false];
    const { verdicts } = await deliverByHttp(
      delivery,
      relayTo(`http://127.0.0.1:${server.addr.port}/`),
      delivering,
      () => answers.shift() ?? false,
    );
    expect(verdicts).toMatchObject([{
      status: "later",
      reply: expect.stringContaining("uncertain"),
    }]);
    await server.shutdown();
    expect(whole.filter((one) => one)).toEqual([]);
  });
});
