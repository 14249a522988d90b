import assert from "node:assert/strict";
import { test } from "node:test";
import { Gate } from "./gate.ts";

const key = (seq: number, rendition = 1, generation = 0) => ({ key: true, rendition, generation, seq, depDelta: 0 });
const delta = (seq: number, depDelta = 1, rendition = 1, generation = 0) => ({ key: false, rendition, generation, seq, depDelta });

test("nothing passes before a key", () => {
  const g = new Gate();
  assert.ok(g.needsKey);
  assert.equal(g.admit(delta(1)), false);
  assert.equal(g.admit(key(2)), true);
  assert.equal(g.admit(delta(3)), true);
  assert.equal(g.lastGood, 3);
});

test("after a gap only a key passes", () => {
  const g = new Gate();
  g.admit(key(1));
  assert.equal(g.admit(delta(3)), false);
  assert.equal(g.admit(delta(4)), false);
  assert.equal(g.admit(key(5)), true);
  assert.equal(g.admit(delta(6)), true);
});

test("a delta may refer past one that was not sent", () => {
  const g = new Gate();
  g.admit(key(1));
  assert.equal(g.admit(delta(3, 2)), true);
});

test("a delta may not refer to a picture from before the key", () => {
  const g = new Gate();
  g.admit(key(1));
  g.admit(key(2));
  assert.equal(g.admit(delta(3, 2)), false);
});

test("sequence numbers wrap", () => {
  const g = new Gate();
  g.admit(key(0xffff_ffff));
  assert.equal(g.admit(delta(0)), true);
});

test("another rendition or generation begins with a key", () => {
  const g = new Gate();
  g.admit(key(1));
  assert.equal(g.admit(delta(2, 1, 2)), false);
  assert.equal(g.admit(delta(2, 1, 1, 1)), false);
  assert.equal(g.admit(delta(2)), true);
  assert.equal(g.admit(key(1, 2)), true);
  assert.equal(g.admit(delta(3)), false, "the rendition left behind");
});

test("a reset closes the gate", () => {
  const g = new Gate();
  g.admit(key(1));
  g.reset();
  assert.equal(g.admit(delta(2)), false);
});

test("a reference further back than the memory is refused, after any number of pictures", () => {
  const g = new Gate();
  g.admit(key(0));
  for (let seq = 1; seq <= 1_000; seq++) assert.equal(g.admit(delta(seq)), true);
  assert.equal(g.admit(delta(1_001, 200)), false);
});
