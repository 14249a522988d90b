// What viewers see of a capture process that dies and of a server that starts again.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { Player } from "./lib/page.mjs";
import { Server, run } from "./lib/server.mjs";
import { Viewer } from "./lib/socket.mjs";
import { eventually } from "./lib/wait.mjs";

let server, browser, page, player;
before(async () => {
  server = await Server.start();
  browser = await launch("chromium", { authorities: [server.ca] });
  await browser.setCookie(await server.logIn());
  page = await browser.newPage();
  await page.goto(`${server.origin}/watch/test`);
  player = new Player(page);
  await player.state("live");
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

test("a killed capture process: pictures again at once, nobody disconnected, and the page says what happened", async (t) => {
  const viewer = await Viewer.join(server, "test", { token: await server.token({ stream: "test" }) });
  await viewer.nextKey();
  await player.noteStates();
  const joined = server.running.lines.filter((l) => l.includes("viewer joined")).length;
  const before = server.capturePid("test");
  const painted = (await player.stats()).painted_total;

  process.kill(before, "SIGKILL");
  const killed = performance.now();
  const next = await viewer.nextKey();
  const away = next.at - killed;
  t.diagnostic(`next picture after ${away.toFixed(0)} ms`);
  // Within a second is what test/bench/restart.mjs holds it to on a quiet machine; browsers start beside this one.
  assert.ok(away < 2_000, `the next picture came after ${away.toFixed(0)} ms`);

  await eventually("more pictures in the page", async () => (await player.stats()).painted_total > painted + 15);
  await player.state("live");
  assert.notEqual(server.capturePid("test"), before);
  const told = await player.states();
  assert.match(told.find((s) => s.state === "lost")?.reason ?? "", /capture process.*started again/, JSON.stringify(told));
  assert.equal(viewer.socket.ended, false);
  assert.equal(server.running.lines.filter((l) => l.includes("viewer joined")).length, joined, "nobody joined anew");
  assert.equal(server.running.lines.filter((l) => l.includes("viewer left")).length, 0);
  await viewer.leave();
});

test("a capture process that stands still is stalled, then replaced", async () => {
  const headers = { authorization: `Bearer ${await server.token({ stream: "test" })}` };
  const before = server.capturePid("test");
  const state = async () => JSON.parse((await server.request("GET", "/api/v1/streams", { headers })).body).streams.find((s) => s.id === "test").state;
  await player.noteStates();
  process.kill(before, "SIGSTOP");
  await eventually("the stream to be called stalled", async () => (await state()) === "stalled");
  await eventually("another capture process", () => server.capturePid("test") !== before, 30_000);
  await player.state("live", 20_000);
  await eventually("the stream to be live", async () => (await state()) === "live");
  assert.throws(() => process.kill(before, 0), { code: "ESRCH" });
  assert.ok((await player.states()).some((s) => s.state === "lost" && /given up/.test(s.reason)), JSON.stringify(await player.states()));
});

test("strangers take every file descriptor: who watches watches on, the record goes on, and all is well when they are gone", async () => {
  const limited = await Server.start();
  const strangers = [];
  try {
    const viewer = await Viewer.join(limited, "test", { token: await limited.token({ stream: "test" }) });
    await viewer.nextKey();
    const pid = Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${limited.capturePid("test")}/status`, "utf8"))[1]);
    execFileSync("prlimit", ["--pid", String(pid), "--nofile=256:256"]);
    const { hostname, port } = new URL(limited.origin);
    let open = 0;
    for (let i = 0; i < 800; i++) { // each is waited for 5 s, 200 at a time
      const socket = connect(Number(port), hostname).on("error", () => undefined);
      socket.on("connect", () => open++);
      strangers.push(socket);
    }
    await eventually("the strangers to be there", () => open > 500);
    const { units } = viewer;
    await eventually("more pictures", () => viewer.units > units + 60);
    process.kill(limited.capturePid("test"), "SIGKILL");
    await eventually("the camera back, in spite of them", async () => (await viewer.nextKey()).key, 90_000);
    for (const socket of strangers.splice(0)) socket.destroy();
    // The server may still be closing them: while it cannot read what is revoked, nobody gets in.
    const token = await limited.token({ stream: "test" });
    const late = await eventually("a viewer to be let in again", () => Viewer.join(limited, "test", { token }).catch((refused) => {
      assert.equal(refused.status, 503);
    }), 30_000);
    await late.nextKey();
    await late.leave();
    await viewer.leave();
    const { code, stdout, stderr } = await run("sightline", ["audit", "verify", "--data-dir", limited.dataDir]);
    assert.equal(code, 0, stdout + stderr);
  } finally {
    for (const socket of strangers) socket.destroy();
    await limited.stop();
  }
});

test("a server that starts again: the page comes back by itself, with the same session", async () => {
  await player.noteStates();
  const before = await player.nextPicture("a strip", (p) => p.strip !== undefined);
  const cookie = (await page.cookies())[0].value;
  await server.running.stop();
  const away = await player.state("connecting");
  assert.match(away.reason, /server/);
  await server.restart();
  await player.state("live");
  await player.nextPicture("a strip of now", (p) => p.strip !== undefined && p.strip.time > before.strip.time && p.age < 1_000);
  assert.equal((await page.cookies())[0].value, cookie);
  assert.equal(new URL(page.url()).pathname, "/watch/test");
});
