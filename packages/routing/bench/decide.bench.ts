/**
 * How long compiling and deciding take with 100,000 domains and 1,000 rules, on one core:
 * `deno run bench/decide.bench.ts`. Each figure is the best of several runs.
 */
import {
  clientSchema,
  type Configuration,
  type Domain,
  domainSchema,
  relaySchema,
  type Rule,
  ruleSchema,
} from "@postern/config";
import { compile, decide, type RecipientFacts } from "../src/index.ts";

const DOMAINS = 100_000;
const RULES = 1_000;
const RUNS = 7;

const domains = new Map<string, Domain>();
for (let at = 0; at < DOMAINS; at += 1) {
  const name = at % 10 === 0 ? `*.d${at}.example` : `d${at}.example`;
  const aliases = at % 5 === 0 ? { info: [`a@d${at}.example`, `b@d${at}.example`] } : undefined;
  domains.set(name, domainSchema.parse({ relay: "in", ...(aliases ? { aliases } : {}) }));
}

/** Mostly rules about certain domains and addresses, as people have them; some look at every mail. */
const rules = new Map<string, Rule>();
for (let at = 0; at < RULES; at += 1) {
  const match = at % 100 === 0
    ? { header: { name: "Subject", value: { regex: `(lottery|prize) number ${at}` } } }
    : at % 100 === 1
    ? { helo: { wildcard: `*.spam${at}.example` } }
    : at % 4 === 0
    ? { forwardPath: `user@d${at}.example` }
    : at % 4 === 1
    ? { all: [{ domain: `d${at}.example` }, { header: { name: "X-Spam", value: "yes" } }] }
    : at % 4 === 2
    ? { reversePath: { wildcard: `*@d${at}.example` } }
    : { client: [`client${at % 50}`] };
  rules.set(
    `rule${at}`,
    ruleSchema.parse({ order: at, match, actions: [{ do: "tag", tag: "t" }] }),
  );
}

const configuration: Configuration = {
  version: 1,
  relays: new Map([["in", relaySchema.parse({ kind: "smtp", hosts: [{ host: "10.0.0.5" }] })]]),
  domains,
  clients: new Map(
    Array.from({ length: 50 }, (_, at) => [
      `client${at}`,
      clientSchema.parse({ networks: [`10.${at}.0.0/16`] }),
    ]),
  ),
  users: new Map(),
  rules,
  settings: new Map(),
};

function best(work: () => number): number {
  let least = Infinity;
  for (let run = 0; run < RUNS; run += 1) {
    const start = performance.now();
    const done = work();
    least = Math.min(least, (performance.now() - start) / done);
  }
  return least;
}

function report(name: string, value: number, unit: string, target: number) {
  const verdict = value <= target ? "ok" : "ABOVE TARGET";
  console.log(
    `${name.padEnd(52)} ${value.toFixed(2).padStart(9)} ${unit}  (≤ ${target}: ${verdict})`,
  );
}

report(
  `compile ${DOMAINS} domains, ${RULES} rules`,
  best(() => {
    compile(configuration);
    return 1;
  }),
  "ms",
  1000,
);
const snapshot = compile(configuration);
const changed = { ...configuration, domains: new Map(domains) };
report(
  "compile again after one domain changed",
  best(() => {
    changed.domains.set("d1.example", domainSchema.parse({ relay: "in" }));
    compile(changed);
    return 1;
  }),
  "ms",
  1000,
);

const header = [
  { name: "From", value: "someone@out.test" },
  { name: "Subject", value: "Minutes of the meeting of the second week of November" },
  {
    name: "Received",
    value: "from out.test by mx.test with ESMTP id 1; Tue, 24 Nov 2026 12:00:00",
  },
];
const time = new Date("2026-11-24T12:00:00Z");
const factsOf = (at: number, content: boolean): RecipientFacts => ({
  session: { address: "203.0.113.9", tls: false, helo: "mail.out.test", client: undefined },
  reversePath: "someone@out.test",
  forwardPath: at % 10 === 0
    ? `user@x.d${at}.example`
    : at % 5 === 0
    ? `info@d${at}.example`
    : `user@d${at}.example`,
  time,
  hostname: "mx.test",
  ...(content ? { content: { size: 4000, header: [...header] } } : {}),
});

for (const content of [false, true]) {
  const some = Array.from({ length: 20_000 }, (_, at) => factsOf((at * 7919) % DOMAINS, content));
  for (const explain of [false, true]) {
    const asked = explain ? some.slice(0, 500) : some;
    const milliseconds = best(() => {
      for (const facts of asked) decide(snapshot, facts, { explain });
      return asked.length;
    });
    const name = `${explain ? "explain" : "decide"} ${content ? "with content" : "at RCPT"}`;
    report(name, milliseconds * 1000, "µs", explain ? 5000 : 20);
  }
}
