/** Postgres goes away and comes back: mail is put off meanwhile, and nothing needs a hand afterwards. */
import { startPostgres } from "@postern/postgres";
import { migrate } from "@postern/store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { contentWith, Dialogue, queueIdOf } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { Processes } from "./processes.ts";

const processes = new Processes();
let dataDir = "";
let stop: (() => Promise<void>) | undefined;

async function startDatabase(): Promise<string> {
  const started = await startPostgres({ dataDir, durable: false });
  if (!started.ok) throw new Error(started.problem);
  stop = () => started.stop();
  return started.url;
}

beforeAll(async () => {
  dataDir = await Deno.makeTempDir({ prefix: "postern-away-" });
  await Deno.chmod(dataDir, 0o755);
});

afterAll(async () => {
  try {
    await processes.stop();
  } finally {
    await stop?.();
    await Deno.remove(dataDir, { recursive: true });
  }
});

test("451 4.3.0 after DATA while Postgres is away, accepted again when it is back", async () => {
  const url = await startDatabase();
  await migrate(url);
  // What has no domain is relayed for a client only: a session of a client needs no API here.
  const { default: postgres } = await import("postgres");
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  await sql`insert into configuration_versions (version, author) values (2, 'test')`;
  await sql`insert into configuration_resources (kind, name, body, valid_from)
    values ('clients', 'loopback', ${sql.json({ networks: ["127.0.0.0/8"] })}, 2)`;
  await sql.end();

  const ingress = await processes.start("ingress", {
    DATABASE_URL: url,
    POSTERN_SMTP_LISTEN: "smtp://127.0.0.1:0",
  });
  const port = Number(new URL(ingress.listening[0] ?? "").port);
  const open = new Dialogue(port);
  await open.say("EHLO client.test");
  const mail = (dialogue: Dialogue, subject: string) =>
    dialogue.mail("sender@sender.test", ["user@elsewhere.test"], contentWith(subject));
  const before = queueIdOf(await mail(open, "before"));

  await stop?.();
  stop = undefined;
  // In a session that was open, and in a new one; the configuration last read stays in force.
  expect(await mail(open, "away")).toMatch(/^451 4\.3\.0 /);
  const late = new Dialogue(port);
  expect(await late.greeting).toMatch(/^220 /);
  await late.say("EHLO client.test");
  expect(await mail(late, "away too")).toMatch(/^451 4\.3\.0 /);
  const long = "0123456789abcdef\r\n".repeat(200_000);
  expect(await late.mail("sender@sender.test", ["user@elsewhere.test"], contentWith("long", long)))
    .toMatch(/^451 4\.3\.0 /);

  expect(await startDatabase()).toBe(url);
  const after = await eventually("mail is accepted again", async () => {
    const reply = await mail(open, "back");
    if (!reply.startsWith("250 ")) expect(reply).toMatch(/^451 4\.3\.0 /);
    return reply.startsWith("250 ") && queueIdOf(reply);
  });
  expect(await mail(late, "back too")).toMatch(/^250 2\.0\.0 /);
  open.close();
  late.close();

  const again = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const ids = (await again`select id from messages order by id`).map((row) => row["id"]);
    expect(ids).toHaveLength(3);
    expect(ids.slice(0, 2)).toEqual([before, after]);
    // The same process all the time: it did not die and was not started again.
    await eventually("the ingress is in the books", async () => {
      const rows = await again`select pid from processes where kind = 'ingress'`;
      return rows.some((row) => row["pid"] === ingress.pid);
    });
  } finally {
    await again.end();
  }
});
