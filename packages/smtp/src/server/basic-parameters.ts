/** Reads the ESMTP parameters of MAIL and RCPT (RFC 5321 §4.1.2). */
import type { MailParameters, Notify, RcptParameters } from "../envelope.ts";
import { type Reply, reply } from "../reply.ts";
import { decodeUtf8Address, decodeXtext } from "../xtext.ts";

/** The parameters, or the reply that refuses them. */
export type ParametersRead<P> =
  | { readonly parameters: P; readonly refusal?: undefined }
  | { readonly refusal: Reply };

type Reader<P> = (value: string) => Partial<P> | undefined;

const mailReaders: { readonly [keyword: string]: Reader<MailParameters> } = {
  SIZE: (value) => /^\d{1,20}$/.test(value) ? { size: Number(value) } : undefined,
  BODY: (value) =>
    value.toUpperCase() === "7BIT"
      ? { body: "7BIT" }
      : value.toUpperCase() === "8BITMIME"
      ? { body: "8BITMIME" }
      : undefined,
  SMTPUTF8: (value) => value === "" ? { smtpUtf8: true } : undefined,
  RET: (value) => {
    const ret = value.toUpperCase();
    return ret === "FULL" || ret === "HDRS" ? { ret } : undefined;
  },
  ENVID: (value) => {
    const envelopeId = decodeXtext(value);
    return envelopeId && envelopeId.length <= 100 ? { envelopeId } : undefined;
  },
};

const rcptReaders: { readonly [keyword: string]: Reader<RcptParameters> } = {
  NOTIFY: (value) => {
    const words = value.toUpperCase().split(",");
    if (words.length === 1 && words[0] === "NEVER") return { notify: "NEVER" };
    const known = words.every((word) => /^(SUCCESS|FAILURE|DELAY)$/.test(word));
    return known && new Set(words).size === words.length ? { notify: words as Notify } : undefined;
  },
  ORCPT: (value) => {
    const semicolon = value.indexOf(";");
    const type = value.slice(0, semicolon).toLowerCase();
    const text = value.slice(semicolon + 1);
    const address = type === "utf-8" ? decodeUtf8Address(text) : decodeXtext(text);
    return semicolon > 0 && address ? { originalRecipient: { type, address } } : undefined;
  },
};

/** Reads the parameters of MAIL. */
export const readMailParameters = (text: string) => read(text, mailReaders);

/** Reads the parameters of RCPT. */
export const readRcptParameters = (text: string) => read(text, rcptReaders);

function read<P>(
  text: string,
  readers: { readonly [keyword: string]: Reader<P> },
): ParametersRead<P> {
  const seen = new Set<string>();
  let parameters = {};
  for (const word of text.split(" ").filter((part) => part !== "")) {
    const equals = word.indexOf("=");
    const keyword = (equals < 0 ? word : word.slice(0, equals)).toUpperCase();
    const reader = Object.hasOwn(readers, keyword) ? readers[keyword] : undefined;
    if (reader === undefined) {
      return { refusal: reply(555, "5.5.4", `Parameter not recognised: ${keyword.slice(0, 60)}`) };
    }
    const value = reader(equals < 0 ? "" : word.slice(equals + 1));
    if (value === undefined || seen.has(keyword)) {
      return { refusal: reply(501, "5.5.4", `Parameter not valid: ${keyword.slice(0, 60)}`) };
    }
    seen.add(keyword);
    parameters = { ...parameters, ...value };
  }
  return { parameters: parameters as P };
}
