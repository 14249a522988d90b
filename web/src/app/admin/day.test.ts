import assert from "node:assert/strict";
import { test } from "node:test";
import { height, hours, last, mean, path, scale, width } from "./day.ts";

test("a line has gaps where nothing is known", () => {
  assert.equal(path([0, 10, null, null, 10, 5], 10), `M0.0 ${height}.0L${(width / 5).toFixed(1)} 0.0M${((width * 4) / 5).toFixed(1)} 0.0L${width}.0 ${height / 2}.0`);
  assert.equal(path([null, null], 1), "");
  assert.match(path([0.9, 0.5], 1, 0.8), new RegExp(`^M0\\.0 ${height / 2}\\.0L${width}\\.0 ${height}\\.0$`));
});

test("a value that stands alone is seen", () => {
  assert.match(path([null, 3, null], 5), /^M[\d.]+ [\d.]+h1$/);
});

test("a scale ends with a round number that holds everything", () => {
  assert.equal(scale([0, 3, null]), 5);
  assert.equal(scale([1.2], [41]), 50);
  assert.equal(scale([0.98]), 1);
  assert.equal(scale([1000]), 1000);
  assert.equal(scale([null], []), 1);
});

test("the last value and means look at what is known", () => {
  assert.equal(last([1, 2, null]), 2);
  assert.equal(last([null]), undefined);
  assert.equal(mean([1, 3, null, 100], 0, 3), 2);
  assert.equal(mean([null, null], 0, 2), undefined);
});

test("a day is told by its hours, the broken ones at both ends too", () => {
  const list = hours(new Date("2026-03-01T10:30:00Z"), 60, 120);
  assert.deepEqual(list.map((h) => [h.at, h.to, h.time.toISOString().slice(11, 16)]), [[0, 30, "10:00"], [30, 90, "11:00"], [90, 120, "12:00"]]);
});
