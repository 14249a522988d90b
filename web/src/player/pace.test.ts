import assert from "node:assert/strict";
import { test } from "node:test";
import { Pace } from "./pace.ts";
import { micros } from "./units.ts";

const frame = 33_000;
const second = 1_000_000;

/** A pace past its start: n access units whose way took way; and when the last of them came. */
function quiet(n: number, way: number): { pace: Pace; end: number } {
  const pace = new Pace();
  let end = 0;
  for (let i = 0; i < n; i++) {
    end = i * frame;
    pace.arrived(micros(end), micros(end - way));
  }
  return { pace, end };
}

test("the first ten are acknowledged at once, and then one in three of those that take no longer than usual", () => {
  const pace = new Pace();
  const answers = Array.from({ length: 30 }, (_, i) => pace.arrived(micros(i * frame), micros(i * frame - 20_000)));
  assert.deepEqual(
    answers,
    Array.from({ length: 30 }, (_, i) => i < 10 || (i - 9) % 3 === 0),
  );
});

test("one in six is acknowledged once no two in a row were late for a second, and one in three again after two that were", () => {
  const { pace, end } = quiet(100, 20_000);
  const spacings = (from: number, n: number): number[] => {
    const acked = Array.from({ length: n }, (_, i) => i).filter((i) =>
      pace.arrived(micros(from + i * frame), micros(from + i * frame - 20_000)),
    );
    return acked.slice(1).map((at, i) => at - (acked[i] ?? 0));
  };
  assert.deepEqual(spacings(end + frame, 24), [6, 6, 6]);
  const late = end + 25 * frame;
  assert.equal(pace.arrived(micros(late), micros(late - 40_000)), true);
  assert.deepEqual(spacings(late + frame, 18), [6, 6]);
  const later = late + 19 * frame;
  assert.equal(pace.arrived(micros(later - frame), micros(later - frame - 40_000)), true);
  assert.equal(pace.arrived(micros(later), micros(later - 40_000)), true);
  assert.deepEqual(spacings(later + frame, 12), [3, 3, 3]);
  assert.deepEqual(spacings(late + 50 * second, 18), [1, 1, 1, 1, 1, 1, 1, 1, 1, 3, 3]);
});

test("what is left is overdue after 250 ms, once", () => {
  const { pace, end } = quiet(44, 20_000); // the last but four was acknowledged
  const acked = end - 4 * frame;
  assert.equal(pace.overdue(micros(acked + 249_999)), false);
  assert.equal(pace.overdue(micros(acked + 250_000)), true);
  assert.equal(pace.overdue(micros(acked + 350_000)), false);
});

test("one that takes 15 ms longer than the least is not, one that takes more is", () => {
  const { pace, end } = quiet(100, 20_000);
  assert.equal(pace.arrived(micros(end + frame), micros(end + frame - 35_000)), false);
  assert.equal(pace.arrived(micros(end + 2 * frame), micros(end + 2 * frame - 35_001)), true);
});

test("the clocks' offset does not matter", () => {
  for (const offset of [-3_600 * second, 3_600 * second]) {
    const { pace, end } = quiet(50, offset);
    assert.equal(pace.arrived(micros(end + frame), micros(end + frame - offset)), false);
    assert.equal(pace.arrived(micros(end + 2 * frame), micros(end + 2 * frame - offset - 30_000)), true);
  }
});

test("a longer route becomes the usual one within 15 to 30 s", () => {
  const { pace, end } = quiet(100, 20_000);
  let eagerUntil = end;
  let before = false;
  for (let at = end; at < end + 45 * second; at += frame) {
    const now = pace.arrived(micros(at), micros(at - 60_000));
    if (now && before) eagerUntil = at;
    before = now;
  }
  assert.ok(eagerUntil - end >= 15 * second - frame && eagerUntil - end <= 30 * second + frame, `${eagerUntil - end}`);
});
