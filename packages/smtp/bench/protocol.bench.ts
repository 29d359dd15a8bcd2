/**
 * How fast the protocol core is on one core, without sockets: `deno run bench/protocol.bench.ts`.
 *
 * Each figure is the best of several runs, so that what else the machine does disturbs it least.
 */
import {
  ClientSession,
  createDotStuffer,
  type Envelope,
  ServerSession,
  type Transaction,
} from "../src/index.ts";

const encoder = new TextEncoder();

interface Figure {
  readonly name: string;
  readonly unit: string;
  /** What is asked for; absent where the figure is for information. */
  readonly target?: number;
  /** Does the work once; returns how many units were done. */
  readonly run: () => number;
}

const runs = 7;

function best({ run }: Figure): number {
  let rate = 0;
  for (let at = 0; at < runs; at++) {
    const start = performance.now();
    const done = run();
    rate = Math.max(rate, done / ((performance.now() - start) / 1000));
  }
  return rate;
}

function repeated(text: string, size: number): Uint8Array {
  const line = encoder.encode(text);
  const bytes = new Uint8Array(size - size % line.length);
  for (let at = 0; at < bytes.length; at += line.length) bytes.set(line, at);
  return bytes;
}

const chunkSize = 65_536;

function chunksOf(bytes: Uint8Array): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += chunkSize) {
    chunks.push(bytes.subarray(at, at + chunkSize));
  }
  return chunks;
}

const size = 64 * 1024 * 1024;
const prose = chunksOf(repeated(`${"The quick brown fox. ".repeat(3)}jumps over\r\n`, size));
const base64 = chunksOf(repeated(`${"QUJD".repeat(19)}\r\n`, size));
const dots = chunksOf(repeated(`.${"dot ".repeat(18)}\r\n`, size));
const megabytes = (chunks: readonly Uint8Array[]) =>
  chunks.reduce((sum, chunk) => sum + chunk.length, 0) / 1e6;

function stuff(chunks: readonly Uint8Array[]): number {
  const stuffer = createDotStuffer();
  const out: Uint8Array[] = [];
  for (const chunk of chunks) {
    stuffer.write(chunk, out);
    out.length = 0;
  }
  stuffer.end();
  return megabytes(chunks);
}

/** A server that says yes to everything; returns the bytes of content it was given. */
function serve(session: ServerSession): number {
  let content = 0;
  for (let action = session.next(); action !== undefined; action = session.next()) {
    if (action.type === "content") content += action.bytes.length;
    else if (session.question !== undefined) session.accept();
  }
  return content;
}

function openServer(): ServerSession {
  const session = new ServerSession({ hostname: "hop.example", limits: { commands: Infinity } });
  session.start();
  serve(session);
  session.receive(encoder.encode("EHLO client.example\r\n"));
  serve(session);
  return session;
}

/** What a pipelining client sends for one message that is given up after RCPT: five commands. */
const group = encoder.encode(
  "MAIL FROM:<sender@example.com> SIZE=4096 BODY=8BITMIME\r\nRCPT TO:<one@example.org>\r\n" +
    "RCPT TO:<two@example.org> NOTIFY=FAILURE\r\nNOOP\r\nRSET\r\n",
);

function answerCommands(): number {
  const session = openServer();
  const groups = 8000;
  for (let at = 0; at < groups; at++) {
    session.receive(group);
    serve(session);
  }
  return groups * 5;
}

function receiveContent(verb: "DATA" | "BDAT", chunks: readonly Uint8Array[]): number {
  const session = openServer();
  session.configure({ limits: { messageSize: Infinity } });
  session.receive(encoder.encode("MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\n"));
  if (verb === "DATA") session.receive(encoder.encode("DATA\r\n"));
  let got = serve(session);
  for (const chunk of chunks) {
    if (verb === "BDAT") session.receive(encoder.encode(`BDAT ${chunk.length}\r\n`));
    session.receive(chunk);
    got += serve(session);
  }
  session.receive(encoder.encode(verb === "DATA" ? ".\r\n" : "BDAT 0 LAST\r\n"));
  got += serve(session);
  const expected = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (got < expected * 0.95) throw new Error(`${got} of ${expected} bytes arrived`);
  return megabytes(chunks);
}

const envelope: Envelope = {
  reversePath: "sender@example.com",
  parameters: {},
  recipients: [{ forwardPath: "one@example.org", parameters: {} }],
};
const message = prose[0]!.subarray(0, 4096);
const transaction: Transaction = { envelope, contentSize: message.length };
const envelopeReplies = encoder.encode("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End with dot\r\n");
const verdict = encoder.encode("250 2.0.0 Ok: queued as 4ZQxXy0000\r\n");

function deliver(): number {
  const session = new ClientSession({ ehloName: "client.example" });
  const drain = () => {
    for (let action = session.next(); action !== undefined; action = session.next()) {
      if (action.type === "needContent") {
        session.content(message);
        session.endOfContent();
      }
    }
  };
  session.receive(encoder.encode("220 hop.example\r\n"));
  session.receive(encoder.encode("250-hop.example\r\n250-PIPELINING\r\n250 SIZE 9999999\r\n"));
  drain();
  const transactions = 50_000;
  for (let at = 0; at < transactions; at++) {
    session.deliver(transaction);
    drain();
    session.receive(envelopeReplies);
    drain();
    session.receive(verdict);
    drain();
  }
  return transactions;
}

const figures: readonly Figure[] = [
  { name: "server: commands answered", unit: "/s", target: 300_000, run: answerCommands },
  {
    name: "server: DATA, prose",
    unit: "MB/s",
    target: 800,
    run: () => receiveContent("DATA", prose),
  },
  {
    name: "server: DATA, base64",
    unit: "MB/s",
    target: 800,
    run: () => receiveContent("DATA", base64),
  },
  { name: "server: BDAT", unit: "MB/s", target: 800, run: () => receiveContent("BDAT", prose) },
  { name: "client: transactions of 4 KB", unit: "/s", run: deliver },
  { name: "client: dot-stuffing, prose", unit: "MB/s", target: 800, run: () => stuff(prose) },
  { name: "client: dot-stuffing, base64", unit: "MB/s", target: 800, run: () => stuff(base64) },
  { name: "client: dot-stuffing, a dot a line", unit: "MB/s", run: () => stuff(dots) },
];

for (const figure of figures) {
  let shown: string;
  try {
    shown = `${Math.round(best(figure)).toLocaleString("en")} ${figure.unit}`;
  } catch (error) {
    shown = `(${error instanceof Error ? error.message : error})`;
  }
  const wanted = figure.target === undefined
    ? ""
    : `   (wanted: ${figure.target.toLocaleString("en")})`;
  console.log(`${figure.name.padEnd(36)} ${shown.padStart(18)}${wanted}`);
}
