// sightline bench against the real server: many viewers in one process, and what it says of what they got.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { run, Server } from "./lib/server.mjs";

let server, token;
before(async () => {
  server = await Server.start({ demo: true });
  token = await server.token();
});
after(() => server?.stop());

const bench = (args, env = {}, timeout = 20_000) =>
  run("sightline", ["bench", `${server.origin}/watch/test`, "--ca", server.ca, ...args], { timeout, env: { ...process.env, SIGHTLINE_TOKEN: token, ...env } });

test("bench tells what each kind of viewer got", async () => {
  const trace = join(server.dataDir, "trace");
  writeFileSync(trace, "# a train\n1 3000\n1 2000\n");
  const { code, stdout, stderr } = await bench(["--viewers", "20", "--slow", "2", "--lossy", "2", "--come-and-go", "2", "--trace", trace, "--duration", "8s", "--json"]);
  assert.equal(code, 0, stderr);
  const { kinds } = JSON.parse(stdout);
  assert.deepEqual(
    kinds.map((k) => [k.kind, k.wanted]),
    [["plain", 14], ["slow", 2], ["lossy", 2], ["come-and-go", 2]],
  );
  const [plain] = kinds;
  assert.equal(plain.viewers, 14);
  assert.ok(plain.fps_median > 0 && plain.fps_median < 60, `${plain.fps_median} pictures a second`); // how many is the machine's affair
  assert.ok(plain.latency.p50_ms > 0 && plain.latency.p50_ms <= plain.latency.p99_ms, JSON.stringify(plain.latency));
  assert.ok(plain.first.p50_ms > 0, "nobody got a first picture");
  assert.deepEqual(plain.failures, {});
  for (const k of kinds) assert.equal(k.undecodable, 0, k.kind);
});

test("bench prints progress and a report for people", async () => {
  const { code, stdout, stderr } = await bench(["--viewers", "3", "--duration", "5s"]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^ +\d+s plain +3 of +3 .* fps .* \d+p:3$/m);
  assert.match(stdout, /^ +\d+s server: \d+ % of a processor, \d+ MB/m);
  assert.match(stdout, /^plain: 3 of 3 viewers/m);
});

test("bench draws what it measured, and tells what the server on this machine used", async () => {
  const svg = join(server.dataDir, "chart.svg");
  const { code, stdout, stderr } = await bench(["--viewers", "3", "--lossy", "1", "--duration", "6s", "--chart", svg, "--json"]);
  assert.equal(code, 0, stderr);
  const used = JSON.parse(stdout).server;
  assert.ok(used.cpu_percent > 0 && used.memory_mb > 1, JSON.stringify(used));
  const drawn = readFileSync(svg, "utf8");
  for (const word of ["<svg", ">plain<", ">lossy<", ">pictures a second<", ">720p<", ">its capture processes<", ">MB<"]) assert.ok(drawn.includes(word), `there is no ${word} in the chart`);
});

test("bench finds the limit, which is where a bound breaks, or as many as it was to try", async () => {
  const search = (...args) => bench(["--find-limit", "--viewers", "6", "--duration", "1s", "--json", ...args], {}, 120_000);
  const [all, none] = [await search("--least-fps", "0.1", "--most-gap", "1m", "--most-latency", "1m"), await search("--least-fps", "1000")];
  assert.equal(all.code, 0, all.stderr);
  const found = JSON.parse(all.stdout);
  assert.equal(found.viewers, 6);
  assert.equal(found.broke, undefined);
  assert.equal(found.probes.at(-1).got.viewers, 6);
  assert.equal(none.code, 0, none.stderr);
  const { viewers, broke, probes } = JSON.parse(none.stdout);
  assert.equal(viewers, 0);
  assert.match(broke, /fewer than 1000/);
  assert.ok(probes.every((p) => p.broke), "a probe held that cannot");
});

test("bench says that a stream shows nothing, and draws PNGs", async () => {
  const png = join(server.dataDir, "chart.png");
  const { code, stdout, stderr } = await bench(["--viewers", "2", "--come-and-go", "1", "--duration", "5s", "--chart", png]);
  assert.equal(code, 0, stderr + stdout);
  assert.equal(readFileSync(png).toString("latin1", 1, 4), "PNG");
  const idle = await Server.start({ config: "streams: {lobby: {publish: true}}\n" });
  try {
    const nothing = await run("sightline", ["bench", `${idle.origin}/watch/lobby`, "--ca", idle.ca, "--viewers", "2", "--duration", "5s"], { timeout: 20_000, env: { ...process.env, SIGHTLINE_TOKEN: await idle.token({ stream: "lobby" }) } });
    assert.equal(nothing.code, 1);
    assert.match(nothing.stderr, /^sightline: no plain viewer got a picture: the stream is waiting\. Nobody publishes this stream yet\.$/m);
    assert.doesNotMatch(nothing.stdout, / 0\.0 /, "what was not measured is told as if it were");
  } finally {
    await idle.stop();
  }
});

for (const [what, args, says, env] of [
  ["a bound without a search", ["--least-fps", "20"], /--least-fps is for --find-limit/],
  ["a search among bad networks", ["--find-limit", "--slow", "2"], /--slow does not go with --find-limit/],
  ["no viewers", ["--viewers", "0"], /--viewers 0: want 1 to/],
  ["more bad ones than there are", ["--viewers", "3", "--slow", "4"], /more than the 3 of --viewers/],
  ["a chart of another format", ["--chart", "x.gif"], /--chart x\.gif: want a name that ends in \.svg or \.png/],
  ["a chart in no folder", ["--chart", "/nowhere/x.svg"], /--chart: .*nowhere: no such file/],
  ["no time", ["--duration", "1s"], /--duration 1s/],
  ["a trace for nobody", ["--trace", "x"], /--slow/],
  ["a trace that is not there", ["--slow", "1", "--trace", "/nowhere"], /--trace.*no such file/],
  ["a token that is none", ["--viewers", "2"], /^sightline: refused with 401 Unauthorized: [A-Z][^{}]+\.$/m, { SIGHTLINE_TOKEN: "nonsense" }],
]) {
  test(`bench says in one sentence what is wrong with ${what}`, async () => {
    const { code, stderr } = await bench(args, env);
    assert.notEqual(code, 0);
    assert.match(stderr, says);
    assert.ok(stderr.trim().split("\n").length <= 2, stderr); // the second line says where help is
  });
}
