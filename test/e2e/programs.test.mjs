// What the command line writes, checked with FFmpeg's own tools, and JPEG in the browser.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { Player } from "./lib/page.mjs";
import { run, scratch, Server } from "./lib/server.mjs";

let server, token, cookie;
before(async () => {
  server = await Server.start({ config: 'streams:\n  jpeg: {source: "test:?tag=3", renditions: [{name: mjpeg, codec: jpeg, height: 720, fps: 15}]}\n', demo: true });
  token = await server.token();
  cookie = await server.logIn();
});
after(() => server?.stop());

const watch = (stream, args) => run("sightline", ["watch", `${server.origin}/watch/${stream}`, "--ca", server.ca, "--json", ...args], { env: { ...process.env, SIGHTLINE_TOKEN: token } });
const probe = (file, format) =>
  JSON.parse(execFileSync("ffprobe", ["-v", "error", "-f", format, "-count_frames", "-show_entries", "stream=codec_name,width,height,nb_read_frames", "-of", "json", file], { encoding: "utf8" })).streams[0];

test("watch --out writes H.264 that plays, and every line of its statistics says that nothing was missing", async () => {
  const file = join(server.dataDir, "out.h264");
  const { code, stdout, stderr } = await watch("test", ["--out", file, "--duration", "3500ms"]);
  assert.equal(code, 0, stderr);
  const lines = stdout.trim().split("\n").map((l) => JSON.parse(l));
  assert.ok(lines.length >= 3);
  for (const l of lines) assert.deepEqual([l.codec, l.width, l.height, l.undecodable], ["h264", 1280, 720, 0]);
  const { codec_name, width, height, nb_read_frames } = probe(file, "h264");
  assert.deepEqual([codec_name, width, height], ["h264", 1280, 720]);
  const counted = lines.reduce((sum, l) => sum + l.frames, 0);
  // Those after the last line of statistics are in the file only.
  assert.ok(nb_read_frames >= counted && nb_read_frames < counted + 60, `${nb_read_frames} pictures in the file, ${counted} in the statistics`);
  assert.ok(nb_read_frames > 45, `${nb_read_frames} pictures in 3.5 s`);
});

test("link makes another login for a running server, for one use, and only for who has its key", async () => {
  const { code, stdout, stderr } = await run("sightline", ["link", "--data-dir", server.dataDir, "--server", server.origin]);
  assert.equal(code, 0, stderr);
  const link = new URL(stdout.trim());
  assert.equal(link.origin, server.origin);
  const secret = link.hash.slice(1);
  assert.match((await server.logIn(secret)).name, /^__Host-/);
  await assert.rejects(server.logIn(secret), /401/);
  const foreign = await run("sightline", ["link", "--data-dir", scratch(), "--server", server.origin]);
  assert.equal(foreign.code, 1);
  assert.equal(foreign.stderr.trim().split("\n").length, 1, foreign.stderr);
});

test("watch --codec jpeg writes JPEG", async () => {
  const file = join(server.dataDir, "out.mjpeg");
  const { code, stderr } = await watch("test", ["--codec", "jpeg", "--out", file, "--duration", "2500ms"]);
  assert.equal(code, 0, stderr);
  const { codec_name, width, height, nb_read_frames } = probe(file, "mjpeg");
  assert.equal(codec_name, "mjpeg");
  assert.ok(height <= 544 && Math.abs(width / height - 16 / 9) < 0.02, `${width}×${height}`);
  assert.ok(nb_read_frames > 10, `${nb_read_frames} pictures`);
});

test("watch says what is wrong with a token, a stream or an authority", async () => {
  const other = await server.token({ stream: "street" });
  const forbidden = await run("sightline", ["watch", `${server.origin}/watch/test`, "--ca", server.ca], { env: { ...process.env, SIGHTLINE_TOKEN: other } });
  assert.equal(forbidden.code, 1);
  assert.match(forbidden.stderr, /not allowed|does not/);
  const nothing = await watch("nothing", []);
  assert.equal(nothing.code, 1);
  assert.match(nothing.stderr, /no such stream/i);
  const untrusted = await run("sightline", ["watch", `${server.origin}/watch/test`], { env: { ...process.env, SIGHTLINE_TOKEN: token } });
  assert.equal(untrusted.code, 1);
  assert.match(untrusted.stderr, /--ca/);
  for (const { stderr } of [forbidden, nothing, untrusted]) assert.equal(stderr.trim().split("\n").length, 1, stderr);
});

for (const engine of ["chromium", "firefox"]) {
  test(`JPEG paints in ${engine}`, async () => {
    const browser = await launch(engine, { authorities: [server.ca] });
    try {
      const page = await browser.newPage();
      await browser.setCookie(cookie);
      await page.goto(`${server.origin}/watch/jpeg`);
      const player = new Player(page);
      const stats = await player.state("live");
      assert.equal(stats.codec, "jpeg");
      const first = await player.nextPicture("a strip", (p) => p.strip?.tag === 3);
      await player.nextPicture("a later one", (p) => p.strip !== undefined && p.strip.counter !== first.strip.counter);
    } finally {
      await browser.close();
    }
  });
}
