import assert from "node:assert/strict";
import { test } from "node:test";
import { choiceBy, choiceIn, inOrder, moved, untouched } from "./choice.ts";

test("what was kept is read back", () => {
  const chosen = { layout: "3x3" as const, order: ["b", "a"], spans: { a: 2 }, turn: 10 };
  assert.deepEqual(choiceIn(JSON.parse(JSON.stringify({ wall: chosen }))), chosen);
});

test("what no build of these pages wrote is as if nothing was chosen", () => {
  for (const kept of [undefined, null, {}, { wall: 7 }, { wall: { layout: "9x9", order: "a", spans: [], turn: "soon" } }]) assert.deepEqual(choiceIn(kept), untouched);
  assert.deepEqual(choiceIn({ wall: { order: ["a", 7], spans: { a: 2, b: 99, c: 1.5, d: "2" }, turn: -1 } }), { ...untouched, order: ["a"], spans: { a: 2 } });
});

test("the address comes first", () => {
  const by = (query: string) => choiceBy(new URLSearchParams(query), { ...untouched, layout: "2x2", turn: 20 });
  assert.equal(by("").layout, "2x2");
  assert.equal(by("?layout=5x5").layout, "5x5");
  assert.equal(by("?layout=1%2B5").layout, "1+5");
  assert.equal(by("?layout=1+5").layout, "1+5");
  assert.equal(by("?layout=x").layout, "2x2");
  assert.equal(by("?turn=0").turn, 0);
  assert.equal(by("?turn=7").turn, 7);
  assert.equal(by("?turn=x").turn, 20);
  assert.deepEqual(by("?tiles=b*2,a,c*9,d*x"), { ...by(""), order: ["b", "a", "c", "d"], spans: { b: 2 } });
});

test("who was not placed comes last, by name", () => {
  assert.deepEqual(inOrder(["a", "b", "c", "d"], ["d", "gone", "b"]), ["d", "b", "a", "c"]);
});

test("one is moved, and the others keep their order", () => {
  assert.deepEqual(moved(["a", "b", "c", "d"], "a", 2), ["b", "c", "a", "d"]);
  assert.deepEqual(moved(["a", "b", "c", "d"], "d", 0), ["d", "a", "b", "c"]);
  assert.deepEqual(moved(["a", "b"], "b", 9), ["a", "b"]);
});
