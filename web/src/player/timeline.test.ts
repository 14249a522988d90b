import assert from "node:assert/strict";
import { test } from "node:test";
import { Timeline } from "./timeline.ts";
import { micros } from "./units.ts";

const interval = micros(40_000);

function slots(captures: readonly number[]) {
  const t = new Timeline();
  return captures.map((c) => t.add(micros(c), interval));
}

test("a steady stream is played at its own pace", () => {
  const s = slots([5_000_000, 5_040_000, 5_080_000]);
  assert.deepEqual(s, [0, 40_000, 80_000].map((at) => ({ at, duration: 40_000 })));
});

test("there is never a gap, whatever happens to captures", () => {
  let seed = 3;
  const next = () => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) >>> 8;
  let capture = 0;
  const s = slots(Array.from({ length: 2_000 }, () => (capture += [40_000, 40_000, 7_000, 90_000, 0, 60_000_000, -30_000_000][next() % 7] ?? 0)));
  s.forEach((slot, i) => {
    const before = s[i - 1];
    assert.equal(slot.at, before === undefined ? 0 : before.at + before.duration);
    assert.ok(slot.duration > 0 && slot.duration <= 8 * interval, `${slot.duration}`);
  });
});

test("a camera that gives half of what it says is played at that pace", () => {
  const s = slots(Array.from({ length: 60 }, (_, i) => i * 80_000));
  assert.ok(Math.abs((s.at(-1)?.duration ?? 0) - 80_000) < 200, `${s.at(-1)?.duration}`);
});
