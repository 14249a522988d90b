import assert from "node:assert/strict";
import { test } from "node:test";
import { layout, nextTile, pages, rows, type Room } from "./grid.ts";

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

const room = (width: number, height: number, gap = 16): Room => ({ width, height, gap });
const ones = (n: number): number[] => Array.from({ length: n }, () => 1);
/** Columns and width. */
const auto = (n: number, in_: Room): [number, number] => {
  const { columns, width } = layout("auto", ones(n), in_);
  return [columns, width];
};

test("tiles are as large as the window allows", () => {
  assert.deepEqual(auto(1, room(1400, 800)), [1, 1400]);
  assert.deepEqual(auto(1, room(1400, 450)), [1, 800]);
  assert.equal(auto(2, room(1400, 808))[0], 2, "about the same beside each other as one above the other");
  assert.equal(auto(4, room(1400, 800))[0], 2);
  assert.equal(auto(5, room(1400, 800))[0], 3);
  assert.equal(auto(2, room(390, 800, 12))[0], 1);
});

test("what does not fit scrolls, at a width that can be told apart", () => {
  assert.deepEqual(auto(60, room(1400, 800)), [4, 1400]);
  assert.deepEqual(auto(9, room(366, 700, 12)), [1, 366]);
  assert.equal(auto(0, room(1400, 800))[0], 1);
});

test("larger tiles take whole cells, and no more than there are columns", () => {
  const { columns, spans, row, width } = layout("auto", [2, 1, 1, 1, 1, 1], room(1400, 800));
  assert.deepEqual([columns, spans], [3, [2, 1, 1, 1, 1, 1]]);
  assert.ok(3 * row + 2 * 16 <= 801 && width <= 1400);
  assert.deepEqual(layout("auto", [4, 1], room(366, 700, 12)).spans, [1, 1]);
});

test("squares are put where there is room first", () => {
  assert.equal(rows([], 3), 0);
  assert.equal(rows([1, 1, 1, 1], 3), 2);
  assert.equal(rows([2, 1, 1, 1, 1, 1], 3), 3);
  assert.equal(rows([1, 2, 1, 1, 1], 3), 3, "the third is put beside the second");
  assert.equal(rows([1, 1, 2, 1, 1], 3), 3, "and what is before a large one is filled");
});

test("a layout by name has its columns, and fits into the window", () => {
  const { columns, spans, row } = layout("1+5", ones(4), room(1400, 800));
  assert.deepEqual([columns, spans], [3, [2, 1, 1, 1]]);
  assert.ok(3 * row + 2 * 16 <= 801);
  assert.equal(layout("4x4", ones(2), room(1400, 800)).columns, 4);
  assert.equal(layout("4x4", ones(16), room(366, 700, 12)).columns, 1, "on a phone it is as if none was chosen");
});

test("a layout by name parts the tiles into pages", () => {
  assert.deepEqual(pages("2x2", ones(9), room(1400, 800), false), [{ from: 0, to: 4 }, { from: 4, to: 8 }, { from: 8, to: 9 }]);
  assert.deepEqual(pages("1+5", ones(6), room(1400, 800), true), [{ from: 0, to: 6 }]);
  assert.deepEqual(pages("3x3", [], room(1400, 800), false), [{ from: 0, to: 0 }]);
});

test("pages that are turned show what the window holds; else it scrolls", () => {
  assert.deepEqual(pages("auto", ones(60), room(1400, 800), false), [{ from: 0, to: 60 }]);
  const turned = pages("auto", ones(60), room(1400, 800), true);
  assert.ok(turned.length > 1 && turned.length < 10, `${turned.length} pages`);
  for (const p of turned) {
    const { columns, row, spans } = layout("auto", ones(p.to - p.from), room(1400, 800));
    const n = rows(spans, columns);
    assert.ok(n * row + (n - 1) * 16 <= 801, `${p.from} to ${p.to} is ${n} rows of ${row}`);
  }
  assert.equal(turned.at(-1)?.to, 60);
});
