import assert from "node:assert/strict";
import { test } from "node:test";
import { Happenings } from "./happenings.ts";

const at = (seconds: number): Date => new Date(seconds * 1000);
/** "door:live yard:idle" */
const streams = (text: string) => text.split(" ").filter((s) => s !== "").map((s) => ({ id: s.split(":")[0] ?? "", state: s.split(":")[1] ?? "" }));
const told = (h: Happenings, text: string, seconds: number) => h.update(streams(text), at(seconds)).map((e) => `${e.stream} ${e.what}${e.away === undefined ? "" : ` ${e.away / 1000}`}`);

test("what is the case from the start is no event", () => {
  const h = new Happenings();
  assert.deepEqual(told(h, "door:live yard:offline", 0), []);
  assert.deepEqual(told(h, "door:live yard:offline", 3), []);
  assert.deepEqual(told(h, "door:live yard:live", 6), []);
});

test("a camera that is lost and comes back, once each", () => {
  const h = new Happenings();
  told(h, "door:live yard:live", 0);
  assert.deepEqual(told(h, "door:offline yard:live", 3), ["door lost"]);
  assert.deepEqual(told(h, "door:stalled yard:live", 6), []);
  assert.deepEqual(told(h, "door:connecting yard:live", 9), [], "not back before there is a picture");
  assert.deepEqual(told(h, "door:live yard:live", 12), ["door back 9"]);
  assert.deepEqual(h.list.map((e) => e.what), ["back", "lost"]);
});

test("a camera at rest is not lost", () => {
  const h = new Happenings();
  told(h, "door:live", 0);
  assert.deepEqual(told(h, "door:idle", 3), []);
  assert.deepEqual(told(h, "door:connecting", 6), []);
  assert.deepEqual(told(h, "door:live", 9), []);
});

test("cameras that come and go", () => {
  const h = new Happenings();
  told(h, "door:live", 0);
  assert.deepEqual(told(h, "door:live yard:idle", 3), ["yard added"]);
  assert.deepEqual(told(h, "yard:idle", 6), ["door removed"]);
});

test("the newest fifty are kept", () => {
  const h = new Happenings();
  told(h, "door:live", 0);
  for (let i = 0; i < 40; i++) {
    told(h, "door:offline", 2 * i + 1);
    told(h, "door:live", 2 * i + 2);
  }
  assert.equal(h.list.length, 50);
  assert.equal(h.list[0]?.at.getTime(), 80_000);
});
