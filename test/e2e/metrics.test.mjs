// What Prometheus finds, against what viewers counted of the real server.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import http from "node:http";
import { after, before, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { Player } from "./lib/page.mjs";
import { addUser, logIn, visit } from "./lib/people.mjs";
import { run, Server } from "./lib/server.mjs";
import { eventually } from "./lib/wait.mjs";

const config = `streams: {test: {source: "test:?size=640x360&fps=30"}, lobby: {publish: true}}
metrics: {listen: "127.0.0.1:0"}
`;

let server, address;
before(async () => {
  server = await Server.start({ config });
  [, address] = await server.running.line(/figures for Prometheus.*address=(http:\S+)/);
});
after(() => server?.stop());

/** Asks for the figures: {status, text}. */
const ask = (headers = {}, method = "GET", url = address) =>
  new Promise((answered, failed) => {
    const request = http.request(url, { headers, method, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (t) => (text += t)).on("end", () => answered({ status: response.statusCode, text }));
    });
    request.on("error", failed).end();
  });

/** The sum of a figure's values whose labels are these. */
function sum(text, name, labels = {}) {
  let total;
  for (const [, all = "", value] of text.matchAll(new RegExp(`^${name}(?:{(.*)})? ([^ ]+)$`, "gm"))) {
    if (Object.entries(labels).every(([k, v]) => all.includes(`${k}="${v}"`))) total = (total ?? 0) + Number(value);
  }
  return total;
}

test("what was sent is what a viewer counted", async () => {
  const token = await server.token({ stream: "test", subject: "prying-eyes" });
  const before = (await ask()).text;
  assert.equal(sum(before, "sightline_frames_sent_total", { stream: "test" }) ?? 0, 0);
  const seen = await run("sightline", ["watch", `${server.origin}/watch/test`, "--ca", server.ca, "--json", "--duration", "4s"], { env: { ...process.env, SIGHTLINE_TOKEN: token } });
  assert.equal(seen.code, 0, seen.stderr);
  const frames = seen.stdout.trim().split("\n").map((l) => JSON.parse(l)).reduce((n, l) => n + (l.frames ?? 0), 0);
  assert.ok(frames > 0, seen.stdout);
  const text = await eventually("the viewer is gone", async () => {
    const { text } = await ask();
    if (sum(text, "sightline_stream_viewers", { stream: "test" }) !== 0) throw new Error("it is still there");
    return text;
  });
  const sent = sum(text, "sightline_frames_sent_total", { stream: "test" });
  assert.ok(sent >= frames && sent <= frames + 60, `${sent} sent, ${frames} counted`); // those of its last, unfinished second are not in its lines
  const received = sum(text, "sightline_frames_received_total", { stream: "test" });
  assert.ok(received >= sent, `${received} came from the camera, ${sent} went out to one viewer`);
  assert.ok(sum(text, "sightline_sent_bytes_total", { stream: "test" }) > 1000);
  assert.equal(sum(text, "sightline_auth_attempts_total", { event: "watch", verdict: "granted" }), 1);
  assert.equal(sum(text, "sightline_first_picture_seconds_count"), 1);
  assert.equal(sum(text, "sightline_stream_published", { stream: "lobby" }), 0);
});

test("what a browser shows, and where the time goes", async () => {
  addUser(server, "victoria-secret", "viewer");
  const browser = await launch("chromium", { authorities: [server.ca] });
  try {
    const page = await visit(server, browser, "/watch/test");
    await logIn(page, "victoria-secret");
    const player = new Player(page);
    await player.state("live");
    const text = await eventually("its figures", async () => {
      const { text } = await ask();
      if (!(sum(text, "sightline_latency_seconds_count", { stage: "show" }) >= 3)) throw new Error("too few");
      return text;
    }, 30_000);
    assert.equal(sum(text, "sightline_viewers", { stream: "test" }), 1);
    assert.equal(sum(text, "sightline_sessions", { kind: "watch" }), 1);
    assert.equal(sum(text, "sightline_stream_state", { stream: "test", state: "live" }), 1);
    const painted = (await player.stats()).painted;
    const shown = sum(text, "sightline_frames_shown_total", { stream: "test" });
    assert.ok(shown > 0 && (painted === undefined || shown <= painted), `${shown} shown, the player says ${painted}`);
    const mean = (stage) => sum(text, "sightline_latency_seconds_sum", { stage }) / sum(text, "sightline_latency_seconds_count", { stage });
    const parts = ["encode", "network", "decode", "show"].map(mean);
    assert.ok(parts.every((p) => p >= 0) && Math.abs(parts.reduce((a, b) => a + b) - mean("paint")) < mean("paint"), `${parts} add up to ${mean("paint")}`); // medians need not add up
    assert.ok(sum(text, "sightline_encode_seconds", { percentile: "95" }) > 0);
    const quality = await eventually("a comparison of pictures", async () => sum((await ask()).text, "sightline_ssim_ratio", { stream: "test" }), 30_000);
    assert.ok(quality > 0.5 && quality <= 1, `SSIM ${quality}`);
  } finally {
    await browser.close();
  }
});

test("nothing personal and nothing secret is among the figures", async () => {
  const bad = await run("sightline", ["watch", `${server.origin}/watch/test`, "--ca", server.ca], { env: { ...process.env, SIGHTLINE_TOKEN: "e30.e30.secret-word" } });
  assert.notEqual(bad.code, 0);
  for (const accept of ["text/plain", "application/openmetrics-text; version=1.0.0"]) {
    const { text } = await ask({ Accept: accept });
    assert.ok(sum(text, "sightline_auth_attempts_total", { verdict: "refused" }) >= 1);
    for (const word of ["victoria", "prying", "127.0.0.1", "secret-word", "eyJ", server.dataDir, server.code]) assert.ok(!text.includes(word), `${word} is among the figures`);
    for (const { session, token_id, subject } of server.auditRecords()) {
      for (const word of [session, token_id, subject]) if (word) assert.ok(!text.includes(word), `${word} is among the figures`);
    }
  }
});

test("promtool finds nothing wrong with them", async () => {
  const { text } = await ask();
  execFileSync("promtool", ["check", "metrics"], { input: text });
});

test("the port gives figures to who calls it by an address, and nothing else", async () => {
  assert.equal((await ask({ Host: "evil.example:9464" })).status, 421);
  assert.equal((await ask({ Host: "localhost:9464" })).status, 200);
  assert.equal((await ask({}, "POST")).status, 405);
  for (const path of ["/", "/api/v1/streams", "/debug/pprof/"]) assert.equal((await ask({}, "GET", new URL(path, address))).status, 404, path);
  assert.equal((await server.request("GET", "/metrics")).status, 404); // not on the server's own port
});
