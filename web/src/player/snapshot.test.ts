import assert from "node:assert/strict";
import { test } from "node:test";
import { fileName } from "./snapshot.ts";
import { micros } from "./units.ts";

test("a file's name has stream and capture time, and nothing that file systems refuse", () => {
  assert.equal(fileName("site/door", micros(Date.UTC(2026, 10, 22, 21, 5, 9, 42) * 1000 + 999)), "site-door_2026-11-22T21-05-09.042Z.png");
});
