import assert from "node:assert/strict";
import { test } from "node:test";
import { micros } from "./units.ts";
import { Window } from "./window.ts";

const second = 1_000_000;

test("quantiles by nearest rank", () => {
  const w = new Window(micros(second));
  assert.equal(w.quantile(0.5, micros(0)), undefined);
  for (let i = 1; i <= 100; i++) w.add(micros(i), 101 - i);
  assert.equal(w.quantile(0.5, micros(100)), 50);
  assert.equal(w.quantile(0.95, micros(100)), 95);
  assert.equal(w.quantile(1, micros(100)), 100);
  assert.equal(w.quantile(0, micros(100)), 1);
});

test("what is older than the window is forgotten", () => {
  const w = new Window(micros(second));
  w.add(micros(0), 100);
  w.add(micros(600_000), 1);
  assert.equal(w.quantile(1, micros(900_000)), 100);
  assert.equal(w.quantile(1, micros(1_100_000)), 1);
  assert.equal(w.quantile(1, micros(1_700_000)), undefined);
});

test("a steady rate is read exactly, wherever in an interval one looks", () => {
  const w = new Window(micros(5 * second));
  for (let i = 0; i < 300; i++) w.add(micros(i * 33_367), 1);
  for (const late of [0, 10_000, 33_000]) {
    assert.ok(Math.abs(w.perSecond(micros(299 * 33_367 + late)) - 29.97) < 0.01);
  }
});

test("the rate falls when nothing comes any more", () => {
  const w = new Window(micros(5 * second));
  for (let i = 0; i < 30; i++) w.add(micros(i * 33_333), 1);
  const at = 29 * 33_333;
  assert.ok(w.perSecond(micros(at + second)) < 15.1);
  assert.equal(w.perSecond(micros(at + 6 * second)), 0);
});

test("one value makes no rate", () => {
  const w = new Window(micros(second));
  assert.equal(w.perSecond(micros(0)), 0);
  w.add(micros(0), 8);
  assert.equal(w.perSecond(micros(500_000)), 0);
});
