// What Prometheus finds, against what viewers counted of the real server.

import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { Player } from "./lib/page.mjs";
import { addUser, logIn, visit } from "./lib/people.mjs";
import { program, run, Running, Server } from "./lib/server.mjs";
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

test("top prints what it shows live once where it is no terminal", async () => {
  const token = await server.token({ stream: "test" });
  const viewer = new Running("sightline", ["watch", `${server.origin}/watch/test`, "--ca", server.ca], { SIGHTLINE_TOKEN: token });
  try {
    const view = await eventually("a viewer's pictures", async () => {
      const { code, stdout, stderr } = await run("sightline", ["top", address, "--json", "--interval", "1s"]);
      assert.equal(code, 0, stderr);
      const found = JSON.parse(stdout);
      if (!(found.streams[0].frame_rate > 0) || found.viewers !== 1) throw new Error(stdout);
      return found;
    }, 20_000);
    const [stream] = view.streams;
    assert.deepEqual([stream.name, stream.viewers, view.streams[1].name], ["test", 1, "lobby"]);
    assert.ok(stream.frame_rate < 60 && stream.bitrate_bps > 1000 && view.memory_bytes > 1e6, JSON.stringify(view));
    const { code, stdout } = await run("sightline", ["top", address]);
    assert.equal(code, 0);
    assert.match(stdout, /^\d\d:\d\d:\d\d {3}viewers 1 .*\n\nSTREAM +STATE .*\ntest +\w+ +1 /);
    assert.ok(!stdout.includes("\x1b"), "it steers a terminal that is none");
  } finally {
    await viewer.stop("SIGINT");
  }
});

test("top draws on a terminal, and leaves it as it was", async () => {
  const { code, stdout, stderr } = await new Promise((ended) => {
    // In the foreground, for whoever draws on a terminal from behind is stopped, and some shells have a process group for this.
    const command = `timeout --foreground --signal=INT 4 ${program("sightline")} top ${address} --interval 500ms`;
    const options = { env: { ...process.env, TERM: "xterm" }, timeout: 20_000, killSignal: "SIGKILL" };
    execFile("script", ["-qec", command, "/dev/null"], options, (cause, stdout, stderr) => ended({ code: cause?.code ?? 0, stdout, stderr }));
  });
  assert.ok([0, 124].includes(code), `${code}: ${stderr}`);
  assert.ok(stdout.startsWith("\x1b[?1049h\x1b[?25l") && stdout.trimEnd().endsWith("\x1b[?25h\x1b[?1049l"), JSON.stringify(stdout.slice(0, 60) + stdout.slice(-60)));
  assert.ok(stdout.split("\x1b[H").length >= 3, "it was drawn once");
});

test("top says since when a server gives no figures, and q ends it", async () => {
  let other = await Server.start({ config });
  const [, figures] = await other.running.line(/figures for Prometheus.*address=(http:\S+)/);
  const terminal = spawn("script", ["-qec", `${program("sightline")} top ${figures} --interval 500ms`, "/dev/null"], { env: { ...process.env, TERM: "xterm" } });
  const ended = once(terminal, "exit");
  let screen = "";
  terminal.stdout.setEncoding("utf8").on("data", (text) => (screen += text));
  try {
    await eventually("the table", () => screen.includes("STREAM"));
    await other.stop();
    other = undefined;
    await eventually("that it is gone", () => /no figures since \d\d:\d\d:\d\d: nothing listens there\x1b\[J$/.test(screen));
    terminal.stdin.write("q");
    assert.deepEqual(await ended, [0, null]);
    assert.ok(screen.trimEnd().endsWith("\x1b[?25h\x1b[?1049l"), JSON.stringify(screen.slice(-60)));
  } finally {
    terminal.kill("SIGKILL");
    await other?.stop();
  }
});

for (const [what, args, says] of [
  ["nothing listens", ["http://127.0.0.1:9/metrics"], /no figures at http:\/\/127\.0\.0\.1:9\/metrics: nothing listens there; open them with metrics:/],
  ["the address is none", ["localhost"], /"localhost" is no address of figures/],
  ["the interval is out of bounds", ["--interval", "1ms"], /--interval 1ms: want 500ms to 1h/],
]) {
  test(`top says in one sentence that ${what}`, async () => {
    const { code, stderr } = await run("sightline", ["top", ...args]);
    assert.notEqual(code, 0);
    assert.match(stderr, says);
  });
}
test("top says that a page is no figures", async () => {
  const { code, stderr } = await run("sightline", ["top", new URL("/", address).href]);
  assert.equal(code, 1);
  assert.match(stderr, /it answers 404/);
});

test("admissions and first pictures are traced to a collector, and the figures name the traces", async () => {
  const got = [];
  const collector = http.createServer((request, response) => {
    const parts = [];
    request.on("data", (p) => parts.push(p)).on("end", () => {
      got.push({ path: request.url, type: request.headers["content-type"], body: Buffer.concat(parts) });
      response.end();
    });
  });
  await new Promise((listening) => collector.listen(0, "127.0.0.1", listening));
  const traced = await Server.start({ config: `${config}tracing: {endpoint: "http://127.0.0.1:${collector.address().port}"}\n` });
  try {
    const [, figures] = await traced.running.line(/figures for Prometheus.*address=(http:\S+)/);
    const token = await traced.token({ stream: "test", subject: "prying-eyes" });
    const watch = await run("sightline", ["watch", `${traced.origin}/watch/test`, "--ca", traced.ca, "--duration", "3s"], { env: { ...process.env, SIGHTLINE_TOKEN: token } });
    assert.equal(watch.code, 0, watch.stderr);
    const spans = await eventually("the spans", async () => {
      const all = Buffer.concat(got.map((g) => g.body));
      if (!all.includes("admission") || !all.includes("first picture")) throw new Error(`${got.length} messages`);
      return all;
    }, 20_000);
    assert.ok(got.every((g) => g.path === "/v1/traces" && g.type === "application/x-protobuf"));
    for (const word of ["prying", "127.0.0.1", token]) assert.ok(!spans.includes(word), `${word} is in the traces`);
    const { text } = await ask({ Accept: "application/openmetrics-text; version=1.0.0" }, "GET", figures);
    const [, trace] = /^sightline_first_picture_seconds_bucket.*# {trace_id="([0-9a-f]{32})"}/m.exec(text) ?? [];
    assert.ok(trace !== undefined && spans.includes(Buffer.from(trace, "hex")), `the figures name the trace ${trace}`);
  } finally {
    await traced.stop();
    collector.close();
  }
});
