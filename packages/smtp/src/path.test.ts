import { describe, expect, test } from "vitest";
import {
  canonicalAddress,
  formatPath,
  parseForwardPath,
  parseMailbox,
  parseReversePath,
  type PathFault,
} from "./path.ts";

const long = (count: number, character = "a") => character.repeat(count);

/** Paths that are taken: what stands on the wire, and the canonical address. */
const good: readonly (readonly [string, string])[] = [
  // Dot-strings, with every atext character.
  ["<a@b>", "a@b"],
  ["<a@b.c>", "a@b.c"],
  ["<simple@example.com>", "simple@example.com"],
  ["<very.common@example.com>", "very.common@example.com"],
  ["<a.b.c.d.e@example.com>", "a.b.c.d.e@example.com"],
  ["<UPPER@EXAMPLE.COM>", "UPPER@example.com"],
  ["<MiXed@ExAmPlE.CoM>", "MiXed@example.com"],
  ["<x@example.com>", "x@example.com"],
  ["<0@example.com>", "0@example.com"],
  ["<12345@example.com>", "12345@example.com"],
  ["<1a2b@example.com>", "1a2b@example.com"],
  ["<user+tag@example.com>", "user+tag@example.com"],
  ["<user-name@example.com>", "user-name@example.com"],
  ["<-dash@example.com>", "-dash@example.com"],
  ["<dash-@example.com>", "dash-@example.com"],
  ["<_under@example.com>", "_under@example.com"],
  ["<user@_host.in_house.example>", "user@_host.in_house.example"],
  ["<user%host@example.com>", "user%host@example.com"],
  ["<host!user@example.com>", "host!user@example.com"],
  ["<a=b@example.com>", "a=b@example.com"],
  ["<bounce+a=b.c@example.com>", "bounce+a=b.c@example.com"],
  ...Array.from("!#$%&'*+-/=?^_`{|}~", (c) => [`<${c}@d.e>`, `${c}@d.e`] as const),
  ...Array.from("!#$%&'*+-/=?^_`{|}~", (c) => [`<a${c}b@d.e>`, `a${c}b@d.e`] as const),
  ["<!#$%&'*+-/=?^_`{|}~@d.e>", "!#$%&'*+-/=?^_`{|}~@d.e"],
  ["<SRS0=HHH=TT=b.c=a@d.e>", "SRS0=HHH=TT=b.c=a@d.e"],
  // Quoted strings.
  ['<"a"@d.e>', "a@d.e"],
  ['<"a.b"@d.e>', "a.b@d.e"],
  ['<""@d.e>', '""@d.e'],
  ['<" "@d.e>', '" "@d.e'],
  ['<"a b"@d.e>', '"a b"@d.e'],
  ['<"a  b"@d.e>', '"a  b"@d.e'],
  ['<".a"@d.e>', '".a"@d.e'],
  ['<"a."@d.e>', '"a."@d.e'],
  ['<"a..b"@d.e>', '"a..b"@d.e'],
  ['<"."@d.e>', '"."@d.e'],
  ['<"a@b"@d.e>', '"a@b"@d.e'],
  ['<"<>"@d.e>', '"<>"@d.e'],
  ['<"a>b"@d.e>', '"a>b"@d.e'],
  ['<"a,b:c;d"@d.e>', '"a,b:c;d"@d.e'],
  ['<"(comment)"@d.e>', '"(comment)"@d.e'],
  ['<"[1.2.3.4]"@d.e>', '"[1.2.3.4]"@d.e'],
  ['<"a\\"b"@d.e>', '"a\\"b"@d.e'],
  ['<"a\\\\b"@d.e>', '"a\\\\b"@d.e'],
  ['<"\\a\\b"@d.e>', "ab@d.e"],
  ['<"\\@"@d.e>', '"@"@d.e'],
  ['<"\\ "@d.e>', '" "@d.e'],
  ['<"a\\>"@d.e>', '"a>"@d.e'],
  [
    '<"very.(),:;<>[]\\".VERY.\\"very@\\\\ \\"very\\".unusual"@d.e>',
    '"very.(),:;<>[]\\".VERY.\\"very@\\\\ \\"very\\".unusual"@d.e',
  ],
  ['<"@x:y"@d.e>', '"@x:y"@d.e'],
  // Domains.
  ["<a@localhost>", "a@localhost"],
  ["<a@b-c.d>", "a@b-c.d"],
  ["<a@b--c.d>", "a@b--c.d"],
  ["<a@1.2>", "a@1.2"],
  ["<a@1.2.3.4>", "a@1.2.3.4"],
  ["<a@123.example>", "a@123.example"],
  ["<a@3com.example>", "a@3com.example"],
  ["<a@x1-2-3.example>", "a@x1-2-3.example"],
  ["<a@a.b.c.d.e.f.g.h.example>", "a@a.b.c.d.e.f.g.h.example"],
  ["<a@xn--bcher-kva.example>", "a@xn--bcher-kva.example"],
  ["<a@XN--BCHER-KVA.example>", "a@xn--bcher-kva.example"],
  ["<a@example.museum>", "a@example.museum"],
  [`<a@${long(63, "b")}.c>`, `a@${long(63, "b")}.c`],
  [`<a@${long(62, "b")}9.c>`, `a@${long(62, "b")}9.c`],
  // Literals.
  ["<a@[192.0.2.1]>", "a@[192.0.2.1]"],
  ["<a@[0.0.0.0]>", "a@[0.0.0.0]"],
  ["<a@[255.255.255.255]>", "a@[255.255.255.255]"],
  ["<a@[001.002.003.004]>", "a@[001.002.003.004]"],
  ["<a@[IPv6:::1]>", "a@[IPv6:::1]"],
  ["<a@[IPv6:::]>", "a@[IPv6:::]"],
  ["<a@[ipv6:2001:DB8::1]>", "a@[IPv6:2001:db8::1]"],
  ["<a@[IPV6:1:2:3:4:5:6:7:8]>", "a@[IPv6:1:2:3:4:5:6:7:8]"],
  ["<a@[IPv6:1:2:3:4:5:6:1.2.3.4]>", "a@[IPv6:1:2:3:4:5:6:1.2.3.4]"],
  ["<a@[IPv6:::1.2.3.4]>", "a@[IPv6:::1.2.3.4]"],
  ["<a@[IPv6:::ffff:1.2.3.4]>", "a@[IPv6:::ffff:1.2.3.4]"],
  ["<a@[IPv6:1::]>", "a@[IPv6:1::]"],
  ["<a@[IPv6:1:2:3:4:5:6::]>", "a@[IPv6:1:2:3:4:5:6::]"],
  ["<a@[IPv6:1::8]>", "a@[IPv6:1::8]"],
  ["<a@[IPv6:fe80::1:2:3:4]>", "a@[IPv6:fe80::1:2:3:4]"],
  ["<a@[x:y]>", "a@[x:y]"],
  ["<a@[x400:C=de;A=x]>", "a@[x400:C=de;A=x]"],
  ["<a@[tag-1:a:b]>", "a@[tag-1:a:b]"],
  // RFC 6531.
  ["<ü@d.e>", "ü@d.e"],
  ["<jürgen.müller@d.e>", "jürgen.müller@d.e"],
  ["<用户@例え.テスト>", "用户@例え.テスト"],
  ["<пользователь@почта.рф>", "пользователь@почта.рф"],
  ["<a@bücher.example>", "a@bücher.example"],
  ["<a@BÜCHER.example>", "a@bücher.example"],
  ["<a@bu\u0308cher.example>", "a@bücher.example"],
  ["<a@straße.example>", "a@straße.example"],
  ["<a@faß-1.example>", "a@faß-1.example"],
  ['<"ä b"@d.e>', '"ä b"@d.e'],
  ['<"äb"@d.e>', "äb@d.e"],
  ["<😀@d.e>", "😀@d.e"],
  ["<δοκιμή@παράδειγμα.δοκιμή>", "δοκιμή@παράδειγμα.δοκιμή"],
  ["<a@xn--e1afmkfd.рф>", "a@xn--e1afmkfd.рф"],
  // Source routes, dropped from the canonical address.
  ["<@a:b@c>", "b@c"],
  ["<@a,@b:c@d>", "c@d"],
  ["<@a.example,@b.example,@c.example:u@d.example>", "u@d.example"],
  ["<@[192.0.2.1]:u@d.example>", "u@d.example"],
  ["<@[IPv6:2001:db8::1],@b:u@d.example>", "u@d.example"],
  ['<@a:"x y"@d.example>', '"x y"@d.example'],
  ["<@a:u@[192.0.2.1]>", "u@[192.0.2.1]"],
  ["<@bücher.example:u@d.example>", "u@d.example"],
  ["<@A:postmaster@d.example>", "postmaster@d.example"],
  // Lengths of §4.5.3.1, all of them just reached.
  [`<${long(64)}@d.e>`, `${long(64)}@d.e`],
  [`<"${long(62)}"@d.e>`, `${long(62)}@d.e`],
  [`<${"ü".repeat(32)}@d.e>`, `${"ü".repeat(32)}@d.e`],
  [
    `<a@${long(63)}.${long(63)}.${long(63)}.${long(60)}>`,
    `a@${long(63)}.${long(63)}.${long(63)}.${long(60)}`,
  ],
  [`<@${long(60)}.${long(60)}.${long(60)}:a@${long(60)}.${long(5)}>`, `a@${long(60)}.${long(5)}`],
];

/** Paths that are refused in both directions, and why. */
const bad: readonly (readonly [string, PathFault])[] = [
  // Brackets.
  ["", "brackets"],
  ["a@b", "brackets"],
  ["a@b>", "brackets"],
  ["<a@b", "brackets"],
  ["<a@[192.0.2.1]", "brackets"],
  [" <a@b>", "brackets"],
  ["[a@b]", "brackets"],
  ['"a"@b', "brackets"],
  ["<a@b.c d>", "domain"],
  // Local parts.
  ["<", "brackets"],
  ["< >", "local part"],
  ["< a@b>", "local part"],
  ["<a @b>", "local part"],
  ["<a b@c>", "local part"],
  ["<.a@b>", "local part"],
  ["<a.@b>", "local part"],
  ["<a..b@c>", "local part"],
  ["<.@b>", "local part"],
  ["<..@b>", "local part"],
  ...Array.from('(),:;[\\]"', (c) => [`<a${c}b@d.e>`, "local part"] as const),
  ["<(a)b@c>", "local part"],
  ["<a(b)@c>", "local part"],
  ["<a\tb@c>", "local part"],
  ["<a\x01@c>", "local part"],
  ["<a\x7f@c>", "local part"],
  ["<a\x85@c>", "local part"],
  ["<<a@b>>", "local part"],
  ["<<a@b>", "local part"],
  ['<"a@b>', "local part"],
  ['<"a', "local part"],
  ['<"a\\"@b>', "local part"],
  ['<a"b"@c>', "local part"],
  ['<"a"b@c>', "domain"],
  ['<"a".b@c>', "domain"],
  ['<"a""b"@c>', "domain"],
  ['<"a\tb"@c>', "local part"],
  ['<"a\x00b"@c>', "local part"],
  ['<"a\\\x01"@c>', "local part"],
  ['<"a\x7f"@c>', "local part"],
  ['<"\\ü"@c>', "local part"],
  // No domain.
  ["<a>", "no domain"],
  ["<postmaste>", "no domain"],
  ["<postmasterr>", "no domain"],
  ["<a.b>", "no domain"],
  ['<"postmaster">', "no domain"],
  ["<@a:b>", "no domain"],
  // Domains.
  ["<a@>", "domain"],
  ["<a@ >", "domain"],
  ["<a@.>", "domain"],
  ["<a@.b>", "domain"],
  ["<a@b.>", "domain"],
  ["<a@b..c>", "domain"],
  ["<a@-b>", "domain"],
  ["<a@b->", "domain"],
  ["<a@b.-c>", "domain"],
  ["<a@b-.c>", "domain"],
  ["<a@b=c>", "domain"],
  ["<a@b c>", "domain"],
  ["<a@b@c>", "domain"],
  ["<a@@b>", "domain"],
  ["<a@b,c>", "domain"],
  ["<a@b;c>", "domain"],
  ["<a@b:c>", "domain"],
  ["<a@b:25>", "domain"],
  ["<a@b/c>", "domain"],
  ["<a@b\\c>", "domain"],
  ["<a@(b)c>", "domain"],
  ["<a@b(c)>", "domain"],
  ['<a@"b">', "domain"],
  ["<a@b!c>", "domain"],
  ["<a@b#c>", "domain"],
  ["<a@b$c>", "domain"],
  ["<a@b%c>", "domain"],
  ["<a@b&c>", "domain"],
  ["<a@b'c>", "domain"],
  ["<a@b*c>", "domain"],
  ["<a@b+c>", "domain"],
  ["<a@b=c>", "domain"],
  ["<a@b?c>", "domain"],
  ["<a@b^c>", "domain"],
  ["<a@b`c>", "domain"],
  ["<a@b{c>", "domain"],
  ["<a@b|c>", "domain"],
  ["<a@b~c>", "domain"],
  ["<a@b\x00>", "domain"],
  ["<a@b\x01>", "domain"],
  ["<a@b\t>", "domain"],
  ["<a@b\x7f>", "domain"],
  ["<a@b\u0080>", "domain"],
  ["<a@b\u00a0c>", "domain"],
  ["<a@b\u2028c>", "domain"],
  ["<a@b\u200bc>", "domain"],
  ["<a@b\u202ec>", "domain"],
  ["<a@b\u3002c>", "domain"],
  ["<a@b\uff0ec>", "domain"],
  ["<a@ü_b.c>", "domain"],
  ["<a@-ü.c>", "domain"],
  ["<a@ü-.c>", "domain"],
  // Literals.
  ["<a@[]>", "domain"],
  ["<a@[1.2.3]>", "domain"],
  ["<a@[1.2.3.4.5]>", "domain"],
  ["<a@[1.2.3.256]>", "domain"],
  ["<a@[1.2.3.1000]>", "domain"],
  ["<a@[1.2.3.-4]>", "domain"],
  ["<a@[1.2.3.x]>", "domain"],
  ["<a@[1.2.3.4>", "domain"],
  ["<a@[1.2.3.4]x>", "domain"],
  ["<a@x[1.2.3.4]>", "domain"],
  ["<a@1.2.3.4]>", "domain"],
  ["<a@[1.2.3.4].b>", "domain"],
  ["<a@[[1.2.3.4]]>", "domain"],
  ["<a@[ 1.2.3.4]>", "domain"],
  ["<a@[localhost]>", "domain"],
  ["<a@[::1]>", "domain"],
  ["<a@[2001:db8::1 ]>", "domain"],
  ["<a@[IPv6:]>", "domain"],
  ["<a@[IPv6::]>", "domain"],
  ["<a@[IPv6:1]>", "domain"],
  ["<a@[IPv6:1:2:3:4:5:6:7]>", "domain"],
  ["<a@[IPv6:1:2:3:4:5:6:7:8:9]>", "domain"],
  ["<a@[IPv6:1:2:3:4:5:6:7::]>", "domain"],
  ["<a@[IPv6:::2:3:4:5:6:7:8]>", "domain"],
  ["<a@[IPv6:1::2::3]>", "domain"],
  ["<a@[IPv6::::]>", "domain"],
  ["<a@[IPv6:1:::2]>", "domain"],
  ["<a@[IPv6:12345::]>", "domain"],
  ["<a@[IPv6:g::]>", "domain"],
  ["<a@[IPv6:1.2.3.4]>", "domain"],
  ["<a@[IPv6:1.2.3.4::]>", "domain"],
  ["<a@[IPv6:1:2:3:4:5:6:7:1.2.3.4]>", "domain"],
  ["<a@[IPv6:::1.2.3]>", "domain"],
  ["<a@[IPv6:::1.2.3.256]>", "domain"],
  ["<a@[IPv6:fe80::1%eth0]>", "domain"],
  ["<a@[x:]>", "domain"],
  ["<a@[:x]>", "domain"],
  ["<a@[x-:y]>", "domain"],
  ["<a@[x_y:z]>", "domain"],
  ["<a@[x:y z]>", "domain"],
  ["<a@[x:y\\]>", "domain"],
  // Source routes.
  ["<@>", "source route"],
  ["<@a>", "source route"],
  ["<@a,:b@c>", "source route"],
  ["<@,@a:b@c>", "source route"],
  ["<@a,b:c@d>", "source route"],
  ["<@a @b:c@d>", "source route"],
  ["<@a, @b:c@d>", "source route"],
  ["<@:a@b>", "source route"],
  ["<@a@b:c@d>", "source route"],
  ["<@a;@b:c@d>", "source route"],
  ["<@-a:b@c>", "source route"],
  ["<@a=b:c@d>", "source route"],
  ["<@[1.2.3]:c@d>", "source route"],
  ['<@"a":b@c>', "source route"],
  ["<@a:>", "local part"],
  ["<@a:@b:c@d>", "local part"],
  ["<@a::b@c>", "local part"],
  [`<@${long(64)}:b@c>`, "domain too long"],
  // Lengths.
  [`<${long(65)}@d.e>`, "local part too long"],
  [`<"${long(63)}"@d.e>`, "local part too long"],
  [`<${"ü".repeat(33)}@d.e>`, "local part too long"],
  [`<a@${long(64)}.b>`, "domain too long"],
  [`<a@b.${long(64)}>`, "domain too long"],
  [`<a@${long(63)}.${long(63)}.${long(63)}.${long(64)}>`, "domain too long"],
  [`<a@${"ü".repeat(60)}.b>`, "domain too long"],
  [`<a@${long(256)}>`, "domain too long"],
  [`<aa@${long(63)}.${long(63)}.${long(63)}.${long(60)}>`, "path too long"],
  [`<@${long(60)}.${long(60)}.${long(60)}:aa@${long(60)}.${long(60)}>`, "path too long"],
  [`<a@[x:${long(260)}]>`, "domain too long"],
];

describe("paths that are taken", () => {
  test.each(good)("%s", (wire, address) => {
    for (const parse of [parseReversePath, parseForwardPath]) {
      const parsed = parse(wire);
      if ("fault" in parsed) throw new Error(parsed.fault);
      expect(parsed.path.address).toBe(address);
      expect(parsed.end).toBe(wire.length);
      // What is written can be read again, and means the same.
      const again = parse(`<${formatPath(parsed.path)}>`);
      expect("path" in again && again.path).toEqual({
        ...parsed.path,
        internationalized: "internationalized" in parsed.path &&
          /[^ -~]/.test(formatPath(parsed.path)),
      });
    }
  });
});

describe("paths that are refused", () => {
  test.each(bad)("%j: %s", (wire, fault) => {
    expect(parseForwardPath(wire)).toEqual({ fault });
    expect(parseReversePath(wire)).toEqual({ fault });
  });

  test("the table is long enough", () => {
    expect(good.length + bad.length).toBeGreaterThanOrEqual(300);
  });
});

describe("special paths", () => {
  test("the null reverse-path", () => {
    expect(parseReversePath("<>")).toEqual({
      path: { kind: "null", address: "", sourceRoute: [] },
      end: 2,
    });
    expect(parseForwardPath("<>")).toEqual({ fault: "null path" });
  });

  test.each(["<postmaster>", "<Postmaster>", "<POSTMASTER>"])("%s has no domain", (wire) => {
    expect(parseForwardPath(wire)).toEqual({
      path: {
        kind: "postmaster",
        localPart: wire.slice(1, -1),
        address: "postmaster",
        sourceRoute: [],
      },
      end: 12,
    });
    expect(parseReversePath(wire)).toEqual({ fault: "no domain" });
  });

  test("a path may begin anywhere and end before the text does", () => {
    const parsed = parseForwardPath("TO:<a@b> NOTIFY=NEVER", 3);
    expect(parsed).toMatchObject({ path: { address: "a@b" }, end: 8 });
  });

  test("the parts of a mailbox", () => {
    const parsed = parseForwardPath('<@A.example,@[IPv6:::1]:"x\\"y"@B\u00fccher.Example>');
    expect(parsed).toMatchObject({
      path: {
        kind: "mailbox",
        localPart: 'x"y',
        domain: { kind: "name", name: "bücher.example", ascii: "xn--bcher-kva.example" },
        address: '"x\\"y"@bücher.example',
        sourceRoute: ["a.example", "[IPv6:::1]"],
        internationalized: true,
      },
    });
    if (!("path" in parsed)) throw new Error();
    expect(formatPath(parsed.path)).toBe('@a.example,@[IPv6:::1]:"x\\"y"@bücher.example');
    expect(canonicalAddress(parsed.path)).toBe('"x\\"y"@xn--bcher-kva.example');
  });

  test("literals say which kind they are", () => {
    const kind = (wire: string) => {
      const parsed = parseForwardPath(wire);
      return "path" in parsed && parsed.path.kind === "mailbox" && parsed.path.domain;
    };
    expect(kind("<a@[192.0.2.1]>")).toMatchObject({ kind: "ipv4", address: "192.0.2.1" });
    expect(kind("<a@[IPV6:2001:DB8::1]>")).toMatchObject({ kind: "ipv6", address: "2001:db8::1" });
    expect(kind("<a@[x:y:z]>")).toMatchObject({ kind: "general", tag: "x", content: "y:z" });
  });

  test("a mailbox without brackets", () => {
    expect(parseMailbox("a@B.example")).toMatchObject({ mailbox: { address: "a@b.example" } });
    expect(parseMailbox("a@b.example>")).toEqual({ fault: "brackets" });
    expect(parseMailbox("@x:a@b.example")).toEqual({ fault: "source route" });
    expect(parseMailbox("")).toEqual({ fault: "local part" });
    expect(parseMailbox("a")).toEqual({ fault: "no domain" });
  });

  test("other lengths by configuration", () => {
    const lengths = { localPart: 100, domain: 255, path: 400 };
    expect(parseForwardPath(`<${long(100)}@d.e>`, 0, lengths)).toHaveProperty("path");
    expect(parseForwardPath(`<${long(101)}@d.e>`, 0, lengths)).toEqual({
      fault: "local part too long",
    });
  });
});
