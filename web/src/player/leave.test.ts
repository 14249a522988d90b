import assert from "node:assert/strict";
import { test } from "node:test";
import { Leave } from "./leave.ts";
import { micros } from "./units.ts";

const s = (seconds: number) => micros(seconds * 1e6);

test("leave without an end is never renewed", () => {
  const leave = new Leave();
  assert.equal(leave.due(s(0), s(5)), false);
});

test("a long leave is renewed in its last half minute, and asked for again every five seconds until it is", () => {
  const leave = new Leave();
  const due = (at: number) => leave.due(s(3600), s(at));
  assert.deepEqual([0, 3569, 3570, 3574, 3575].map(due), [false, false, true, false, true]);
});

test("a short leave is renewed in its last fifth", () => {
  const leave = new Leave();
  assert.deepEqual([100, 107.9, 108.1].map((at) => leave.due(s(110), s(at))), [false, false, true]);
});

test("once renewed, it is not asked for before the new end draws near", () => {
  const leave = new Leave();
  assert.equal(leave.due(s(100), s(0)), false);
  assert.equal(leave.due(s(100), s(90)), true);
  assert.equal(leave.due(s(200), s(91)), false);
  assert.equal(leave.due(s(200), s(185)), true);
});
