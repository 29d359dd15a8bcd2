/** `postern explain`: what would happen to a mail, and why, without sending it. */
import type { AnswerOf, Api } from "@postern/client";
import type { Command } from "commander";
import { bodyOf, openSession } from "../gateway.ts";
import { type Surroundings, UsageError } from "../surroundings.ts";
import { shown } from "../table.ts";

type Explain = Api["v1"]["explain"]["$post"];
type Decision = AnswerOf<Explain>["recipients"][number];
type Request = Parameters<Explain>[0]["json"];

interface Options {
  readonly from: string;
  readonly to: string[];
  readonly client: string;
  readonly helo?: string;
  readonly user?: string;
  readonly tls?: boolean;
  readonly header?: string[];
  readonly size?: string;
  readonly spf?: string;
  readonly dkim?: string;
  readonly dmarc?: string;
}

/** Adds the command. */
export function addExplainCommand(program: Command, surroundings: Surroundings): void {
  program.command("explain")
    .description("what would happen to a mail, and why, without sending it")
    .requiredOption("--from <address>", "the reverse-path; <> for a report")
    .requiredOption("--to <address...>", "the recipients")
    .option("--client <address>", "the IP address it comes from", "127.0.0.1")
    .option("--helo <name>", "what the client calls itself")
    .option("--user <name>", "who authenticated")
    .option("--tls", "the session is in TLS")
    .option("--header <field...>", "a header field, 'Subject: hello'")
    .option("--size <bytes>", "bytes of content")
    .option("--spf <result>", "pass, fail, softfail, …")
    .option("--dkim <result>", "pass, fail, none, …")
    .option("--dmarc <result>", "pass, fail, none, …")
    .action(async (options: Options, command: Command) => {
      const request = requestOf(options);
      const session = await openSession(command, surroundings);
      const { api, take } = session.client;
      const answer = bodyOf(await take(api.v1.explain.$post({ json: request })));
      session.show(
        answer,
        ({ version, recipients }) =>
          `${recipients.map((one) => decisionText(one)).join("\n")}\n` +
          `Decided by version ${version} of the configuration\n`,
      );
    });
}

function requestOf(options: Options): Request {
  const { from, to, client, helo, user, tls, header, size, spf, dkim, dmarc } = options;
  const results = Object.entries({ spf, dkim, dmarc }).filter(([, value]) => value !== undefined);
  if (size !== undefined && !/^\d+$/.test(size)) {
    throw new UsageError(`--size ${size}: expected a number of bytes`);
  }
  return {
    client: { address: client, ...(helo && { helo }), ...(tls && { tls }) },
    ...(user && { user }),
    reversePath: from,
    recipients: to,
    ...(size !== undefined && { size: Number(size) }),
    ...(header && {
      header: header.map((field) => {
        const colon = field.indexOf(":");
        if (colon < 1) throw new UsageError(`--header ${field}: expected NAME: VALUE`);
        return { name: field.slice(0, colon), value: field.slice(colon + 1).trim() };
      }),
    }),
    // Which results there are, the API says.
    ...(results.length > 0 &&
      { authentication: Object.fromEntries(results) as NonNullable<Request["authentication"]> }),
  };
}

function decisionText(decision: Decision, indent = ""): string {
  const { recipient, action, rule, reasons, copies = [] } = decision;
  const ifKnown = decision["ifKnown"] as Decision | undefined;
  const known = ["recipient", "action", "rule", "reasons", "copies", "ifKnown"];
  const others = Object.entries(decision).filter(([key]) => !known.includes(key));
  const lines = [
    `${recipient}: ${action}${rule === null ? "" : `, by rule ${rule}`}`,
    ...others.filter(([, value]) => value !== null).map(([key, value]) =>
      `  ${key}: ${valueText(value)}`
    ),
    ...copies.map(copyText),
    "  because",
    ...reasons.map(({ kind, ...about }, index) =>
      `  ${String(index + 1).padStart(3)}. ${kind}${
        Object.entries(about).filter(([, value]) => value !== null && value !== undefined)
          .map(([key, value]) => `  ${key}=${valueText(value)}`).join("")
      }`
    ),
  ];
  const text = lines.map((line) => `${indent}${shown(line)}\n`).join("");
  return ifKnown === undefined
    ? text
    : `${text}${indent}  if the recipient exists:\n${decisionText(ifKnown, `${indent}    `)}`;
}

/** Where one copy goes and what is done to it on the way. */
function copyText(copy: NonNullable<Decision["copies"]>[number]): string {
  const { forwardPath, relay, nextHop, kind, hold, tags, treatment } = copy;
  const treated = Object.entries(treatment ?? {}).map(([name, value]) =>
    `, ${name} ${valueText(value)}`
  );
  return `  ${hold ? "held for" : "to"} ${valueText(forwardPath)}` +
    ` by relay ${valueText(relay)} (${valueText(kind)})` +
    (nextHop ? `, next hop ${valueText(nextHop)}` : "") +
    (hold ? `, because: ${valueText(hold)}` : "") +
    (Array.isArray(tags) && tags.length > 0 ? `, tags ${tags.join(" ")}` : "") +
    treated.join("");
}

function valueText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
