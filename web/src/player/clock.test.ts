import assert from "node:assert/strict";
import { test } from "node:test";
import { Clock } from "./clock.ts";
import { micros, type Micros } from "./units.ts";

/** An exchange at local time t over a path that takes there and back, with a server whose clock is ahead by offset. */
function exchange(c: Clock, t: number, offset: number, there: number, back: number): void {
  const t2 = t + there + offset;
  c.add(micros(t), micros(t2), micros(t2 + 20), micros(t + there + 20 + back));
}

const offsetOf = (c: Clock, t: number): number => c.toServer(micros(t)) - t;

test("nothing is known before an exchange", () => {
  const c = new Clock();
  assert.equal(c.known, false);
  assert.equal(c.error, 0);
});

test("an even path gives the offset exactly, and half its round trip as the error", () => {
  const c = new Clock();
  exchange(c, 1e6, -5e8, 400, 400);
  assert.ok(c.known);
  assert.equal(offsetOf(c, 1e6 + 820), -5e8);
  assert.equal(c.error, 400);
  assert.equal(c.toLocal(c.toServer(micros(2e6))), 2e6);
});

test("slow exchanges do not count beside fast ones", () => {
  const c = new Clock();
  exchange(c, 0, 1e9, 300, 300);
  exchange(c, 150_000, 1e9, 40_000, 300);
  exchange(c, 300_000, 1e9, 300, 90_000);
  exchange(c, 450_000, 1e9, 350, 300);
  assert.ok(Math.abs(offsetOf(c, 460_000) - 1e9) <= 25, String(offsetOf(c, 460_000)));
});

test("the offset found is never further off than the error", () => {
  let seed = 7;
  const chance = () => ((seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) >>> 8) / 2 ** 24;
  const c = new Clock();
  for (let i = 0; i < 40; i++) {
    exchange(c, i * 2e6, 123_456, 500 + chance() * 20_000, 500 + chance() * 20_000);
    // Which samples count depends on their round trips, which are within 1 ms and 10 % of the best.
    assert.ok(Math.abs(offsetOf(c, i * 2e6 + 50_000) - 123_456) <= c.error * 1.1 + 1_000 + 21_000 / (i + 1));
  }
});

test("once settled, a small change is followed by at most 1 ms a second", () => {
  const c = new Clock();
  let t = 0;
  for (; t < 10e6; t += 2e6) exchange(c, t, 0, 300, 300);
  // All samples still kept are replaced by ones that are 20 ms ahead.
  let before = offsetOf(c, t);
  for (let i = 0; i < 40; i++, t += 2e6) {
    exchange(c, t, 20_000, 300, 300);
    const now = offsetOf(c, t + 1_000_000);
    assert.ok(now - before <= 2_100 && now >= before, `${before} to ${now}`);
    before = now;
  }
  assert.equal(Math.round(before), 20_000);
});

test("a jump of the clock is taken over at once", () => {
  const c = new Clock();
  let t = 0;
  for (; t < 40e6; t += 2e6) exchange(c, t, 0, 300, 300);
  for (let i = 0; i < 9; i++, t += 2e6) exchange(c, t, 3_600e6, 300, 300);
  assert.equal(offsetOf(c, t), 3_600e6);
});

test("an exchange that cannot have happened is ignored", () => {
  const c = new Clock();
  c.add(micros(100), micros(50), micros(40), micros(200));
  c.add(micros(100), micros(0), micros(500), micros(200) as Micros);
  assert.equal(c.known, false);
});
