import assert from "node:assert/strict";
import { test } from "node:test";
import { adjust, filter, unadjusted } from "./adjust.ts";

const after = (values: number[], brightness: number, contrast: number): number[] => {
  const pixels = Uint8ClampedArray.from(values);
  adjust(pixels, { brightness, contrast });
  return [...pixels];
};

test("pixels change as the filter's definition says, and transparency does not", () => {
  assert.deepEqual(after([0, 100, 200, 200], 1, 1), [0, 100, 200, 200]);
  assert.deepEqual(after([0, 100, 200, 200], 1.5, 1), [0, 150, 255, 200]);
  assert.deepEqual(after([0, 100, 200, 7], 1, 2), [0, 72, 255, 7]);
  assert.deepEqual(after([10, 100, 200, 7], 2, 0), [128, 128, 128, 7]); // brightness first
});

test("what is as it is needs no filter", () => {
  assert.equal(filter(unadjusted), "none");
  assert.equal(filter({ brightness: 1.2, contrast: 1 }), "brightness(1.2) contrast(1)");
});
