import assert from "node:assert/strict";
import { test } from "node:test";
import { Least } from "./least.ts";
import { micros } from "./units.ts";

const seconds = (n: number) => micros(n * 1_000_000);

test("the least of all values, until it is 30 seconds old at most", () => {
  const l = new Least();
  assert.equal(l.add(seconds(0), 70), 70);
  assert.equal(l.add(seconds(1), 40), 40);
  assert.equal(l.add(seconds(2), 90), 40);
  assert.equal(l.add(seconds(16), 60), 40);
  assert.equal(l.add(seconds(32), 80), 60, "the 40 is forgotten");
});
