/**
 * A private Postfix as the yardstick, tuned for this load: on loopback, with its own configuration,
 * spool and log. Needs Debian's postfix package and root; the system's own Postfix, if one runs, is
 * left alone.
 */
import { freePort, type MailServer, run } from "./mail-server.ts";

const PROGRAM = "/usr/sbin/postfix";

/** Why Postfix cannot be measured here; undefined when it can. */
export async function postfixProblem(): Promise<string | undefined> {
  if (Deno.uid() !== 0) return "Postfix is started by root only: run the benchmark as root";
  try {
    await Deno.stat(PROGRAM);
  } catch {
    return "Postfix is not installed: apt-get install --no-install-recommends postfix";
  }
  return undefined;
}

function mainCf(folder: string, sinkPort: number): string {
  return `compatibility_level = 3.6
queue_directory = ${folder}/spool
data_directory = ${folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.bench.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:${sinkPort}
alias_maps =
alias_database =
smtputf8_enable = no
message_size_limit = 52428800
maillog_file = ${folder}/log
maillog_file_prefixes = ${folder}
# No lookups, no pauses, many processes, many sessions to the one destination.
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
in_flow_delay = 0
default_process_limit = 100
default_destination_concurrency_limit = 20
initial_destination_concurrency = 20
smtp_connection_cache_on_demand = yes
qmgr_message_active_limit = 40000
qmgr_message_recipient_limit = 40000
smtpd_client_connection_count_limit = 0
smtpd_recipient_limit = 1000
`;
}

/** Starts it; `folder` must be absolute and must not exist. */
export async function startPostfix(folder: string, sinkPort: number): Promise<MailServer> {
  const port = freePort();
  const etc = `${folder}/etc`;
  for (const path of [folder, etc, `${folder}/spool`, `${folder}/data`]) {
    await Deno.mkdir(path, { recursive: true, mode: 0o755 });
  }
  await run("chown", ["postfix", `${folder}/data`]);
  for await (const { name } of Deno.readDir("/etc/postfix")) {
    if (/^(dynamicmaps\.cf|postfix-files)/.test(name)) {
      await run("cp", ["-r", `/etc/postfix/${name}`, `${etc}/`]);
    }
  }
  await Deno.writeTextFile(`${etc}/main.cf`, mainCf(folder, sinkPort));
  const services = (await Deno.readTextFile("/usr/share/postfix/master.cf.dist"))
    .replace(/^smtp +inet.*smtpd$/m, `127.0.0.1:${port} inet n - n - - smtpd`);
  const postlog = /^postlog/m.test(services) ? "" : "postlog unix-dgram n - n - 1 postlogd\n";
  await Deno.writeTextFile(`${etc}/master.cf`, `${services}${postlog}`);
  await run(PROGRAM, ["-c", etc, "set-permissions"]).catch(() => {});
  await run(PROGRAM, ["-c", etc, "start"]);
  return {
    name: "Postfix",
    port,
    roots: () => [Number(Deno.readTextFileSync(`${folder}/spool/pid/master.pid`))],
    stop: async () => {
      await run(PROGRAM, ["-c", etc, "stop"]);
      await Deno.remove(folder, { recursive: true });
    },
  };
}
