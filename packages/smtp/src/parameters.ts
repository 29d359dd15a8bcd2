/**
 * The ESMTP parameters of MAIL and RCPT (RFC 5321 §4.1.2 `esmtp-param`): one table each, a row a
 * parameter, that says when it is known and how its value is read.
 *
 * This file must not know states; what is usable now is handed in as the offer.
 */
import type { Body, MailParameters, Notify, RcptParameters } from "./envelope.ts";
import { parseMailbox } from "./path.ts";
import { type Reply, reply } from "./reply.ts";
import type { Offer } from "./server/offer.ts";
import { quoteInReply, replies } from "./server/replies.ts";
import { instantOf } from "./instant.ts";
import { decodeUtf8Address, decodeXtext } from "./xtext.ts";

/** What the parameters are judged by. */
export interface ParameterContext {
  readonly offer: Offer;
  /** The largest content in bytes; `Infinity` for none. */
  readonly messageSize: number;
  /** Whether the AUTH parameter is believed (RFC 4954 §5). */
  readonly believeAuth: boolean;
}

type Draft<T> = { -readonly [name in keyof T]: T[name] };

interface Row<T> {
  /** Whether the parameter is known with this offer. */
  readonly known: (offer: Offer) => boolean;
  /** `never`: stands alone; `always`: needs a value. */
  readonly value: "never" | "always";
  /** Puts the value into the draft; false where it is not valid; a reply where that says more. */
  readonly read: (value: string, draft: Draft<T>, context: ParameterContext) => boolean | Reply;
}

type Table<T> = ReadonlyMap<string, Row<T>>;

const mailTable: Table<MailParameters> = new Map<string, Row<MailParameters>>([
  ["SIZE", {
    known: (offer) => offer.size,
    value: "always",
    read(value, draft, { messageSize }) {
      if (!/^\d{1,20}$/.test(value)) return false;
      draft.size = Number(value);
      return draft.size > messageSize ? replies.tooBig : true;
    },
  }],
  ["BODY", {
    known: (offer) => offer.eightBitMime,
    value: "always",
    read(value, draft, { offer }) {
      const body = bodies[value.toUpperCase()];
      if (body === undefined || (body === "BINARYMIME" && !offer.binaryMime)) return false;
      draft.body = body;
      return true;
    },
  }],
  ["SMTPUTF8", {
    known: (offer) => offer.smtpUtf8,
    value: "never",
    read(_value, draft) {
      draft.smtpUtf8 = true;
      return true;
    },
  }],
  ["RET", {
    known: (offer) => offer.dsn,
    value: "always",
    read(value, draft) {
      const ret = value.toUpperCase();
      if (ret !== "FULL" && ret !== "HDRS") return false;
      draft.ret = ret;
      return true;
    },
  }],
  ["ENVID", {
    known: (offer) => offer.dsn,
    value: "always",
    read(value, draft) {
      // RFC 3461 §4.4: at most 100 characters of xtext that stand for printable ASCII.
      const id = value.length > 100 ? undefined : decodeXtext(value);
      if (id === undefined || !/^[ -~]+$/.test(id)) return false;
      draft.envelopeId = id;
      return true;
    },
  }],
  ["REQUIRETLS", {
    known: (offer) => offer.requireTls,
    value: "never",
    read(_value, draft) {
      draft.requireTls = true;
      return true;
    },
  }],
  ["BY", {
    known: (offer) => offer.deliverBy !== false,
    value: "always",
    read(value, draft, { offer }) {
      const parts = /^([+-]?\d{1,9});([NR])(T?)$/i.exec(value);
      if (parts === null) return false;
      const seconds = Number(parts[1]);
      const mode = parts[2]!.toUpperCase() === "R" ? "return" : "notify";
      const minimum = offer.deliverBy === false ? 0 : offer.deliverBy.minimumSeconds;
      if (mode === "return" && seconds <= 0) {
        return reply(501, "5.5.4", "BY with R needs a positive time");
      }
      if (mode === "return" && seconds < minimum) {
        return reply(501, "5.5.4", `BY with R needs at least ${minimum} seconds`);
      }
      draft.deliverBy = { seconds, mode, trace: parts[3] !== "" };
      return true;
    },
  }],
  ["HOLDFOR", {
    known: (offer) => offer.futureRelease !== false,
    value: "always",
    read(value, draft, { offer }) {
      if (!/^[1-9]\d{0,8}$/.test(value) || draft.holdUntil !== undefined) return false;
      const maximum = offer.futureRelease === false ? 0 : offer.futureRelease.maximumSeconds;
      draft.holdFor = Number(value);
      return draft.holdFor <= maximum ||
        reply(501, "5.5.4", `HOLDFOR is above ${maximum} seconds`);
    },
  }],
  ["HOLDUNTIL", {
    known: (offer) => offer.futureRelease !== false,
    value: "always",
    read(value, draft, { offer }) {
      const instant = instantOf(value);
      if (instant === undefined || draft.holdFor !== undefined) return false;
      const latest = offer.futureRelease === false ? "" : offer.futureRelease.latest;
      draft.holdUntil = value.toUpperCase();
      return instant <= (instantOf(latest) ?? Infinity) ||
        reply(501, "5.5.4", `HOLDUNTIL is after ${latest}`);
    },
  }],
  ["MT-PRIORITY", {
    known: (offer) => offer.mtPriority !== false,
    value: "always",
    read(value, draft) {
      if (!/^-?\d$/.test(value)) return reply(501, "5.5.2", "MT-PRIORITY is -9 to 9");
      draft.priority = Number(value) || 0;
      return true;
    },
  }],
  ["AUTH", {
    known: (offer) => offer.authParameter,
    value: "always",
    read(value, draft, { believeAuth }) {
      const submitter = value.length > 500 ? undefined : decodeXtext(value);
      if (submitter === undefined) return false;
      if (submitter !== "<>" && "fault" in parseMailbox(submitter)) return false;
      draft.auth = believeAuth ? submitter : "<>";
      return true;
    },
  }],
]);

const bodies: { readonly [name: string]: Body | undefined } = {
  "7BIT": "7BIT",
  "8BITMIME": "8BITMIME",
  BINARYMIME: "BINARYMIME",
};

const rcptTable: Table<RcptParameters> = new Map<string, Row<RcptParameters>>([
  ["NOTIFY", {
    known: (offer) => offer.dsn,
    value: "always",
    read(value, draft) {
      const notify = readNotify(value.toUpperCase());
      if (notify === undefined) return false;
      draft.notify = notify;
      return true;
    },
  }],
  ["ORCPT", {
    known: (offer) => offer.dsn,
    value: "always",
    read(value, draft) {
      const parts = /^([A-Za-z0-9-]+);(.+)$/u.exec(value);
      if (value.length > 500 || parts === null) return false;
      const type = parts[1]!.toLowerCase();
      const address = type === "utf-8" ? decodeUtf8Address(parts[2]!) : decodeXtext(parts[2]!);
      // RFC 3461 §4.2: printable characters; line ends here would end up in reports.
      // deno-lint-ignore no-control-regex
      if (address === undefined || /[\x00-\x1f\x7f]/.test(address)) return false;
      draft.originalRecipient = { type, address };
      return true;
    },
  }],
]);

function readNotify(value: string): Notify | undefined {
  if (value === "NEVER") return "NEVER";
  const wanted: ("SUCCESS" | "FAILURE" | "DELAY")[] = [];
  for (const part of value.split(",")) {
    if (part !== "SUCCESS" && part !== "FAILURE" && part !== "DELAY") return undefined;
    if (wanted.includes(part)) return undefined;
    wanted.push(part);
  }
  return wanted;
}

/** Parameters that were read, or the reply that refuses them. */
export type ParsedParameters<T> = { readonly parameters: T } | { readonly refusal: Reply };

/** Reads what follows the path of MAIL; `text` is empty or begins with a space. */
export function parseMailParameters(
  text: string,
  context: ParameterContext,
): ParsedParameters<MailParameters> {
  return parse("MAIL FROM", mailTable, text, context);
}

/** Reads what follows the path of RCPT; `text` is empty or begins with a space. */
export function parseRcptParameters(
  text: string,
  context: ParameterContext,
): ParsedParameters<RcptParameters> {
  return parse("RCPT TO", rcptTable, text, context);
}

const none = { parameters: {} } as const;
const parameter = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u0080-\u{10ffff}]+))?$/u;

function parse<T extends object>(
  command: string,
  table: Table<T>,
  text: string,
  context: ParameterContext,
): ParsedParameters<T> {
  if (text === "") return none as ParsedParameters<T>;
  const draft = {} as Draft<T>;
  const seen = new Set<string>();
  for (const word of text.split(" ")) {
    if (word === "") continue;
    const parts = parameter.exec(word);
    if (parts === null) {
      return refuse(501, `Malformed parameter ${quoteInReply(word)}`);
    }
    const keyword = parts[1]!.toUpperCase();
    const value = parts[2];
    const row = table.get(keyword);
    if (row === undefined || !row.known(context.offer)) {
      return refuse(555, `${command} parameter ${quoteInReply(keyword)} not recognized`);
    }
    if (seen.has(keyword)) return refuse(501, `${keyword} given twice`);
    seen.add(keyword);
    if ((value === undefined) !== (row.value === "never")) {
      const lack = value === undefined ? "needs a value" : "takes no value";
      return refuse(501, `${keyword} ${lack}`);
    }
    const outcome = row.read(value ?? "", draft, context);
    if (outcome === false) return refuse(501, `Invalid value of ${keyword}`);
    if (outcome !== true) return { refusal: outcome };
  }
  return { parameters: draft };
}

function refuse(code: 501 | 555, text: string): { readonly refusal: Reply } {
  return { refusal: reply(code, "5.5.4", text) };
}
