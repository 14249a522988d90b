// A network camera: GStreamer's RTSP server with a login, played by the server and watched in a browser.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { Camera, password } from "./lib/camera.mjs";
import { contrast, difference, Player } from "./lib/page.mjs";
import { scratch, Server } from "./lib/server.mjs";
import { Viewer } from "./lib/socket.mjs";

/** A certificate that nobody vouches for, as cameras have it: its files and its fingerprint. */
function certificate(dir) {
  const [cert, key] = [join(dir, "cert.pem"), join(dir, "key.pem")];
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=camera"], { stdio: "ignore" });
  return { files: [cert, key], fingerprint: new X509Certificate(readFileSync(cert)).fingerprint256 };
}

let camera, secure, server, browser, page, player, files;
before(async () => {
  files = scratch();
  const own = certificate(files.dir);
  [camera, secure] = await Promise.all([Camera.start(), Camera.start({ files: own.files })]);
  const streams = {
    cam: camera.address("/street"),
    wrong: camera.address("/street", { secret: "not-it" }),
    datagrams: camera.address("/datagrams#transport=udp"),
    h265: camera.address("/h265"),
    jpeg: camera.address("/jpeg"),
    encrypted: secure.address(`/street#tls-fingerprint=${own.fingerprint}`, { scheme: "rtsps" }),
    stranger: secure.address("/street", { scheme: "rtsps" }),
  };
  server = await Server.start({
    config: `streams:\n${Object.entries(streams).map(([name, source]) => `  ${name}: {source: "${source}"}\n`).join("")}`,
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
  await secure?.stop();
  files?.close();
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

/** What is told about a stream that cannot be read. */
async function offline(name) {
  const viewer = await Viewer.join(server, name, { token: await server.token() });
  await server.running.line(new RegExp(`stream=${name} .*state=offline`), { limit: 15_000 });
  const { body } = await server.request("GET", "/api/v1/streams", { headers: { Authorization: `Bearer ${await server.token()}` } });
  await viewer.leave();
  const { state, detail } = JSON.parse(body).streams.find((s) => s.id === name);
  assert.equal(state, "offline");
  return { body, detail };
}

test("a wrong password is told as such, without naming either", async () => {
  const { body, detail } = await offline("wrong");
  assert.match(detail, /refuses the user name or password/);
  assert.doesNotMatch(body, /not-it/);
});

test("a certificate that nobody vouches for is not accepted, and its fingerprint is told", async () => {
  const { detail } = await offline("stranger");
  assert.match(detail, /nobody vouches for; if it is the camera's, add #tls-fingerprint=[0-9a-f]{64} to its address/);
});

for (const [name, what] of Object.entries({ datagrams: "in UDP datagrams", encrypted: "over TLS", h265: "in H.265", jpeg: "in JPEG" })) {
  test(`it comes ${what}`, async () => {
    const other = await browser.newPage();
    await other.goto(`${server.origin}/watch/${name}`);
    const its = new Player(other);
    const { width, height } = await its.state("live", 15_000);
    assert.ok(Math.abs(width / height - 4 / 3) < 0.01, `the picture is ${width}x${height}`); // smaller where this machine is too busy for all of it
    const first = await its.nextPicture("a picture", (p) => contrast(p.luma) > 10);
    await its.nextPicture("a different picture", (p) => difference(p, first) > 2);
    await other.close();
  });
}

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
  camera = await Camera.start({ port: camera.port });
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
