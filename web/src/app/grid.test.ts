import assert from "node:assert/strict";
import { test } from "node:test";
import { layout, nextTile } from "./grid.ts";

/** Five tiles in rows of three. */
const five = [0, 1, 2, 3, 4].map((i) => ({ left: (i % 3) * 110, top: Math.floor(i / 3) * 70, width: 100, height: 60 }));

test("arrows lead to the neighbour, and stop at the edges", () => {
  assert.equal(nextTile(five, 0, "right"), 1);
  assert.equal(nextTile(five, 2, "right"), 3);
  assert.equal(nextTile(five, 4, "right"), 4);
  assert.equal(nextTile(five, 0, "left"), 0);
  assert.equal(nextTile(five, 1, "down"), 4);
  assert.equal(nextTile(five, 2, "down"), 4);
  assert.equal(nextTile(five, 4, "up"), 1);
  assert.equal(nextTile(five, 0, "up"), 0);
  assert.equal(nextTile(five, 4, "down"), 4);
});

test("without a current tile the first is next", () => {
  assert.equal(nextTile(five, -1, "down"), 0);
  assert.equal(nextTile([], -1, "down"), -1);
});

test("tiles are as large as the window allows", () => {
  assert.deepEqual(layout(1, 1400, 800, 16), { columns: 1, width: 1400 });
  assert.deepEqual(layout(1, 1400, 450, 16), { columns: 1, width: 800 });
  assert.equal(layout(2, 1400, 808, 16).columns, 2, "about the same beside each other as one above the other");
  assert.equal(layout(4, 1400, 800, 16).columns, 2);
  assert.equal(layout(5, 1400, 800, 16).columns, 3);
  assert.equal(layout(2, 390, 800, 12).columns, 1);
});

test("what does not fit scrolls, at a width that can be told apart", () => {
  assert.deepEqual(layout(60, 1400, 800, 16), { columns: 4, width: 1400 });
  assert.deepEqual(layout(9, 366, 700, 12), { columns: 1, width: 366 });
  assert.equal(layout(0, 1400, 800, 16).columns, 1);
});
