import assert from "node:assert/strict";
import { test } from "node:test";
import { line, roundUp, stacked } from "./chart.ts";
import { History, type Sample } from "./history.ts";
import type { PlayerStats } from "./player.d.ts";
import { millis } from "./units.ts";

const at = (...seconds: number[]) => seconds.map((s) => ({ at_ms: s * 1_000 }) as Sample);

test("now is the right edge, a minute ago the left one, and the scale's end the top", () => {
  assert.equal(line(at(0, 30, 60), [0, 5, 10], 10), "M0.0 100.0L300.0 50.0L600.0 0.0");
});

test("what is not known is a gap", () => {
  assert.equal(line(at(0, 30, 60), [0, null, 10], 10), "M0.0 100.0M600.0 0.0");
});

test("areas stand upon each other", () => {
  const [lower, upper] = stacked(at(0, 60), [[2, 2], [3, 3]], 10);
  assert.equal(lower, "M0.0 80.0L600.0 80.0L600.0 100.0L0.0 100.0Z");
  assert.equal(upper, "M0.0 50.0L600.0 50.0L600.0 80.0L0.0 80.0Z");
});

test("a scale ends at a round number", () => {
  assert.deepEqual([0, 0.3, 1, 1.01, 29.97, 51, 720].map(roundUp), [1, 0.5, 1, 2, 50, 100, 1000]);
});

test("a minute is kept, a sample for each second, with the drops of that second", () => {
  const h = new History();
  for (let ms = 0; ms <= 100_000; ms += 250) h.add(millis(ms), { dropped_total: Math.floor(ms / 1_000) * 2, dropped_by_server_total: 5 } as PlayerStats);
  assert.equal(h.samples.length, 61);
  assert.equal(h.samples.at(-1)?.at_ms, 100_000);
  assert.ok(h.samples.every((s) => s.dropped === 2));
});
