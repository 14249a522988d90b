// The examples for OpenCV, run as they stand with Debian's python3-opencv, and those of docs/recipes.md for FFmpeg's program: pictures into
// Sightline and out of it.

import assert from "node:assert/strict";
import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Server } from "./lib/server.mjs";

const python = "/usr/bin/python3";
const example = (name) => new URL(`../../examples/python/${name}`, import.meta.url).pathname;
const capture = new URL("../../bin/sightline-capture", import.meta.url).pathname;
const missing = spawnSync(python, ["-c", "import cv2"]).status !== 0 && "python3-opencv is not installed";

let server;
before(async () => {
  server = await Server.start({ config: "streams:\n  lab: {publish: true}\n  tape: {publish: true}\n" });
});
after(() => server?.stop());

async function read(token, { ca = server.ca, url = `${server.origin}/mjpeg/lab` } = {}) {
  try {
    const { stdout, stderr } = await promisify(execFile)(python, [example("read.py"), "--url", url, "--ca", ca, "--frames", "20"], { timeout: 30_000, env: { ...process.env, SIGHTLINE_TOKEN: token } });
    return { code: 0, stdout, stderr };
  } catch (cause) {
    return { code: cause.code, stdout: cause.stdout, stderr: cause.stderr };
  }
}

test("frames of OpenCV go in by publish.py and come out by read.py, in their colours", { skip: missing }, async () => {
  const publish = await server.token({ stream: "lab", action: "publish" });
  const args = [example("publish.py"), "--publish", `wss://${server.host}/ws/publish/lab`, "--ca", server.ca, "--input", "demo", "--size", "640x368", "--fps", "20", "--capture", capture];
  const publisher = spawn(python, args, { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, SIGHTLINE_TOKEN: publish } });
  let said = "";
  publisher.stderr.setEncoding("utf8").on("data", (t) => (said += t));
  try {
    await server.running.line(/publisher.*lab|stream=lab/, { limit: 15_000 });
    const view = await server.token({ stream: "lab" });
    let result;
    for (let i = 0; i < 5; i++) {
      result = await read(view);
      if (result.code === 0) break;
    }
    assert.equal(result.code, 0, `${result.stderr}\n${said}`);
    const { frames, width, height, corner } = JSON.parse(result.stdout);
    assert.deepEqual([frames, width, height], [20, 640, 368]);
    [160, 80, 40].forEach((want, i) => assert.ok(Math.abs(corner[i] - want) < 12, `colour ${corner}, want about 160,80,40`));

    for (const refused of [await read("no-token"), await read(await server.token({ stream: "other" }))]) {
      assert.notEqual(refused.code, 0);
      assert.match(refused.stderr, /read\.py: the stream does not open/);
    }
    const stranger = await read(view, { ca: "/etc/ssl/certs/ca-certificates.crt" });
    assert.match(stranger.stderr, /read\.py: the stream does not open/, "a server that nobody vouches for is not given the token");
    assert.ok(!said.includes(publish), "the publish token is in the log");
  } finally {
    publisher.kill("SIGINT");
    await once(publisher, "exit");
  }
});

test("ffmpeg writes Motion JPEG into sightline-capture, and reads a stream with a header", async () => {
  const publish = await server.token({ stream: "tape", action: "publish" });
  const line = `ffmpeg -nostdin -v error -re -f lavfi -i testsrc2=size=640x368:rate=20 -c:v mjpeg -q:v 4 -f mjpeg - | exec "$0" --source "pipe:?format=mjpeg&fps=20" --publish "wss://${server.host}/ws/publish/tape" --ca "${server.ca}"`;
  const pipe = spawn("sh", ["-c", line, capture], { stdio: ["ignore", "ignore", "pipe"], detached: true, env: { ...process.env, SIGHTLINE_TOKEN: publish } });
  let said = "";
  pipe.stderr.setEncoding("utf8").on("data", (t) => (said += t));
  try {
    const view = await server.token({ stream: "tape" });
    const args = ["-nostdin", "-v", "error", "-tls_verify", "1", "-ca_file", server.ca, "-headers", `Authorization: Bearer ${view}\r\n`, "-f", "mpjpeg", "-i", `${server.origin}/mjpeg/tape`, "-frames:v", "20", "-f", "framemd5", "-"];
    let result;
    for (let i = 0; i < 10 && !result; i++) {
      result = await promisify(execFile)("ffmpeg", args, { timeout: 20_000 }).catch(async (cause) => {
        said += cause.stderr;
        await new Promise((later) => setTimeout(later, 500)); // until the publisher is there
      });
    }
    assert.ok(result, said);
    const sums = result.stdout.split("\n").filter((l) => /^0,/.test(l)).map((l) => l.split(",").at(-1).trim());
    assert.equal(sums.length, 20);
    // Who begins to watch may get the newest picture twice: as the newest, and as the answer to the wish for a keyframe.
    assert.ok(new Set(sums).size >= 18, `${new Set(sums).size} different pictures`);
  } finally {
    process.kill(-pipe.pid, "SIGTERM");
    await once(pipe, "exit");
  }
});
