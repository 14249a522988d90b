import assert from "node:assert/strict";
import { test } from "node:test";
import { Stages } from "./stages.ts";
import { micros } from "./units.ts";

/** One picture, from the time it was taken; this device's clock is a second ahead. */
function play(s: Stages, capture: number, [encode, network, decode, show]: readonly [number, number, number, number]): number {
  const arrived = capture + encode + network + 1_000_000;
  s.arrived(micros(capture), micros(encode), micros(arrived), micros(arrived - 1_000_000));
  s.decoded(micros(capture), micros(arrived + decode));
  s.painted(micros(capture), micros(arrived + decode + show));
  return arrived + decode + show;
}

test("the stages of a picture add up to its way", () => {
  const s = new Stages();
  const at = play(s, 5_000_000, [4_000, 9_000, 2_000, 16_000]);
  assert.deepEqual(s.figures(micros(at)), { encode: 4_000, network: 9_000, decode: 2_000, show: 16_000 });
  assert.deepEqual(s.take(), [{ capture: 5_000_000, at, encode: 4_000, network: 9_000, decode: 2_000, show: 16_000 }]);
  assert.deepEqual(s.take(), []);
});

test("medians of the last second, and nothing after it", () => {
  const s = new Stages();
  let at = 0;
  for (const n of [1_000, 50_000, 3_000]) at = play(s, 5_000_000 + n, [n, n, n, n]);
  assert.equal(s.figures(micros(at))?.network, 3_000);
  assert.equal(s.figures(micros(at + 2_000_000)), undefined);
});

test("what was not decoded here has no stages, and what is never painted is forgotten", () => {
  const s = new Stages();
  s.painted(micros(1), micros(2));
  for (let i = 0; i < 1_000; i++) s.arrived(micros(i), micros(1), micros(i + 2), micros(i + 2));
  s.decoded(micros(3), micros(10));
  s.painted(micros(3), micros(20));
  assert.equal(s.figures(micros(20)), undefined);
});
