/** What the children may do, as Deno is told. */
import { readEnvironment, StartError } from "@postern/process";
import { expect, test } from "vitest";
import { gatewayChildren } from "./children.ts";

function environment() {
  const read = readEnvironment({}, { hostname: () => "gateway.test", terminal: false });
  if (!read.ok) throw new Error(read.problems.join());
  return read.environment;
}

test("a socket is read and written, by all children", () => {
  for (const { args } of gatewayChildren(environment(), "postgres://a:b@%2Frun%2Fpg/c")) {
    expect(args).toContain("--allow-write=/run/pg/.s.PGSQL.5432");
    expect(args.find((one) => one.startsWith("--allow-read="))).toContain("/run/pg/.s.PGSQL.5432");
  }
});

test("a path with a comma is refused, as Deno would make two of it", () => {
  const children = () => gatewayChildren(environment(), "postgres://a:b@%2Frun%2Fa,b/c");
  expect(children).toThrow(StartError);
  expect(children).toThrow("the path /run/a,b/.s.PGSQL.5432 has a comma");
});
