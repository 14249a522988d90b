import assert from "node:assert/strict";
import { test } from "node:test";
import { choiceBy, untouched } from "./choice.ts";
import { addressOf, savedIn, type SavedWall } from "./saved.ts";

const night: SavedWall = { layout: "1+5", order: ["gate", "garden/pond"], spans: { "garden/pond": 2, road: 3 }, turn: 20, group: "outside" };

test("walls are read back by name", () => {
  const kept: unknown = JSON.parse(JSON.stringify({ wall: {}, walls: { "Night round": night } }));
  assert.deepEqual([...savedIn(kept)], [["Night round", night]]);
});

test("what no build of these pages wrote is no wall, or one that nobody touched", () => {
  for (const kept of [undefined, null, 7, {}, { walls: 7 }, { walls: ["a"] }]) assert.equal(savedIn(kept).size, 0);
  assert.deepEqual(savedIn({ walls: { odd: 7 } }).get("odd"), { ...untouched, group: "" });
});

test("the address of a wall gives the same wall", () => {
  const parameters = new URL(addressOf(night), "https://cam.lan").searchParams;
  assert.equal(parameters.get("group"), "outside");
  const { order, ...rest } = choiceBy(parameters, { ...untouched, order: ["mine"], spans: { mine: 4 } });
  assert.deepEqual(order, ["gate", "garden/pond", "road"]);
  assert.deepEqual(rest, { layout: "1+5", spans: { "garden/pond": 2, road: 3 }, turn: 20 });
});

test("a wall that nobody touched needs no more than its layout", () => {
  assert.equal(addressOf({ ...untouched, group: "" }), "/?layout=auto");
});
