/**
 * A Postfix with its own configuration, queue and log under one folder, as root. Must not know what
 * the tests want of it.
 */
import { copyFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { Dialogue } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { runPeer } from "./peers.ts";

/** A port that it listens on, with what is different there: `-o name=value` of master.cf. */
export interface PostfixService {
  readonly port: number;
  readonly options?: Readonly<Record<string, string>>;
}

/** Make one for a test file; `stop` removes all of it. */
export class PrivatePostfix {
  readonly folder = Deno.makeTempDirSync({ prefix: "postern-postfix-" });

  /** Starts with these lines of main.cf besides its own. */
  async start(services: readonly PostfixService[], settings: readonly string[]): Promise<void> {
    const { folder } = this;
    await Deno.chmod(folder, 0o755);
    for (const part of ["etc", "spool", "data"]) await Deno.mkdir(`${folder}/${part}`);
    const owner = /^postfix:[^:]*:(\d+):(\d+):/m.exec(readFileSync("/etc/passwd", "utf8"));
    await Deno.chown(`${folder}/data`, Number(owner?.[1]), Number(owner?.[2]));
    for (const name of readdirSync("/etc/postfix")) {
      const isMap = name === "dynamicmaps.cf" || name === "postfix-files";
      if (isMap) copyFileSync(`/etc/postfix/${name}`, `${folder}/etc/${name}`);
    }
    await Deno.writeTextFile(
      `${folder}/etc/main.cf`,
      [
        "compatibility_level = 3.6",
        `queue_directory = ${folder}/spool`,
        `data_directory = ${folder}/data`,
        "command_directory = /usr/sbin",
        "daemon_directory = /usr/lib/postfix/sbin",
        "myhostname = postfix.test",
        "mydestination =",
        "mynetworks = 127.0.0.0/8",
        "inet_interfaces = 127.0.0.1",
        "inet_protocols = ipv4",
        "smtp_dns_support_level = disabled",
        "smtp_host_lookup = native",
        "smtpd_peername_lookup = no",
        "in_flow_delay = 0",
        "alias_maps =",
        "alias_database =",
        `maillog_file = ${folder}/log`,
        `maillog_file_prefixes = ${folder}`,
        ...settings,
        "",
      ].join("\n"),
    );
    const shipped = readFileSync("/usr/share/postfix/master.cf.dist", "utf8");
    const listeners = services.map(({ port, options = {} }) =>
      [
        `127.0.0.1:${port} inet n - n - - smtpd`,
        ...Object.entries(options).map(([name, value]) => `  -o ${name}=${value}`),
      ].join("\n")
    );
    const master = shipped.replace(/^smtp +inet.*smtpd$/m, listeners.join("\n"));
    const postlog = "postlog unix-dgram n - n - 1 postlogd\n";
    await Deno.writeTextFile(
      `${folder}/etc/master.cf`,
      /^postlog /m.test(master) ? master : master + postlog,
    );
    const started = await runPeer("postfix", ["-c", `${folder}/etc`, "start"]);
    if (started.code !== 0) throw new Error(`${started.stderr}\n${this.log()}`);
    await eventually("Postfix answers", async () => {
      const dialogue = new Dialogue(services[0]!.port);
      try {
        return (await dialogue.greeting).startsWith("220 ");
      } finally {
        dialogue.close();
      }
    });
  }

  log(): string {
    return existsSync(`${this.folder}/log`) ? readFileSync(`${this.folder}/log`, "utf8") : "";
  }

  async stop(): Promise<void> {
    await runPeer("postfix", ["-c", `${this.folder}/etc`, "abort"]);
    await Deno.remove(this.folder, { recursive: true });
  }
}
