import assert from "node:assert/strict";
import { test } from "node:test";
import { lines, worthTelling } from "./viewport.ts";

const wide = { width: 1280, height: 720 };

test("the lines of picture that fit", () => {
  assert.equal(lines({ width: 320, height: 180 }, wide, 1), 180);
  assert.equal(lines({ width: 320, height: 180 }, wide, 2), 360, "device pixels");
  assert.equal(lines({ width: 390, height: 844 }, wide, 1), 219, "the width bounds it");
  assert.equal(lines({ width: 1000, height: 300 }, { width: 640, height: 480 }, 1), 300, "the height bounds it");
  assert.equal(lines({ width: 1e6, height: 1e6 }, wide, 4), 0xffff, "what the message can hold");
});

test("only changes of a tenth are told", () => {
  assert.ok(worthTelling(720, 0));
  assert.ok(!worthTelling(0, 720), "no size is no wish");
  assert.ok(!worthTelling(700, 720) && !worthTelling(760, 720));
  assert.ok(worthTelling(640, 720) && worthTelling(800, 720));
});

test("a size that goes back and forth over a limit is told once", () => {
  let told = 360;
  let times = 0;
  for (const now of [396, 392, 397, 393, 396]) {
    if (!worthTelling(now, told)) continue;
    told = now;
    times++;
  }
  assert.equal(times, 1);
});
