import { expect, test } from "vitest";
import { HostMemory } from "./host-memory.ts";

function memory() {
  let time = 0;
  return {
    hosts: new HostMemory(() => new Date(time)),
    pass: (seconds: number) => time += seconds * 1000,
  };
}

const [a, b, c] = ["a", "b", "c"].map((host) => ({ host, port: 25 })) as [
  { host: string; port: number },
  { host: string; port: number },
  { host: string; port: number },
];

test("a host that could not be connected to comes after the others for a minute", () => {
  const { hosts, pass } = memory();
  hosts.shun(a);
  expect(hosts.inOrder([a, b, c])).toEqual([b, c, a]);
  hosts.shun(b);
  expect(hosts.inOrder([a, b, c])).toEqual([c, a, b]);
  pass(59);
  expect(hosts.inOrder([a, b])).toEqual([a, b]);
  expect(hosts.inOrder([a, c])).toEqual([c, a]);
  pass(1);
  expect(hosts.inOrder([a, c])).toEqual([a, c]);
});

test("a host that answers again is forgiven; another port is another host; case is no matter", () => {
  const { hosts } = memory();
  hosts.shun({ host: "A", port: 25 });
  expect(hosts.inOrder([a, b])).toEqual([b, a]);
  expect(hosts.inOrder([{ host: "a", port: 24 }, b])).toEqual([{ host: "a", port: 24 }, b]);
  hosts.forgive(a);
  expect(hosts.inOrder([a, b])).toEqual([a, b]);
});

test("a host that cannot do TLS is spoken to in clear for ten minutes", () => {
  const { hosts, pass } = memory();
  expect(hosts.tlsProblem(a)).toBeUndefined();
  hosts.goInClear(a, "no");
  expect(hosts.tlsProblem(a)).toBe("no");
  expect(hosts.tlsProblem(b)).toBeUndefined();
  pass(600);
  expect(hosts.tlsProblem(a)).toBeUndefined();
});

test("it never remembers more than its capacity", () => {
  const { hosts } = memory();
  for (let n = 0; n <= 10_000; n++) hosts.goInClear({ host: `h${n}`, port: 25 }, "no");
  expect(hosts.tlsProblem({ host: "h0", port: 25 })).toBeUndefined();
  expect(hosts.tlsProblem({ host: "h1", port: 25 })).toBe("no");
  expect(hosts.tlsProblem({ host: "h10000", port: 25 })).toBe("no");
});
