// A wall of sixteen cameras in Chromium: how many pictures a second each tile paints, and where the processors' time goes. Starts a server
// of its own with sixteen test patterns, each in a rendition of a tile's size. Needs `npm ci` in test/e2e, and SIGHTLINE_BIN where the
// programs are not in bin.
//
//   node test/bench/wall.mjs [FPS] [RENDERER] [SOURCE]     15 pictures a second by default, the way to the screen that the player chooses,
//       and cameras that are encoded here; with the source "coded" they come coded, from files made by ffmpeg, and are passed on as they are:
//       what is left then is the server and the page
//
// The last line is the figures as JSON:
//
//   fps                        what each camera gives
//   painted_fps_min, _median   of the sixteen tiles, as the players count it over half a minute
//   p50_ms, p95_ms             capture to paint: the medians of the tiles' figures
//   dropped_total, dropped_by_server_total   by all players, and on the way to them, in that time
//   processors                 how many were busy: of the server, of capture processes, and of each kind of Chromium's processes
//   renderer_threads           the same of the page's threads, the six busiest by name
//   load                       how many programs wanted the processors over the last minute, this one's included

import { execFileSync } from "node:child_process";
import { loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { launch } from "../e2e/lib/browser.mjs";
import { family, kind, processorSeconds, threadSeconds } from "../e2e/lib/processes.mjs";
import { scratch, Server } from "../e2e/lib/server.mjs";
import { eventually } from "../e2e/lib/wait.mjs";

const tiles = 16;
const fps = Number(process.argv[2] ?? 15);
if (!(fps >= 1 && fps <= 60)) throw new Error(`pictures a second: "${process.argv[2]}", want a number from 1 to 60`);
const renderer = process.argv[3] === "" ? undefined : process.argv[3];
const coded = process.argv[4] === "coded";
const settle = 15_000; // ms
const measure = 30_000; // ms
const patience = 120_000; // ms

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const round = (v, digits = 2) => Math.round(v * 10 ** digits) / 10 ** digits;

const room = scratch();
const file = join(room.dir, "coded.mp4");
if (coded) {
  const ffmpeg = ["-v", "error", "-f", "lavfi", "-i", `testsrc2=size=368x208:rate=${fps}`, "-t", "20", "-c:v", "libx264", "-preset", "superfast", "-tune", "zerolatency", "-g", `${fps}`, "-b:v", "300k", file];
  execFileSync("ffmpeg", ffmpeg, { stdio: "inherit" });
}
const camera = (i) =>
  coded
    ? `{source: "file:${file}", renditions: [{name: source, codec: source}]}`
    : `{source: "test:?size=368x208&fps=${fps}&tag=${i}", renditions: [{name: tile, codec: h264, height: 208, fps: ${fps}, bitrate: 300k}]}`;
const config = `streams:\n${Array.from({ length: tiles }, (_, i) => `  cam${String(i).padStart(2, "0")}: ${camera(i)}\n`).join("")}`;

const stats = (page) => page.$$eval("sightline-player", (players) => players.map((p) => p.stats()));

/** Processor time up to now of all that takes part, by what it is, in seconds. */
function seconds(server, chromium) {
  const by = {};
  const add = (name, s) => (by[name] = (by[name] ?? 0) + s);
  for (const p of family(server)) add(p.pid === server ? "server" : "capture", processorSeconds(p.pid));
  for (const p of chromium) add(kind(p), processorSeconds(p.pid));
  return by;
}

const server = await Server.start({ config });
const browser = await launch("chromium", { authorities: [server.ca], width: 1600, height: 960 });
try {
  await browser.setCookie(await server.logIn());
  const page = await browser.newPage();
  await page.goto(server.origin);
  await eventually("all tiles", async () => (await page.$$("sightline-player")).length === tiles, patience);
  if (renderer !== undefined) await page.$$eval("sightline-player", (players, r) => players.forEach((p) => p.setAttribute("renderer", r)), renderer);
  await eventually("pictures in all tiles", async () => {
    const all = await stats(page);
    if (all.every((s) => s.painted_total > fps)) return true;
    throw new Error(all.map((s) => `${s.state} ${s.painted_total}`).join(", "));
  }, patience);
  await pause(settle);

  const pid = server.running.pid;
  const chromium = family(browser.browser.process().pid);
  const renderers = chromium.filter((p) => kind(p) === "renderer").map((p) => p.pid);
  const busiest = renderers.sort((a, b) => processorSeconds(b) - processorSeconds(a))[0];
  const [before, from, threads, began] = [await stats(page), seconds(pid, chromium), threadSeconds(busiest), performance.now()];
  await pause(measure);
  const [after, to, threadsTo, took] = [await stats(page), seconds(pid, chromium), threadSeconds(busiest), (performance.now() - began) / 1000];

  const painted = after.map((s, i) => (s.painted_total - before[i].painted_total) / took);
  const processors = Object.fromEntries(Object.entries(to).map(([name, s]) => [name, round((s - (from[name] ?? 0)) / took)]));
  const byThread = [...threadsTo].map(([name, s]) => [name, round((s - (threads.get(name) ?? 0)) / took)]).sort((a, b) => b[1] - a[1]).slice(0, 6);
  console.log(`${browser.version}, ${after[0].renderer}: ${painted.map((f) => f.toFixed(1)).join(" ")} pictures a second; ${after.map((s) => `${s.height}`).join(" ")} lines`);
  console.log(JSON.stringify({
    fps, coded, renderer: after[0].renderer, painted_fps_min: round(Math.min(...painted), 1), painted_fps_median: round(median(painted), 1),
    p50_ms: round(median(after.map((s) => s.paint_p50_ms)), 1), p95_ms: round(median(after.map((s) => s.paint_p95_ms)), 1),
    dropped_total: after.reduce((sum, s, i) => sum + s.dropped_total - before[i].dropped_total, 0),
    dropped_by_server_total: after.reduce((sum, s, i) => sum + s.dropped_by_server_total - before[i].dropped_by_server_total, 0),
    processors, renderer_threads: Object.fromEntries(byThread), load: round(loadavg()[0], 1),
  }));
} finally {
  await browser.close();
  await server.stop();
  room.close();
}
