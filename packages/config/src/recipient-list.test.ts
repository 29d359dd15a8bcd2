import { expect, test } from "vitest";
import { listedAddress, listedSpellings } from "./recipient-list.ts";

test.each([
  ["example.com", "User", "user"],
  ["example.com", "User@Example.COM", "user"],
  ["example.com", "user@other.test", undefined],
  ["example.com", "user@sub.example.com", undefined],
  ["example.com", '"user"', "user"],
  ["example.com", '"a b"@example.com', '"a b"'],
  ["example.com", '"a@b"', '"a@b"'],
  ["example.com", "first.last", "first.last"],
  ["example.com", "first..last", undefined],
  ["example.com", "", undefined],
  ["example.com", "@example.com", undefined],
  ["example.com", "a b", undefined],
  ["example.com", "u\u0308ber", "über"],
  ["bücher.test", "user@xn--bcher-kva.test", undefined],
  ["xn--bcher-kva.test", "user@bücher.test", "user"],
  ["*.example.com", "user", "user"],
  ["*.example.com", "user@a.example.com", "user@a.example.com"],
  ["*.example.com", "user@example.com", undefined],
  ["example.com", "x".repeat(65), undefined],
])("on the list of %s, %s is %s", (domain, text, spelling) => {
  expect(listedAddress(domain, text)).toBe(spelling);
});

test.each([
  ["example.com", "User@Example.COM", ["user"]],
  ["example.com", '"User"@example.com', ["user"]],
  ["*.example.com", "User@A.example.com", ["user", "user@a.example.com"]],
])("for the list of %s, %s is looked up as %j", (domain, address, spellings) => {
  expect(listedSpellings(domain, address)).toEqual(spellings);
});
