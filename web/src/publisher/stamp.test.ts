import assert from "node:assert/strict";
import { test } from "node:test";
import { micros } from "../player/units.ts";
import { CaptureClock, captureTime } from "./stamp.ts";

const at = (ms: number) => micros(ms * 1000);

test("what delays pictures on their way does not move their capture times", () => {
  const clock = new CaptureClock();
  const delays = [2, 9, 2, 30, 5, 2, 17];
  const captured = delays.map((d, i) => clock.toLocal(at(70_000 + i * 33), at(i * 33 + d)));
  assert.deepEqual(captured, delays.map((_, i) => at(i * 33 + 2)));
});

test("a capture time is never after the arrival", () => {
  const clock = new CaptureClock();
  for (const [timestamp, arrived] of [[0, 50], [33, 60], [66, 75], [100, 101]] as const) {
    assert.ok(clock.toLocal(at(timestamp), at(arrived)) <= at(arrived));
  }
});

test("timestamps that begin anew are taken from there", () => {
  const clock = new CaptureClock();
  clock.toLocal(at(500_000), at(10));
  assert.equal(clock.toLocal(at(0), at(60)), at(60));
  assert.equal(clock.toLocal(at(33), at(100)), at(93));
});

test("drift between the clocks is followed", () => {
  const clock = new CaptureClock();
  // 100 parts in a million over a minute are 6 ms; over what is remembered, 1 ms.
  for (let i = 0; i < 1_800; i++) {
    const truth = i * 33.3;
    const found = clock.toLocal(at(truth * 0.9999), at(truth));
    assert.ok(at(truth) - found <= at(1.1), `${at(truth) - found} µs after ${i} pictures`);
  }
});

test("the browser's own word counts when it can be right", () => {
  const clock = new CaptureClock();
  assert.equal(captureTime(at(95), at(1_000), at(100), clock), at(95));
  assert.equal(captureTime(at(101), at(1_000), at(100), clock), at(100));
  assert.equal(captureTime(at(-2_000), at(1_000), at(100), clock), at(100));
  assert.equal(captureTime(undefined, at(1_033), at(140), clock), at(133));
});
