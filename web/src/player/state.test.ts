import assert from "node:assert/strict";
import { test } from "node:test";
import { unlimited, type Limiting } from "./limits.ts";
import { ageWords, closed, tell as tellIn, type Known } from "./state.ts";
import { stringsIn, why } from "./strings.ts";
import { micros, millis } from "./units.ts";
import type { StreamState } from "./wire.ts";

const now = micros(1_000_000_000);
const tell = (k: Known, at: typeof now) => tellIn(k, at, stringsIn.en);
const network: Limiting = { name: "network", words: "network", carriesBps: 1_200_000 };
const ago = (ms: number) => micros(now - ms * 1000);

function known(state: StreamState | undefined, more: Partial<Known> = {}): Known {
  return {
    phase: { name: "open" },
    server: state === undefined ? undefined : { stream: "door", state, detail: "", cause: "", stills: false, carriesBps: 0 },
    rendition: undefined,
    paused: false,
    limit: unlimited,
    lastPaintAt: undefined,
    lastCaptureAt: undefined,
    ...more,
  };
}

const fresh = { lastPaintAt: ago(20), lastCaptureAt: ago(40) };

test("live needs a fresh picture", () => {
  assert.equal(tell(known("live", fresh), now).state, "live");
  assert.equal(tell(known("live"), now).state, "connecting");
  const stale = tell(known("live", { lastPaintAt: ago(1_400), lastCaptureAt: ago(1_420) }), now);
  assert.deepEqual([stale.state, stale.title, stale.age], ["stale", "Stale", 1_420]);
});

test("pictures that come, but late, are not live", () => {
  const late = tell(known("live", { lastPaintAt: ago(10), lastCaptureAt: ago(2_500) }), now);
  assert.deepEqual([late.state, late.title, late.age], ["stale", "Late", 2_500]);
});

test("a rare picture is not stale before the next one is overdue", () => {
  const rare = { id: 1, codec: "jpeg", width: 16, height: 9, frameRateMilli: 500 };
  assert.equal(tell(known("live", { rendition: rare, lastPaintAt: ago(2_100), lastCaptureAt: ago(2_200) }), now).state, "live");
  assert.equal(tell(known("live", { rendition: rare, lastPaintAt: ago(5_100), lastCaptureAt: ago(5_200) }), now).state, "stale");
});

test("still pictures are called that, with their age however young, and why", () => {
  const server = { stream: "door", state: "live" as const, detail: "", cause: "", stills: true, carriesBps: 64_000 };
  const limit: Limiting = { name: "network", words: "stills", carriesBps: 64_000 };
  const still = tell(known("live", { server, limit, lastPaintAt: ago(300), lastCaptureAt: ago(700) }), now);
  assert.deepEqual([still.state, still.title, still.detail, still.age], ["stills", "Still pictures", "Your network carries 64 kbit/s: too little for a moving picture.", 700]);
  assert.equal(tell(known("live", { server, limit, lastPaintAt: ago(3_000), lastCaptureAt: ago(3_500) }), now).age, 3_500);
  const none = tell(known("live", { server, limit, lastPaintAt: ago(11_000), lastCaptureAt: ago(11_500) }), now);
  assert.deepEqual([none.state, none.age], ["stale", 11_500]);
});

test("what makes pictures late is said beside late and stale, and nothing else is", () => {
  const late = { lastPaintAt: ago(10), lastCaptureAt: ago(2_500) };
  assert.equal(tell(known("live", { ...late, limit: network }), now).detail, "Pictures arrive late. Your network carries 1.2 Mbit/s.");
  assert.equal(tell(known("live", { ...late, lastPaintAt: ago(2_000), limit: network }), now).detail, "No new picture arrives. Your network carries 1.2 Mbit/s.");
  assert.doesNotMatch(tell(known("live", { ...late, limit: { name: "size", words: "chosen", carriesBps: 0 } }), now).detail, /chose/);
});

test("no state but live calls a picture live, and each has words", () => {
  const states: [StreamState, string][] = [
    ["connecting", "connecting"], ["idle", "waiting"], ["waiting", "waiting"], ["offline", "lost"],
    ["stalled", "lost"], ["restarting", "lost"], ["ended", "ended"],
  ];
  for (const [server, want] of states) {
    const told = tell(known(server, fresh), now);
    assert.equal(told.state, want);
    assert.ok(told.title !== "" && told.detail !== "");
  }
});

test("the server's sentence goes before ours", () => {
  const server = { stream: "door", state: "offline" as const, detail: "Check the cable.", cause: "", stills: false, carriesBps: 0 };
  assert.equal(tell(known("offline", { server }), now).detail, "Check the cable.");
  assert.equal(tellIn(known("offline", { server }), now, stringsIn.de).detail, "Check the cable.");
  assert.match(tellIn(known("offline", { server: { ...server, cause: "silent" } }), now, stringsIn.de).detail, /antwortet nicht/);
});

test("without a connection nothing is live, however fresh the picture", () => {
  for (const phase of [
    { name: "opening" }, { name: "retrying", why: why("lost") }, { name: "denied", why: why("lost"), login: true },
    { name: "ended", why: why("lost") }, { name: "unsupported", why: why("lost") },
  ] as const) {
    assert.notEqual(tell(known("live", { ...fresh, phase }), now).state, "live");
  }
});

test("an old picture keeps its age in every state", () => {
  const old = { lastPaintAt: ago(90_000), lastCaptureAt: ago(90_000) };
  for (const k of [known("offline", old), known("live", { ...old, phase: { name: "retrying", why: why("lost") } }), known("live", { ...old, paused: true })]) {
    assert.equal(tell(k, now).age, 90_000);
  }
});

test("a stream that rests because nobody looks is paused, and waits for a picture otherwise", () => {
  const states = (["idle", "live"] as const).map((state) => tell(known(state, { ...fresh, paused: true }), now).state);
  assert.deepEqual(states, ["paused", "paused"]);
  assert.equal(tell(known("idle", { paused: true }), now).state, "waiting");
});

test("ages in words", () => {
  assert.equal(ageWords(millis(1_999)), "1 s");
  assert.equal(ageWords(millis(61_000)), "1 min 1 s");
  assert.equal(ageWords(millis(3_720_000)), "1 h 2 min");
});

test("close codes: what ends, what a login mends, what is tried again", () => {
  for (const code of [1000, 4404]) assert.equal(closed(code, "", true).name, "ended");
  for (const [code, login] of [[4401, true], [4403, false]] as const) {
    const { why: _, ...verdict } = closed(code, "", true) as { why: unknown };
    assert.deepEqual(verdict, { name: "denied", login });
  }
  for (const code of [1001, 1003, 1006, 1007, 1008, 1009, 1011, 4408, 4999]) assert.equal(closed(code, "", true).name, "retrying");
  assert.notDeepEqual(closed(1006, "", true).why, closed(1006, "", false).why);
});

test("a state has words in each language, and no sentence is the same in two", () => {
  const late = known("live", { lastPaintAt: ago(10), lastCaptureAt: ago(2_500), limit: network });
  const [en, de] = [tellIn(late, now, stringsIn.en), tellIn(late, now, stringsIn.de)];
  assert.deepEqual([de.state, de.title, de.detail], [en.state, "Verspätet", "Bilder kommen verspätet an. Ihr Netz trägt 1.2 Mbit/s."]);
});
