/**
 * A Dovecot with its own configuration, mailboxes and log under one folder, as root: LMTP, and SASL
 * for a Postfix. Must not know what the tests want of it.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { Dialogue } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { pathOf } from "./peers.ts";

/** Make one for a test file; `stop` removes all of it. */
export class PrivateDovecot {
  readonly folder = Deno.makeTempDirSync({ prefix: "postern-dovecot-" });
  #process: Deno.ChildProcess | undefined;

  /** Starts with these users, each with a mailbox and this password. */
  async start(
    { lmtpPort, saslPort, users, password, mechanisms }: {
      readonly lmtpPort: number;
      readonly saslPort: number;
      readonly users: readonly string[];
      readonly password: string;
      readonly mechanisms: readonly string[];
    },
  ): Promise<void> {
    const { folder } = this;
    await Deno.chmod(folder, 0o755);
    await Deno.mkdir(`${folder}/mail`);
    await Deno.chmod(`${folder}/mail`, 0o777);
    const lines = users.map((user) => `${user}:{PLAIN}${password}:65534:65534::${folder}/mail::`);
    await Deno.writeTextFile(`${folder}/users`, `${lines.join("\n")}\n`);
    await Deno.writeTextFile(
      `${folder}/dovecot.conf`,
      `
base_dir = ${folder}/run
log_path = ${folder}/log
protocols = lmtp
ssl = no
listen = 127.0.0.1
first_valid_uid = 1
first_valid_gid = 1
auth_mechanisms = ${mechanisms.join(" ")}
auth_username_format = %Ln
passdb {
  driver = passwd-file
  args = ${folder}/users
}
userdb {
  driver = passwd-file
  args = ${folder}/users
}
mail_location = maildir:${folder}/mail/%n
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${lmtpPort}
  }
}
service auth {
  inet_listener {
    address = 127.0.0.1
    port = ${saslPort}
  }
}
`,
    );
    this.#process = new Deno.Command(pathOf("dovecot"), {
      args: ["-F", "-c", `${folder}/dovecot.conf`],
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    await eventually("Dovecot answers", async () => {
      const dialogue = new Dialogue(lmtpPort);
      try {
        return (await dialogue.greeting).startsWith("220 ");
      } finally {
        dialogue.close();
      }
    }).catch((error) => {
      throw new Error(this.log(), { cause: error });
    });
  }

  /** The messages in a user's mailbox. */
  mailbox(user: string): string[] {
    const folder = `${this.folder}/mail/${user}/new`;
    if (!existsSync(folder)) return [];
    return readdirSync(folder).map((name) => readFileSync(`${folder}/${name}`, "utf8"));
  }

  log(): string {
    return existsSync(`${this.folder}/log`) ? readFileSync(`${this.folder}/log`, "utf8") : "";
  }

  async stop(): Promise<void> {
    this.#process?.kill("SIGTERM");
    await this.#process?.status;
    await Deno.remove(this.folder, { recursive: true });
  }
}
