import { connect as connectPlain, createServer, type Server, type Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CertificateSource, openCertificate } from "@postern/tls";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { listeningLog } from "../../../tests/log.ts";
import { type HandshakeFailure, type Secured, TlsAcceptor } from "./tls-acceptor.ts";

let folder: string;
let source: CertificateSource;
let acceptor: TlsAcceptor;
let server: Server;
let port: number;
/** What became of each connection, in the order they came. */
let outcomes: Promise<Secured | HandshakeFailure>[];
let milliseconds = 5_000;
const open: (Socket | TLSSocket)[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "postern-acceptor-"));
  const own = await openCertificate(
    { tls: undefined, dataDir: folder, hostname: "one.test" },
    listeningLog(),
    () => new Date(),
  );
  await writeFile(join(folder, "cert.pem"), own.current.cert);
  await writeFile(join(folder, "key.pem"), own.current.key);
  const tls = { certFile: join(folder, "cert.pem"), keyFile: join(folder, "key.pem") };
  source = await openCertificate(
    { tls, dataDir: folder, hostname: "x" },
    listeningLog(),
    () => new Date(),
  );
  acceptor = new TlsAcceptor(source);
  server = createServer({ allowHalfOpen: true }, (socket) => {
    open.push(socket);
    outcomes.push(acceptor.accept(socket, { askCertificate: false, milliseconds }));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  port = (server.address() as { port: number }).port;
});
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy();
});
afterAll(async () => {
  source.stop();
  server.close();
  await rm(folder, { recursive: true });
});

/** Connects in TLS; answers the client's socket. */
function secure(): Promise<TLSSocket> {
  outcomes = [];
  return new Promise((resolve, reject) => {
    const options = { port, host: "127.0.0.1", servername: "one.test", rejectUnauthorized: false };
    const socket = connect(options, () => resolve(socket));
    socket.on("error", reject);
    open.push(socket);
  });
}

/** Connects in clear, and says this. */
function plain(text: string): Socket {
  outcomes = [];
  const socket = connectPlain(port, "127.0.0.1", () => void socket.write(text));
  socket.on("error", () => {}).resume();
  open.push(socket);
  return socket;
}

async function outcome(): Promise<Secured | HandshakeFailure> {
  await expect.poll(() => outcomes.length).toBe(1);
  return await outcomes[0]!;
}

test("bytes go both ways, and the facts are those the client sees", async () => {
  const client = await secure();
  const got = await outcome();
  if ("problem" in got) throw new Error(got.problem);
  expect(got.facts).toEqual({
    protocol: client.getProtocol(),
    cipher: client.getCipher().standardName,
    serverName: "one.test",
  });
  got.socket.on("data", (bytes: Uint8Array) => got.socket.write(bytes));
  client.write("echo");
  const echoed = await new Promise((resolve) =>
    client.once("data", (bytes) => resolve(`${bytes}`))
  );
  expect(echoed).toBe("echo");
  const [binding] = got.information.channelBindings!;
  expect(binding).toEqual({ type: "tls-server-end-point", data: source.current.serverEndPoint });
});

test("what is no handshake ends the connection, and the next one works", async () => {
  const closed = new Promise((resolve) => plain("EHLO a.test\r\n").on("close", resolve));
  expect(await outcome()).toHaveProperty("problem");
  await closed;
  await secure();
  expect(await outcome()).toHaveProperty("facts");
});

test("a client that says nothing has the handshake's time and no more", async () => {
  milliseconds = 100;
  plain("");
  expect(await outcome()).toEqual({ problem: "the handshake timed out" });
  milliseconds = 5_000;
});

test.each<[string, (client: Socket) => void]>([
  ["closes", (client) => client.destroy()],
  ["half-closes", (client) => client.end()],
  ["resets", (client) => client.resetAndDestroy()],
])("a client that %s in the handshake is noticed at once", async (_name, leave) => {
  milliseconds = 600_000;
  for (const text of ["", "\x16\x03\x01\x02\x00\x01"]) {
    const client = plain(text);
    await expect.poll(() => outcomes.length).toBe(1);
    leave(client);
    expect(await outcomes[0]).toHaveProperty("problem");
  }
  milliseconds = 5_000;
});

test("in TLS, a client may still half-close and hear the answer", async () => {
  const client = await secure();
  const got = await outcome();
  if ("problem" in got) throw new Error(got.problem);
  const { socket } = got;
  socket.resume().on("end", () => void socket.end("answer"));
  const answer = new Promise((resolve) => client.once("data", (bytes) => resolve(`${bytes}`)));
  client.end("question");
  expect(await answer).toBe("answer");
});

test("a new certificate is shown to those who come then", async () => {
  const other = await openCertificate(
    { tls: undefined, dataDir: join(folder, "other"), hostname: "two.test" },
    listeningLog(),
    () => new Date(),
  );
  await writeFile(join(folder, "cert.pem"), other.current.cert);
  await writeFile(join(folder, "key.pem"), other.current.key);
  await source.reload();
  const client = await secure();
  expect(client.getPeerCertificate().subject.CN).toBe("two.test");
  const got = await outcome();
  if ("problem" in got) throw new Error(got.problem);
  expect(got.information.channelBindings![0]!.data).toEqual(other.current.serverEndPoint);
});
