import assert from "node:assert/strict";
import { test } from "node:test";
import { Freezes } from "./freezes.ts";
import { micros } from "./units.ts";

const ms = (n: number) => micros(n * 1_000);

/** A picture every 40 ms for two seconds. */
function running(): Freezes {
  const f = new Freezes();
  for (let t = 0; t <= 2_000; t += 40) f.painted(ms(t));
  return f;
}

test("an even picture never stands still", () => {
  assert.deepEqual(running().figures(ms(2_040)), { count: 0, longest: 0, total: 0 });
});

test("a gap of three pictures is not a freeze before it is 150 ms longer than they usually are", () => {
  const f = running();
  assert.equal(f.figures(ms(2_190)).count, 0);
  assert.equal(f.figures(ms(2_191)).count, 1);
});

test("a freeze counts while it goes on, and once", () => {
  const f = running();
  assert.deepEqual(f.figures(ms(2_700)), { count: 1, longest: 700_000, total: 700_000 });
  f.painted(ms(3_000));
  f.painted(ms(3_040));
  assert.deepEqual(f.figures(ms(3_050)), { count: 1, longest: 1_000_000, total: 1_000_000 });
  f.painted(ms(3_540));
  assert.deepEqual(f.figures(ms(3_540)), { count: 2, longest: 1_000_000, total: 1_500_000 });
});

test("slow cameras are not frozen between their pictures", () => {
  const f = new Freezes();
  for (let t = 0; t <= 20_000; t += 1_000) f.painted(ms(t));
  assert.equal(f.figures(ms(22_900)).count, 0);
  assert.equal(f.figures(ms(23_100)).count, 1);
});

test("what is out of sight does not freeze", () => {
  const f = running();
  f.pause(ms(2_010));
  assert.equal(f.figures(ms(60_000)).count, 0);
  f.painted(ms(60_000));
  f.painted(ms(60_040));
  assert.equal(f.figures(ms(60_050)).count, 0);
});
