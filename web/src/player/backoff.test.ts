import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "./backoff.ts";

test("waits double from a quarter of a second to five, and begin anew after a success", () => {
  const b = new Backoff();
  assert.deepEqual([0, 0, 0, 0, 0, 0, 0].map((c) => b.next(c)), [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
  b.reset();
  assert.equal(b.next(0), 250);
});

test("chance takes off at most a quarter", () => {
  assert.equal(new Backoff().next(0.999_999) > 187, true);
  assert.equal(new Backoff().next(0.5), 218.75);
});
