// A network camera: GStreamer's RTSP server with a login, played by the server and watched in a browser.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "./lib/browser.mjs";
import { contrast, difference, Player } from "./lib/page.mjs";
import { repository, Server } from "./lib/server.mjs";
import { Viewer } from "./lib/socket.mjs";
import { within } from "./lib/wait.mjs";

const clip = join(repository, "internal/demo/street.mp4");
const [user, password] = ["watcher", "canary-Secret-4711"];

class Camera {
  static async start(port = 0) {
    const camera = new Camera();
    // Debian's own Python has the bindings (python3-gi, gir1.2-gst-rtsp-server-1.0).
    camera.child = spawn("/usr/bin/python3", [fileURLToPath(new URL("lib/rtsp-camera.py", import.meta.url)), clip, String(port), user, password], { stdio: ["ignore", "pipe", "inherit"] });
    camera.exit = once(camera.child, "exit");
    const [line] = await within("an RTSP camera", 10_000, Promise.race([once(createInterface(camera.child.stdout), "line"), camera.exit]));
    camera.port = Number(/^ready (\d+)$/.exec(String(line))?.[1]);
    assert.ok(camera.port > 0, `the camera did not start: ${line}`);
    return camera;
  }

  async stop() {
    this.child.kill("SIGKILL");
    await this.exit;
  }
}

let camera, server, browser, page, player;
before(async () => {
  camera = await Camera.start();
  server = await Server.start({
    config: `streams:\n  cam: {source: "rtsp://${user}:${password}@127.0.0.1:${camera.port}/street"}\n  wrong: {source: "rtsp://${user}:not-it@127.0.0.1:${camera.port}/street"}\n`,
    args: ["--log-level", "debug"],
  });
  browser = await launch("chromium", { authorities: [server.ca] });
  await browser.setCookie(await server.logIn());
  page = await browser.newPage();
  await page.goto(`${server.origin}/watch/cam`);
  player = new Player(page);
});
after(async () => {
  await browser?.close();
  await server?.stop();
  await camera?.stop();
});

const moving = async (limit) => {
  const first = await player.nextPicture("a picture", (p) => contrast(p.luma) > 10, limit);
  return player.nextPicture("a different picture", (p) => difference(p, first) > 2, limit);
};

test("a browser shows it, moving", async () => {
  const stats = await player.state("live", 15_000);
  assert.equal(stats.stream, "cam");
  assert.deepEqual([stats.width, stats.height], [768, 576]);
  assert.equal((await moving()).strip, undefined);
});

test("a wrong password is told as such, without naming either", async () => {
  const viewer = await Viewer.join(server, "wrong", { token: await server.token() });
  await server.running.line(/stream=wrong .*state=offline/, { limit: 15_000 });
  const { body } = await server.request("GET", "/api/v1/streams", { headers: { Authorization: `Bearer ${await server.token()}` } });
  const { state, detail } = JSON.parse(body).streams.find((s) => s.id === "wrong");
  assert.equal(state, "offline");
  assert.match(detail, /password|login|refuse|401|authori/i);
  assert.doesNotMatch(body, /not-it/);
  await viewer.leave();
});

test("the password is in no log, no process list, no answer and no record", async () => {
  const api = await server.request("GET", "/api/v1/streams", { headers: { Authorization: `Bearer ${await server.token()}` } });
  const processes = execFileSync("ps", ["axww", "-o", "pid,args"], { encoding: "utf8" }).split("\n").filter((l) => !l.includes("rtsp-camera.py"));
  assert.ok(processes.some((l) => l.includes("sightline-capture")), "the process list holds the capture process");
  const page_ = await page.content();
  for (const [where, text] of Object.entries({ api: api.body, processes: processes.join("\n"), log: server.running.output, audit: server.auditText(), page: page_ })) {
    assert.ok(text.length > 50, `${where} holds something`);
    assert.ok(!text.includes(password), `the password is in the ${where}`);
  }
});

test("the camera goes away: said within three seconds; it comes back: pictures go on", async (t) => {
  await camera.stop();
  const gone = performance.now();
  const stats = await player.state("lost", 3_000);
  t.diagnostic(`said after ${(performance.now() - gone).toFixed(0)} ms: ${stats.reason}`);
  assert.match(stats.reason, /\w/);
  camera = await Camera.start(camera.port);
  const back = performance.now();
  await player.state("live", 15_000);
  await moving();
  t.diagnostic(`pictures again ${(performance.now() - back).toFixed(0)} ms after the camera came back`);
  assert.ok(!server.running.output.includes(password), "the password is in the log");
});

test("the camera hangs without a word: the picture is not called live, and the reason is told; it comes to: pictures go on", async (t) => {
  camera.child.kill("SIGSTOP");
  const hung = performance.now();
  await player.state("stale", 3_000);
  t.diagnostic(`not live any more after ${(performance.now() - hung).toFixed(0)} ms`);
  const stats = await player.state("lost", 8_000);
  t.diagnostic(`said after ${(performance.now() - hung).toFixed(0)} ms: ${stats.reason}`);
  assert.match(stats.reason, /sends no pictures.*check the camera/);
  camera.child.kill("SIGCONT");
  await player.state("live", 20_000);
  await moving();
});
