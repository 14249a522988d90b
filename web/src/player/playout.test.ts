import assert from "node:assert/strict";
import { test } from "node:test";
import { Playout, type Mode, type Verdict } from "./playout.ts";
import { micros, type Micros } from "./units.ts";

const interval = micros(33_333);
const ms = (n: number) => micros(n * 1_000);
/** Between the clock of captures and this side's. */
const offset = 5_000_000_000;

/**
 * Pictures that take 20 ms and what ways says for each, and more where the one before is not there yet: when each is played after
 * its capture, in ms.
 */
function play(p: Playout, ways: readonly number[], from = 0): number[] {
  let now = micros(0);
  return ways.map((extra, i) => {
    const capture = micros((from + i) * interval);
    now = micros(Math.max(now, capture + offset + 20_000 + extra * 1_000));
    const due = Math.max(p.arrived(now, capture, interval), now);
    return Math.round((due - capture - offset) / 1_000);
  });
}

const steady = (n: number) => Array.from({ length: n }, () => 0);
/** Every fifth picture takes so much longer. */
const jittery = (n: number, extra: number) => Array.from({ length: n }, (_, i) => (i % 5 === 4 ? extra : 0));

for (const mode of ["live", "smooth"] as Mode[]) {
  test(`${mode}: a steady network has nothing held back`, () => {
    const p = new Playout(mode);
    assert.deepEqual(new Set(play(p, steady(200))), new Set([20]));
    assert.equal(p.delay, 0);
  });
}

test("live: a single late picture is shown when it is there, and nothing is held back for it", () => {
  const p = new Playout("live");
  assert.deepEqual(play(p, [0, 0, 0, 90, 0, 0, 0, 0]), [20, 20, 20, 110, 77, 43, 20, 20]);
});

test("live: pictures that came too late again and again have one picture's time held back, never more", () => {
  const p = new Playout("live");
  const played = play(p, jittery(200, 90));
  assert.equal(p.delay, interval);
  assert.ok(played.slice(10).every((t) => t <= 110));
  // The one that is late, those right behind it, and those on time.
  assert.deepEqual(played.slice(-6), [110, 77, 53, 53, 53, 110]);
});

test("live: the delay is no longer than the variation asks for", () => {
  const p = new Playout("live");
  play(p, jittery(200, 20));
  assert.ok(p.delay > 0 && p.delay <= 20_000, `${p.delay}`);
});

test("live: pictures that all take longer from now on are no underruns", () => {
  const p = new Playout("live");
  play(p, [...steady(60), ...Array.from({ length: 60 }, () => 400)]);
  assert.equal(p.delay, 0);
});

test("smooth: what evens out 95 of 100 pictures is held back, and all of these come out evenly", () => {
  const p = new Playout("smooth");
  const played = play(p, jittery(300, 60));
  assert.deepEqual(new Set(played.slice(20)), new Set([80]));
});

test("smooth: never more than 150 ms", () => {
  const p = new Playout("smooth");
  play(p, jittery(300, 900));
  assert.equal(p.delay, 150_000);
});

test("live: what was held back is given up within seconds", () => {
  const p = new Playout("live");
  play(p, jittery(100, 90));
  assert.equal(p.delay, interval);
  // The underruns are remembered for 2 s.
  play(p, steady(5 * 30), 100);
  assert.equal(p.delay, 0);
});

test("smooth: the delay grows at once and shrinks by 2 ms a second", () => {
  const p = new Playout("smooth");
  play(p, jittery(150, 60));
  const before = p.delay;
  const n = 10 * 30;
  play(p, steady(n), 150);
  // The variation remembers for 5 s.
  assert.ok(p.delay < before - 8_000 && p.delay > before - 22_000, `${before} to ${p.delay}`);
});

test("going back to live gives the delay up at once", () => {
  const p = new Playout("smooth");
  play(p, jittery(150, 100));
  p.mode = "live";
  assert.equal(p.delay, 0);
});

/** So many pictures without anything in their way, each shown. */
function played(p: Playout, n: number): void {
  play(p, steady(n));
  for (let i = 0; i < n; i++) p.judge(micros(i * interval + offset + 20_000), micros(i * interval));
}

/** Takes in picture i at now, and says what becomes of it when it is decoded at once. */
function take(p: Playout, i: number, now: number): Verdict {
  p.arrived(micros(now), micros(i * interval), interval);
  return p.judge(micros(now), micros(i * interval));
}

/** When picture i is there if nothing delays it. */
const onTime = (i: number) => i * interval + offset + 20_000;

/** After a pause the pictures of a second arrive together: which of them are shown. */
function afterAPause(mode: Mode): number[] {
  const p = new Playout(mode);
  played(p, 60);
  const captures: Micros[] = [];
  const back = micros(90 * interval + offset);
  for (let i = 60; i < 90; i++) {
    captures.push(micros(i * interval));
    p.arrived(micros(Math.max(back, onTime(i))), micros(i * interval), interval);
  }
  return captures.filter((c) => p.judge(back, c) === "show").map((c) => c / interval);
}

test("live: after a pause the picture jumps to now", () => {
  assert.deepEqual(afterAPause("live"), [88, 89]);
});

test("smooth: after a pause nothing is played that is much older than it holds back", () => {
  const shown = afterAPause("smooth");
  assert.equal(shown.at(-1), 89);
  assert.ok(Math.min(...shown) >= 83, shown.join());
});

test("live: after a pause nothing old is played though each picture is decoded before the next one is there", () => {
  const p = new Playout("live");
  played(p, 60);
  const back = 90 * interval + offset;
  const shown = [];
  for (let i = 60; i < 95; i++) if (take(p, i, Math.max(back + (i - 60) * 1_000, onTime(i))) === "show") shown.push(i);
  assert.ok(Math.min(...shown) >= 86, shown.join());
  assert.equal(shown.at(-1), 94);
});

test("live: what was on the path before an outage is not played when it comes after it", () => {
  const p = new Playout("live");
  played(p, 60);
  const back = onTime(120);
  for (let i = 60; i < 70; i++) assert.equal(take(p, i, back + (i - 60) * 20_000), "wait");
  // The server has learnt that the path is back.
  assert.equal(take(p, 126, onTime(126) + 90_000), "show");
  assert.equal(p.waitsUntil, undefined);
  assert.equal(take(p, 127, onTime(127) + 60_000), "show");
});

test("live: where nothing fresher comes, the newest is shown after half of the time that it is late by, a second at most", () => {
  for (const [late, wait] of [[400_000, 200_000], [30_000_000, 1_000_000]] as const) {
    const p = new Playout("live");
    played(p, 60);
    const at = onTime(60) + late;
    assert.equal(take(p, 60, at), "wait");
    assert.equal(take(p, 61, at + interval), "wait");
    assert.equal(p.waitsUntil, at + wait);
    p.waited();
    assert.equal(p.waitsUntil, undefined);
    // So late they are from now on, and are shown as they come.
    for (let i = 80; i < 120; i++) assert.equal(take(p, i, onTime(i) + late), "show");
  }
});

test("live: pictures that come ever later are all shown", () => {
  const p = new Playout("live");
  played(p, 60);
  for (let i = 60; i < 120; i++) assert.equal(take(p, i, onTime(i) + (i - 60) * 30_000), "show");
});

test("live: a picture that waits is forgotten with those that are not decoded", () => {
  const p = new Playout("live");
  played(p, 60);
  assert.equal(take(p, 60, onTime(60) + 2_000_000), "wait");
  p.forget();
  assert.equal(p.waitsUntil, undefined);
});

test("pictures that are all late by as much are all shown", () => {
  const p = new Playout("live");
  play(p, steady(60));
  for (let i = 60; i < 120; i++) {
    const capture = micros(i * interval);
    const now = micros(onTime(i) + 480_000);
    p.arrived(now, capture, interval);
    // The decoder is always one behind.
    if (i > 60) assert.equal(p.judge(now, micros((i - 1) * interval)), "show");
  }
});

test("what will not be decoded overtakes nothing", () => {
  const p = new Playout("live");
  play(p, [0, 900]);
  p.arrived(micros(2 * interval + offset + 20_000), micros(2 * interval), interval);
  p.forget();
  assert.equal(p.judge(micros(onTime(1) + 900_000), interval), "show");
});

test("captures that begin anew are judged anew", () => {
  const p = new Playout("live");
  const at = ms(10_000_000);
  p.arrived(at, ms(9_000_000), interval);
  const due = p.arrived(micros(at + interval), ms(5), interval);
  assert.equal(due, at + interval);
});
