import { describe, expect, test } from "vitest";
import { driverAddress } from "./index.ts";

describe("driverAddress", () => {
  test.each([
    "postgres://u:p@db.example.com:5432/postern",
    "postgres://u:p%40@[::1]/postern?sslmode=require",
    "postgresql://u@a.test:5432,b.test:5433/postern",
    "postgresql://u@/postern",
  ])("leaves %s to the driver", (url) => {
    expect(driverAddress(url)).toEqual({ url });
  });

  test.each([
    ["postgres://u:p%40@%2Frun%2Fpostgresql/postern", "/run/postgresql/.s.PGSQL.5432"],
    ["postgres://u:p%40@%2frun%2fpostgresql%2f:6000/postern", "/run/postgresql/.s.PGSQL.6000"],
    ["postgres://u:p%40@localhost:6000/postern?host=/a%20b/c", "/a b/c/.s.PGSQL.6000"],
  ])("%s is at the socket %s", (given, path) => {
    const { url, path: found } = driverAddress(given);
    expect(found).toBe(path);
    expect(url).toMatch(/^postgres:\/\/u:p%40@localhost(:6000)?\/postern$/);
  });

  test("without user and host, which the URL standard allows only together", () => {
    expect(driverAddress("postgres:///postern?host=/run/postgresql&sslmode=disable")).toEqual({
      url: "postgres://localhost/postern?sslmode=disable",
      path: "/run/postgresql/.s.PGSQL.5432",
    });
  });
});
