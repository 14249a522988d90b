import assert from "node:assert/strict";
import { test } from "node:test";
import { timeWords } from "./rows.ts";

test("a time has its day when that is another", () => {
  const at = (day: number, hour: number): Date => new Date(2026, 2, day, hour, 4, 5);
  assert.equal(timeWords(at(9, 3), at(9, 23)), "03:04:05");
  assert.equal(timeWords(at(8, 3), at(9, 23)), "2026-03-08 03:04:05");
});
