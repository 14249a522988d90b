import assert from "node:assert/strict";
import { test } from "node:test";
import type { PublishPhase, PublishReport } from "./messages.ts";
import { closed, tell, whyNoCamera } from "./state.ts";

const report = (phase: PublishPhase, rest: Partial<PublishReport> = {}): PublishReport => ({
  phase, wanted: true, moving: true, sent: 9, skipped: 0, fps: 30, bitrateBps: 1e6, width: 1280, height: 720, codec: "avc1.42c01f",
  encodeP50: undefined, encodeP95: undefined, clockError: undefined, ...rest,
});
const open = { name: "open" } as const;

test("live is said only when pictures are on their way to somebody", () => {
  assert.equal(tell(open, report(open), 1).state, "live");
  assert.equal(tell(open, report(open, { wanted: false }), 0).state, "waiting");
  assert.equal(tell(open, report(open, { moving: false }), 1).state, "stalled");
  assert.equal(tell(open, undefined, 3).state, "ready");
  for (const phase of [{ name: "opening" }, { name: "retrying", why: "w" }, { name: "taken" }, { name: "denied", why: "w", login: true }] as const) {
    assert.notEqual(tell(open, report(phase), 1).state, "live", phase.name);
  }
  assert.equal(tell({ name: "asking" }, report(open), 1).state, "asking");
  assert.equal(tell({ name: "failed", why: "w" }, report(open), 1).state, "blocked");
});

test("viewers are counted in words", () => {
  assert.match(tell(open, report(open), 1).detail, /^1 viewer sees/);
  assert.match(tell(open, report(open), 4).detail, /^4 viewers see/);
  assert.doesNotMatch(tell(open, report(open), undefined).detail, /\d/);
});

test("close codes: what is taken, what a login mends, what is tried again", () => {
  assert.equal(closed(4409, "").name, "taken");
  for (const [code, login] of [[4401, true], [4403, false]] as const) assert.deepEqual({ ...closed(code, ""), why: "" }, { name: "denied", why: "", login });
  for (const code of [1000, 1001, 1006, 1007, 4408, 4999]) assert.equal(closed(code, "").name, "retrying", String(code));
});

test("each way to have no camera says what to do", () => {
  for (const error of ["NotAllowedError", "NotFoundError", "NotReadableError", "OverconstrainedError", "TypeError", ""]) {
    assert.match(whyNoCamera(error), /(Try again|over https)/, error);
  }
});
