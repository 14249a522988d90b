import assert from "node:assert/strict";
import { test } from "node:test";
import { choices, isQuality, orders, pinned, rendition } from "./quality.ts";
import { stringsIn } from "./strings.ts";
import { CtrlOp, Preference, type Rendition } from "./wire.ts";

const of = (id: number, name: string, height: number): Rendition => ({
  id, name, codec: "h264", width: (height * 16) / 9, height, frame_rate_milli: 30_000, min_bitrate_bps: 0, max_bitrate_bps: height * 1_000,
});
const ladder = [of(3, "360p", 360), of(7, "720p", 720)];

test("what is a quality", () => {
  for (const q of ["auto", "high", "low", "saver", "detail", "motion", "rendition:720p", "rendition:high"]) assert.ok(isQuality(q), q);
  for (const q of [null, "", "best", "720p", "rendition:", "toString"]) assert.ok(!isQuality(q), `${q}`);
});

test("a preference takes a pin back", () => {
  assert.deepEqual(orders("saver", ladder), [{ op: CtrlOp.auto, argument: 0 }, { op: CtrlOp.prefer, argument: Preference.saver }]);
  assert.deepEqual(orders("auto", []), [{ op: CtrlOp.auto, argument: 0 }, { op: CtrlOp.prefer, argument: 0 }]);
});

test("a pin goes by name, and takes a preference back", () => {
  assert.deepEqual(orders(rendition("720p"), ladder), [{ op: CtrlOp.rendition, argument: 7 }, { op: CtrlOp.prefer, argument: 0 }]);
});

test("a pin that the stream does not have is as auto", () => {
  assert.deepEqual(orders(rendition("1080p"), ladder), orders("auto", ladder));
});

test("a rendition may be named as a preference is", () => {
  assert.equal(pinned(rendition("high")), "high");
  assert.equal(pinned("high"), undefined);
  assert.deepEqual(orders(rendition("high"), [of(2, "high", 720)])[0], { op: CtrlOp.rendition, argument: 2 });
});

test("all preferences and all renditions are offered, the tallest first", () => {
  const offered = choices(stringsIn.en, ladder);
  assert.deepEqual(offered.map((c) => c.quality), ["auto", "high", "detail", "motion", "low", "saver", "rendition:720p", "rendition:360p"]);
  assert.equal(offered[6]?.hint, "Always 1280 × 720");
});
