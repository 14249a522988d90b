// sightline bench against the real server: many viewers in one process, and what it says of what they got.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { run, Server } from "./lib/server.mjs";

let server, token;
before(async () => {
  server = await Server.start({ demo: true });
  token = await server.token();
});
after(() => server?.stop());

const bench = (args, env = {}) => run("sightline", ["bench", `${server.origin}/watch/test`, "--ca", server.ca, ...args], { env: { ...process.env, SIGHTLINE_TOKEN: token, ...env } });

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
  assert.match(stdout, /^plain +3 of +3 .* fps/m);
  assert.match(stdout, /^plain: 3 of 3 viewers/m);
});

for (const [what, args, says, env] of [
  ["no viewers", ["--viewers", "0"], /--viewers 0: want 1 to/],
  ["more bad ones than there are", ["--viewers", "3", "--slow", "4"], /more than the 3 of --viewers/],
  ["no time", ["--duration", "1s"], /--duration 1s/],
  ["a trace for nobody", ["--trace", "x"], /--slow/],
  ["a trace that is not there", ["--slow", "1", "--trace", "/nowhere"], /--trace.*no such file/],
  ["a token that is none", ["--viewers", "2"], /401/, { SIGHTLINE_TOKEN: "nonsense" }],
]) {
  test(`bench says in one sentence what is wrong with ${what}`, async () => {
    const { code, stderr } = await bench(args, env);
    assert.notEqual(code, 0);
    assert.match(stderr, says);
    assert.ok(stderr.trim().split("\n").length <= 2, stderr); // the second line says where help is
  });
}
