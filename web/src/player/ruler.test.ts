import assert from "node:assert/strict";
import { test } from "node:test";
import { calibrated, calibrationText, millimetres, moved, parseCalibration, pixels } from "./ruler.ts";

const large = { width: 1280, height: 720 };
const small = { width: 640, height: 360 };
const line = { from: { x: 0.25, y: 0.5 }, to: { x: 0.75, y: 0.5 } };

test("a line has the length of its pixels", () => {
  assert.equal(pixels(line, large), 640);
  assert.equal(pixels({ from: { x: 0, y: 0 }, to: { x: 0.003125 * 3 / 4, y: 4 / 720 } }, large), 5);
});

test("what was calibrated on one rendition holds on another", () => {
  const c = calibrated(line, large, 160);
  assert.ok(c !== undefined);
  assert.equal(c.mmPerPixel, 0.25);
  assert.equal(millimetres(line, large, c), 160);
  assert.equal(millimetres(line, small, c), 160);
  assert.equal(millimetres({ from: line.from, to: { x: 0.5, y: 0.5 } }, small, c), 80);
});

test("no calibration of nothing, by nothing, or from what is none", () => {
  for (const mm of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) assert.equal(calibrated(line, large, mm), undefined);
  assert.equal(calibrated({ from: line.from, to: line.from }, large, 10), undefined);
  for (const text of [undefined, "", "1", "a b", "-1 1280", "1 0", "Infinity 1"]) assert.equal(parseCalibration(text), undefined);
  assert.deepEqual(parseCalibration(calibrationText({ mmPerPixel: 0.125, width: 1280 })), { mmPerPixel: 0.125, width: 1280 });
});

test("an end moves by pixels and stays in the picture", () => {
  assert.deepEqual(moved({ x: 0.5, y: 0.5 }, 128, -72, large), { x: 0.6, y: 0.4 });
  assert.deepEqual(moved({ x: 0.999, y: 0 }, 10, -10, large), { x: 1, y: 0 });
});
