import assert from "node:assert/strict";
import { test } from "node:test";
import { disposable, jump, speed } from "./chase.ts";

test("what is ahead is played faster the more it is, and slower when it runs out", () => {
  assert.deepEqual([0, 0.03, 0.06, 0.1, 0.2, 0.25, 0.3, 5].map(speed), [0.9, 0.9, 1, 1, 1.1, 1.1, 1.5, 1.5]);
});

test("played at these speeds, a second ahead comes down to a tenth within two seconds, and stays there", () => {
  let ahead = 1;
  const seen = [];
  for (let t = 0; t < 10; t += 0.01) {
    ahead = Math.max(0, ahead + 0.01 - 0.01 * speed(ahead));
    seen.push(ahead);
  }
  assert.ok((seen[400] ?? 1) <= 0.11, `${seen[400]}`);
  assert.ok(seen.slice(-100).every((a) => a > 0.02 && a <= 0.11));
});

test("up to a second is chased, more is jumped over to the newest keyframe", () => {
  assert.equal(jump(10, 11, [9, 10.5]), undefined);
  assert.equal(jump(10, 11.1, [9, 10.2, 10.5]), 10.5);
});

test("without a keyframe ahead there is nothing to go on from", () => {
  assert.equal(jump(10, 12, [9, 10]), "key");
  assert.equal(jump(10, 12, []), "key");
});

test("what is kept begins at a keyframe before the playhead", () => {
  assert.equal(disposable(10, [2, 5, 8.9, 9.5, 11]), 8.9);
  assert.equal(disposable(10, [9.5, 11]), undefined);
  assert.equal(disposable(10, []), undefined);
});
