// What faults cost, as time to the next picture: node test/eval/faults.mjs [--quick]. Starts servers of its own. Needs `npm ci` in test/e2e, and SIGHTLINE_BIN where the
// programs are not in bin; a full disk needs root. The last line is JSON: faults, each with name, ms (from the fault, or from its end, to the next
// picture, once for each time it was tried), what that is counted from, and said: what else is to be told.

import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { launch } from "../e2e/lib/browser.mjs";
import { Camera } from "../e2e/lib/camera.mjs";
import { smallDisk, visit } from "../e2e/lib/disk.mjs";
import { Player } from "../e2e/lib/page.mjs";
import { Server } from "../e2e/lib/server.mjs";
import { Viewer } from "../e2e/lib/socket.mjs";
import { eventually } from "../e2e/lib/wait.mjs";

const quick = process.argv.includes("--quick");
const apart = 5_200; // ms; a process that dies sooner than five seconds after its start is started again more slowly each time
const stalledFor = quick ? 5_000 : 8_000; // ms; more than it takes to be called stalled
const root = process.getuid?.() === 0;
const faults = [];
const note = (fault) => {
  faults.push(fault);
  console.error(`${fault.name}: ${fault.ms?.map(Math.round).join(" ") ?? fault.left_out} ms`);
};
/** A viewer who has had a keyframe. */
const begin = async (server, stream) => {
  const viewer = await Viewer.join(server, stream, { token: await server.token({ stream }) });
  await viewer.nextKey();
  return viewer;
};

/** kill -9 of a capture process, as a crash or the kernel's memory killer does it. */
async function captureKilled() {
  const server = await Server.start();
  try {
    const viewer = await begin(server, "test");
    const ms = [];
    for (let i = 0; i < (quick ? 1 : 5); i++) {
      await pause(apart);
      process.kill(server.capturePid("test"), "SIGKILL");
      const killed = performance.now();
      ms.push((await viewer.nextKey()).at - killed);
    }
    note({ name: "capture process killed", from: "the kill", ms, said: viewer.socket.ended ? "the viewer was disconnected" : "no viewer was disconnected" });
    await viewer.leave();
  } finally {
    await server.stop();
  }
}

/** A network camera whose program stands still for a while, with its connections open. */
async function cameraStalled() {
  const camera = await Camera.start();
  try {
    const server = await Server.start({ config: `streams: {door: {source: "${camera.address("/street")}"}}\n` });
    try {
      const viewer = await begin(server, "door");
      const ms = [];
      for (let i = 0; i < (quick ? 1 : 3); i++) {
        await pause(1_000);
        camera.child.kill("SIGSTOP");
        await pause(stalledFor);
        camera.child.kill("SIGCONT");
        const back = performance.now();
        ms.push((await viewer.nextKey(60_000)).at - back);
      }
      note({ name: "camera stalled", from: "the camera's return to the next keyframe", ms, said: `it stood still for ${stalledFor / 1000} s each time; ${viewer.socket.ended ? "the viewer was disconnected" : "no viewer was disconnected"}` });
      await viewer.leave();
    } finally {
      await server.stop();
    }
  } finally {
    await camera.stop();
  }
}

/** kill -9 of the server, which is started again at once, as a service manager does; a page in Chromium finds its way back. */
async function serverKilled() {
  const server = await Server.start();
  const browser = await launch("chromium", { authorities: [server.ca], flags: ["--disable-software-rasterizer"] });
  try {
    await browser.setCookie(await server.logIn());
    const page = await browser.newPage();
    await page.goto(`${server.origin}/watch/test`);
    const player = new Player(page);
    await eventually("pictures", async () => (await player.stats())?.painted_total > 60, 40_000);
    const ms = [];
    for (let i = 0; i < (quick ? 1 : 3); i++) {
      await page.evaluate(() => {
        window.painted = [];
        document.querySelector("sightline-player").addEventListener("pictures", (e) => window.painted.push(...e.detail));
      });
      const { last_capture_us: before } = await player.stats();
      const killed = Date.now();
      await server.restart("SIGKILL");
      // Capture times count from the server's start: those of the new one begin anew.
      ms.push(await eventually("pictures again", async () => {
        const next = (await page.evaluate("window.painted")).find((p) => p.painted_ms > killed && p.capture_us < before);
        return next === undefined ? undefined : next.painted_ms - killed;
      }, 40_000));
      await pause(apart);
    }
    note({ name: "server killed and started again", from: "the kill", ms, said: "painted in Chromium, by the same page with the same login" });
  } finally {
    await browser.close();
    await server.stop();
  }
}

/** The disk under the audit record is full: who watches watches on, nobody new gets in, until there is room. */
async function diskFull() {
  if (!root) return note({ name: "disk full", left_out: "mounting a disk of its own takes root" });
  const { dir, fill, empty, release } = smallDisk();
  try {
    const server = await Server.start({ config: `audit: {path: ${join(dir, "audit.jsonl")}, on-failure: refuse}\nstreams: {door: {source: "test:?size=640x360&fps=30"}}\n` });
    try {
      const token = await server.token();
      const visitor = { server, token };
      const viewer = await begin(server, "door");
      fill();
      let last = performance.now();
      const gaps = [];
      const watching = (async () => {
        for (const end = last + (quick ? 2_000 : 6_000); last < end; ) {
          const { at } = await viewer.next();
          gaps.push(at - last);
          last = at;
        }
      })();
      let refused = 0;
      for (; refused < 3; refused++) while (await visit(visitor));
      await watching;
      note({ name: "disk full, who watches", from: "one picture to the next, the longest time", ms: [Math.max(...gaps)], said: `${gaps.length} pictures meanwhile; ${refused} of ${refused} new viewers were refused, since what cannot be recorded is not allowed` });
      empty();
      const room = performance.now();
      await eventually("to be let in again", () => visit(visitor), 40_000);
      const fresh = await begin(server, "door");
      note({ name: "disk full, who comes", from: "room on the disk, asked again and again, to a new viewer's first picture", ms: [performance.now() - room] });
      await Promise.all([viewer.leave(), fresh.leave()]);
    } finally {
      await server.stop();
    }
  } finally {
    release();
  }
}

const failures = [];
for (const fault of [captureKilled, cameraStalled, serverKilled, diskFull]) {
  try {
    await fault();
  } catch (cause) {
    failures.push(`${fault.name}: ${cause.message.split("\n")[0]}`);
    console.error(cause);
  }
}
console.log(JSON.stringify({ faults, failures }));
