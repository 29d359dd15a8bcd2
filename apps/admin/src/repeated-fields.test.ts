import { expect, test } from "vitest";
import { repeatedField } from "./repeated-fields.ts";

test.each([
  ["5", undefined],
  ['"{\\"a\\":1,\\"a\\":1}"', undefined],
  ['{"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}', undefined],
  ['{"a":"a","b":"a","c":["a","a","b"]}', undefined],
  ['{"a":{},"b":[],"a":1}', "/a"],
  ['{"relays":{"a":{"kind":"discard"},"a":{"kind":"capture"}}}', "/relays/a"],
  ['{"list":[1,[2,3],{"x\\/~":1,"y":{},"\\u0078/~":"]"}]}', "/list/2/x~1~0"],
  ['{"\\\\":1,"\\"":2,"\\\\":3}', "/\\"],
])("%s", (text, pointer) => {
  expect(repeatedField(text)).toBe(pointer);
});

test("of long strings and deep nesting", () => {
  const long = '\\"'.repeat(1_000_000);
  expect(repeatedField(`{"a":"${long}","${long}":1,"a":2}`)).toBe("/a");
  expect(repeatedField("[".repeat(100_000) + "]".repeat(100_000))).toBeUndefined();
});
