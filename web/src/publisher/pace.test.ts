import assert from "node:assert/strict";
import { test } from "node:test";
import { micros } from "../player/units.ts";
import { nextQuality, Pace } from "./pace.ts";

/** How many of a source's pictures pass in ten seconds. */
function passed(fps: number, milli: number, jitter: (i: number) => number = () => 0): number {
  const pace = new Pace();
  let n = 0;
  for (let i = 0; i < fps * 10; i++) if (pace.admit(micros(((i + jitter(i)) * 1e6) / fps), milli)) n++;
  return n;
}

test("no cap takes all", () => assert.equal(passed(30, 0), 300));

test("a cap is kept, whatever the source", () => {
  for (const [fps, milli] of [[30, 15_000], [30, 20_000], [25, 15_000], [60, 7_000]] as const) {
    const n = passed(fps, milli);
    assert.ok(Math.abs(n - milli / 100) <= milli / 1000, `${n} of ${fps} a second at ${milli}`);
  }
});

test("a source at the cap itself loses none to its jitter", () => {
  assert.equal(passed(15, 15_000, (i) => ((i * 7) % 5) * 0.04), 150);
});

test("time that goes back does not stop the pictures", () => {
  const pace = new Pace();
  pace.admit(micros(1e9), 10_000);
  assert.equal(pace.admit(micros(0), 10_000), true);
  assert.equal(pace.admit(micros(50_000), 10_000), false);
  assert.equal(pace.admit(micros(100_000), 10_000), true);
});

test("quality settles where the bytes are what was meant", () => {
  let quality = 0.7;
  const bytes = (q: number) => 200_000 * q * q;
  for (let i = 0; i < 20; i++) quality = nextQuality(quality, bytes(quality), 50_000);
  assert.ok(Math.abs(bytes(quality) - 50_000) < 2_000, `${bytes(quality)}`);
});

test("quality has bounds", () => {
  let quality = 0.7;
  for (let i = 0; i < 50; i++) quality = nextQuality(quality, 1e9, 1);
  assert.equal(quality, 0.2);
  for (let i = 0; i < 50; i++) quality = nextQuality(quality, 0, 1e9);
  assert.equal(quality, 0.85);
});
