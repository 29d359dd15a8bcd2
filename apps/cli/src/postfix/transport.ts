/** Transports of Postfix, `transport:nexthop` (transport(5)), as relays of Postern's. */
import { relaySchema } from "@postern/config";
import type { PostfixSource } from "./source.ts";

type Place = { readonly file: string; readonly line: number };

/** A relay definition as REST takes it. */
export type RelayDefinition = Readonly<Record<string, unknown>> & { readonly kind: string };

/** The most characters that the text of a refusal may have. */
const LONGEST_TEXT = 400;

/** The relays that an import makes: equal ones once, under a name that tells what they are. */
export class Relays {
  readonly definitions: Record<string, RelayDefinition> = {};
  readonly #source: PostfixSource;

  constructor(source: PostfixSource) {
    this.#source = source;
  }

  /**
   * The name of the relay for a transport; undefined, with a remark, when Postern has none like it.
   *
   * @param fallback the transport where the entry names none
   */
  relayOf(text: string, fallback: string, place: Place): string | undefined {
    const [, named = "", nextHop = ""] = /^([^:]*):?(.*)$/s.exec(text.trim()) ?? [];
    const [, fallbackName = "", fallbackHop = ""] = /^([^:]*):?(.*)$/s.exec(fallback) ?? [];
    const transport = named === "" ? fallbackName : named;
    const hop = (nextHop.trim() || (named === "" ? fallbackHop : "")).trim();
    const program = this.#source.program(transport);
    switch (program) {
      case "smtp":
      case "lmtp":
        return this.#toHosts(program, hop, place);
      case "discard":
        return this.#named("discard", { kind: "discard" }, place);
      case "error": {
        if (transport === "retry" || /^4\.\d/.test(hop)) {
          const what = transport === "retry" ? transport : text.trim();
          this.#source.remark(place, `${what}: mail is refused for good here, not for a while`);
        }
        return this.#named("reject", { kind: "reject", ...refusalOf(hop) }, place);
      }
      default:
        this.#source.remark(
          place,
          `transport ${transport} is left out: there is no relay like ${program}`,
        );
        return undefined;
    }
  }

  /** Makes the relay of this name the one for all that has no domain. */
  makeDefault(name: string): void {
    const definition = this.definitions[name]!;
    delete this.definitions[name];
    this.definitions["default"] = definition;
  }

  #toHosts(kind: "smtp" | "lmtp", hop: string, place: Place): string | undefined {
    if (hop === "" && kind === "smtp") return this.#named("mx", { kind: "mx" }, place);
    if (hop.startsWith("unix:")) {
      this.#source.remark(place, `${hop} is left out: next hops are reached by TCP`);
      return undefined;
    }
    const hosts = [];
    // Postfix takes several, by commas, to be tried in order (smtp(8)).
    for (const one of hop.replace(/^inet:/, "").split(/[\s,]+/).filter((part) => part !== "")) {
      const [, bracketed, plain, service] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\w+))?$/.exec(one) ??
        [];
      const host = bracketed?.replace(/^ipv6:/i, "") ?? plain;
      const port = service === undefined ? (kind === "lmtp" ? 24 : 25) : portOf(service);
      if (host === undefined || port === undefined) {
        this.#source.remark(place, `next hop ${one} is left out: it is no [host]:port`);
        return undefined;
      }
      if (bracketed === undefined && kind === "smtp" && !/^[\d.]+$/.test(host)) {
        this.#source.remark(
          place,
          `${one} has no brackets: Postfix asks for its MX, Postern connects to the host itself`,
        );
      }
      hosts.push({ host, port });
    }
    if (hosts.length === 0) {
      this.#source.remark(place, `${kind} without a next hop is left out`);
      return undefined;
    }
    return this.#named(`${kind}-${hosts[0]!.host}-${hosts[0]!.port}`, { kind, hosts }, place);
  }

  #named(wanted: string, definition: RelayDefinition, place: Place): string | undefined {
    // One that the API refuses must not stand in the document, nor may anything point at it.
    const error = relaySchema.safeParse(definition).error;
    if (error !== undefined) {
      const why = error.issues.map(({ path, message }) => `${path.join(".")} ${message}`.trim());
      this.#source.remark(place, `relay ${wanted} is left out: ${why.join("; ")}`);
      return undefined;
    }
    const base = wanted.toLowerCase().replaceAll(/[^a-z0-9._-]+/g, "-").slice(0, 55)
      .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, "");
    const standing = this.definitions["default"];
    if (JSON.stringify(standing) === JSON.stringify(definition)) return "default";
    for (let number = 1;; number++) {
      const name = number === 1 ? base : `${base}-${number}`;
      const known = this.definitions[name];
      if (known === undefined) this.definitions[name] = definition;
      if (known === undefined || JSON.stringify(known) === JSON.stringify(definition)) return name;
    }
  }
}

/** What `error:5.1.1 no such user` refuses with; what no reply can hold is taken out of the words. */
export function refusalOf(text: string): { enhanced?: string; text?: string } {
  const [, status = "", rest = ""] = /^(?:([45]\.\d{1,3}\.\d{1,3})\s*)?(.*)$/s.exec(text) ?? [];
  const words = rest.replaceAll(/\p{Cc}+/gu, " ").slice(0, LONGEST_TEXT).trim();
  return {
    ...(status.startsWith("5") && { enhanced: status }),
    ...(words !== "" && { text: words }),
  };
}

function portOf(service: string): number | undefined {
  const known: Record<string, number> = { smtp: 25, submission: 587, smtps: 465, lmtp: 24 };
  const port = known[service] ?? Number(service);
  return Number.isInteger(port) && port > 0 && port < 65536 ? port : undefined;
}
