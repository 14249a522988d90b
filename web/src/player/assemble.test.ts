import assert from "node:assert/strict";
import { test } from "node:test";
import { Assembler } from "./assemble.ts";
import { micros } from "./units.ts";
import { ProtocolError, type Media } from "./wire.ts";

const chunkLen = 16_256;

function chunk(index: number, totalLen: number, seq = 1, rendition = 1): Media {
  const chunkCount = Math.ceil(totalLen / chunkLen);
  const payload = new Uint8Array(index === chunkCount - 1 ? totalLen - index * chunkLen : chunkLen).fill(index + 1);
  return {
    type: "media", key: true, discardable: false, discontinuity: false, rendition, generation: 0, seq, depDelta: 0,
    chunkIndex: index, chunkCount, capture: micros(5), encodeDelay: micros(1), totalLen, payload,
  };
}

test("one chunk is an access unit without a copy", () => {
  const c = chunk(0, 10);
  assert.equal(new Assembler().push(c)?.data, c.payload);
});

test("chunks become the whole access unit, in their places", () => {
  const a = new Assembler();
  const total = 2 * chunkLen + 7;
  assert.equal(a.push(chunk(0, total)), undefined);
  assert.equal(a.push(chunk(1, total)), undefined);
  const u = a.push(chunk(2, total));
  assert.equal(u?.data.length, total);
  assert.deepEqual([u?.data[0], u?.data[chunkLen], u?.data[total - 1]], [1, 2, 3]);
});

test("two renditions may travel at once", () => {
  const a = new Assembler();
  a.push(chunk(0, chunkLen + 1, 1, 1));
  a.push(chunk(0, chunkLen + 1, 9, 2));
  assert.equal(a.push(chunk(1, chunkLen + 1, 1, 1))?.seq, 1);
  assert.equal(a.push(chunk(1, chunkLen + 1, 9, 2))?.seq, 9);
});

test("an aborted access unit is forgotten, and another may begin", () => {
  const a = new Assembler();
  a.push(chunk(0, chunkLen + 1, 1));
  a.abort({ type: "abort", rendition: 1, seq: 1 });
  assert.equal(a.push(chunk(0, 3, 2))?.seq, 2);
});

test("an abort of another access unit changes nothing", () => {
  const a = new Assembler();
  a.push(chunk(0, chunkLen + 1, 1));
  a.abort({ type: "abort", rendition: 1, seq: 7 });
  assert.equal(a.push(chunk(1, chunkLen + 1, 1))?.seq, 1);
});

test("chunks out of order are refused", () => {
  const total = 2 * chunkLen + 1;
  const cases: Media[][] = [
    [chunk(1, total)],
    [chunk(0, total), chunk(2, total)],
    [chunk(0, total), chunk(0, total)],
    [chunk(0, total), chunk(1, total, 2)],
    [chunk(0, total), chunk(1, total + 1)],
    [chunk(0, total), chunk(0, 5, 2)],
  ];
  for (const chunks of cases) {
    const a = new Assembler();
    assert.throws(() => chunks.forEach((c) => a.push(c)), ProtocolError);
  }
});
