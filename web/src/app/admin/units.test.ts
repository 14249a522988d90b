import assert from "node:assert/strict";
import { test } from "node:test";
import { bitrate, decimal, duration, percentiles, similarity } from "./units.ts";

test("figures are short, and none is empty", () => {
  assert.deepEqual([0, 64_000, 999_400, 2_500_000].map(bitrate), ["", "64 kbit/s", "999 kbit/s", "2.5 Mbit/s"]);
  assert.equal(percentiles(0, 0), "");
  assert.equal(percentiles(2_940, 5_310), "2.9 / 5.3 ms");
  assert.equal(percentiles(24_900, 131_000), "25 / 131 ms");
  assert.deepEqual([decimal(0, "dB"), decimal(38.46, "dB")], ["", "38.5 dB"]);
  assert.deepEqual([similarity(0), similarity(0.97149)], ["", "0.971"]);
});

test("a duration is told in its largest unit", () => {
  assert.deepEqual([-1, 0, 59, 60, 3599, 3600, 90_000, 200_000].map(duration), ["0 s", "0 s", "59 s", "1 min", "59 min", "1 h", "1 d", "2 d"]);
});
