import { describe, expect, test } from "vitest";
import { databaseProblem } from "./index.ts";

describe("databaseProblem", () => {
  test.each<[unknown, string]>([
    [new Error("connect ENOENT /run/x"), "connect ENOENT /run/x"],
    [Object.assign(new Error(""), { code: "ECONNREFUSED" }), "ECONNREFUSED"],
    [
      new Error("Failed query: select 1", { cause: new Error("too many clients") }),
      "too many clients",
    ],
    [
      new Error("Failed query: select 1", {
        cause: Object.assign(new Error('relation "a" does not exist'), { code: "42P01" }),
      }),
      'relation "a" does not exist: the database is not migrated',
    ],
    ["gone", "gone"],
  ])("%s", (error, problem) => expect(databaseProblem(error)).toBe(problem));
});
