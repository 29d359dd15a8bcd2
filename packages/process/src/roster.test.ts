import { expect, test } from "vitest";
import { Roster } from "./roster.ts";

function membersOf<T>(roster: Roster<T>): T[] {
  const members: T[] = [];
  roster.forEach((member) => members.push(member));
  return members.sort();
}

test("who came and did not leave is there", () => {
  const roster = new Roster<number>();
  const places = Array.from({ length: 100 }, (_, n) => roster.add(n));
  for (const place of places) if (place.member % 3 !== 0) roster.remove(place);
  const left = Array.from({ length: 34 }, (_, n) => n * 3);
  expect(membersOf(roster)).toEqual(left.sort());
  expect(roster.size).toBe(34);
});

test("to leave twice takes nobody else along", () => {
  const roster = new Roster<string>();
  const [a, b] = [roster.add("a"), roster.add("b")];
  roster.remove(a);
  roster.remove(a);
  expect(membersOf(roster)).toEqual(["b"]);
  roster.remove(b);
  roster.remove(b);
  expect(roster.size).toBe(0);
});

test("members that leave while all are visited: whoever stays is visited", () => {
  for (let leaver = 0; leaver < 5; leaver += 1) {
    const roster = new Roster<number>();
    const places = Array.from({ length: 5 }, (_, n) => roster.add(n));
    const visited = new Set<number>();
    roster.forEach((member) => {
      visited.add(member);
      if (member === 2) { for (const place of places.slice(leaver)) roster.remove(place); }
    });
    for (let stays = 0; stays < leaver; stays += 1) expect(visited).toContain(stays);
  }
});
