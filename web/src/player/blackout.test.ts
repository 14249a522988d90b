import assert from "node:assert/strict";
import { test } from "node:test";
import { Blackout, type Path } from "./blackout.ts";
import { micros } from "./units.ts";

const path: Path = { expects: true, rtt: micros(40_000), carriesBps: 0, answered: false };
const ms = (n: number) => micros(n * 1_000);
const step = 100; // ms, as the session looks

/** Looks from one time to another, hearing something at the times that hears says: when it advised what. */
function run(b: Blackout, from: number, to: number, hears: (t: number) => boolean, p: Path = path, chance = 0): { asks: number[]; connects: number[] } {
  const asks: number[] = [];
  const connects: number[] = [];
  for (let t = from; t < to; t += step) {
    if (hears(t)) b.heard(ms(t));
    const advice = b.look(ms(t), p, chance);
    if (advice === "ask") asks.push(t);
    if (advice === "connect") connects.push(t);
  }
  return { asks, connects };
}

const always = () => true;
const never = () => false;
const every = (n: number) => (t: number) => t % n === 0;

/** One that has run well for a second. */
function running(p: Path = path): Blackout {
  const b = new Blackout();
  run(b, 1_000, 2_000, always, p);
  return b;
}

test("while something arrives nothing is done", () => {
  assert.deepEqual(run(running(), 2_000, 60_000, always), { asks: [], connects: [] });
});

test("after half a second of silence it asks, after one it connects", () => {
  const { asks, connects } = run(running(), 2_000, 3_200, never);
  assert.deepEqual(asks, [2_500]);
  assert.deepEqual(connects, [2_900]); // heard last at 1,900
});

test("tries are bounded and grow rarer", () => {
  const { connects } = run(running(), 2_000, 60_000, never);
  assert.equal(connects.length, 6);
  const gaps = connects.slice(1).map((t, i) => t - (connects[i] ?? 0));
  assert.ok(gaps.every((g, i) => g >= 400 && g >= (gaps[i - 1] ?? 0)), gaps.join());
});

test("a second connection that opened is waited for", () => {
  const b = running();
  assert.equal(run(b, 2_000, 3_000, never).connects.length, 1);
  assert.deepEqual(run(b, 3_000, 6_000, never, { ...path, answered: true }).connects, []);
});

test("an attempt has the time that a long way takes", () => {
  const { connects } = run(running({ ...path, rtt: micros(600_000) }), 2_000, 20_000, never, { ...path, rtt: micros(600_000) });
  assert.ok((connects[0] ?? 0) - 1_900 >= 2_400 && (connects[1] ?? 0) - (connects[0] ?? 0) >= 2_400, connects.join());
});

test("many viewers do not come all at once", () => {
  const [early, late] = [0, 0.99].map((chance) => run(running(), 2_000, 4_000, never, path, chance).connects[0] ?? 0);
  assert.ok((late ?? 0) - (early ?? 0) >= 200, `${early} and ${late}`);
});

test("a stream of one picture a second, which answers when asked, is left alone", () => {
  const b = running();
  let answer = Infinity;
  for (let t = 2_000; t < 60_000; t += step) {
    if (t % 1_000 === 0 || t >= answer) {
      b.heard(ms(t));
      answer = Infinity;
    }
    const advice = b.look(ms(t), path, 0);
    assert.notEqual(advice, "connect");
    if (advice === "ask") answer = t + 40;
  }
});

test("a paused player, and one whose camera is away, do nothing and begin anew", () => {
  const b = running();
  const idle = { ...path, expects: false };
  assert.deepEqual(run(b, 2_000, 30_000, every(2_000), idle), { asks: [], connects: [] });
  assert.deepEqual(run(b, 30_000, 30_500, never).connects, []);
});

test("a slow network has the time that its largest message takes", () => {
  const slow = { ...path, carriesBps: 64_000 };
  const b = running(slow);
  assert.deepEqual(run(b, 2_000, 4_900, never, slow).connects, []);
  assert.equal(run(b, 4_900, 5_300, never, slow).connects.length, 1);
});

test("a network that is silent for a while again and again is waited for after the first time", () => {
  const b = running();
  const lumpy = (t: number) => (t - 2_000) % 1_400 === 0;
  const { connects } = run(b, 2_000, 30_000, lumpy);
  assert.ok(connects.length <= 1, connects.join());
});

test("after one blackout the next has to last longer, for half a minute", () => {
  const b = running();
  assert.equal(run(b, 2_000, 3_000, never).connects.length, 1);
  run(b, 3_000, 10_000, always);
  assert.deepEqual(run(b, 10_000, 11_300, never).connects, []);
  run(b, 11_300, 60_000, always);
  assert.equal(run(b, 60_000, 61_100, never).connects.length, 1);
});

test("a device that slept is no blackout", () => {
  const b = running();
  assert.equal(b.look(ms(600_000), path, 0), "wait");
  assert.deepEqual(run(b, 600_100, 600_400, never), { asks: [], connects: [] });
  b.heard(ms(600_400));
  assert.equal(run(b, 600_500, 601_600, never).connects.length, 1, "and teaches nothing");
});

test("what is silent before pictures are due teaches nothing", () => {
  const b = new Blackout();
  b.heard(ms(100_000));
  run(b, 100_000, 101_000, always);
  assert.equal(run(b, 101_000, 102_100, never).connects.length, 1);
});
