// From capture to paint, picture by picture, in real browsers: node test/eval/latency.mjs [--quick]. Starts a server of its own with test patterns and watches each of them
// over TLS on this machine. Needs `npm ci` in test/e2e, and SIGHTLINE_BIN where the programs are not in bin. The last line is JSON: runs, each with
//
//   pictures   of each picture painted [encode, network, decode, show] in ms, by the clocks of server and page
//   seen       then, with the page looking at its pixels at each refresh: how many different pictures it saw there
//   both       of those of them that the player told of as well: the picture's age by the header's clock when it was painted [0],
//              by the time strip in it at that moment [1], and by the strip when a refresh of the screen first saw it [2]

import { launch } from "../e2e/lib/browser.mjs";
import { Player } from "../e2e/lib/page.mjs";
import { Server } from "../e2e/lib/server.mjs";
import { eventually } from "../e2e/lib/wait.mjs";
import { setTimeout as pause } from "node:timers/promises";

const quick = process.argv.includes("--quick");
const settleFor = 90; // pictures
// At 30 pictures a second the phase against a screen of 60 Hz drifts slowly: less than some seconds is luck.
const [readFor, bothFor] = quick ? [5_000, 2_500] : [14_000, 6_000]; // ms
const rate = 30;
const sizes = quick ? [[1280, 720]] : [[1280, 720], [1920, 1080]];
const codecs = quick ? ["h264"] : ["h264", "jpeg"];

const round = (ms) => Math.round(ms * 100) / 100;
const name = (codec, height) => `${codec}-${height}`;

const streams = sizes.flatMap(([w, h]) => codecs.map((codec) => `  ${name(codec, h)}: {source: "test:?size=${w}x${h}&fps=${rate}", renditions: [{name: only, codec: ${codec}, height: ${h}, fps: ${rate}}]}\n`));
const server = await Server.start({ config: `streams:\n${streams.join("")}` });

/** Runs in a page: keeps of each picture painted from now on what the player tells of it. */
function notePictures() {
  window.painted = [];
  document.querySelector("sightline-player").addEventListener("pictures", (e) => window.painted.push(...e.detail));
}

const total = (p) => p.encode_ms + p.network_ms + p.decode_ms + p.show_ms;

/** Pairs what the strips say with what the player says of the same picture: that which was captured, by its header, nearest to when the strip was drawn. */
function pair(painted, shown) {
  const both = [];
  for (const s of shown) {
    const drawn = s.at - s.age;
    const off = (p) => Math.abs(p.painted_ms - total(p) - drawn);
    const p = painted.reduce((best, p) => (best === undefined || off(p) < off(best) ? p : best), undefined);
    if (p !== undefined && off(p) < 500 / rate) both.push([total(p), p.painted_ms - drawn, s.at - drawn].map(round));
  }
  return both;
}

async function watch(page, player, stream) {
  await page.goto(`${server.origin}/watch/${stream}`);
  await eventually("a settled player", async () => (await player.stats())?.painted_total > settleFor, 40_000);
  await page.evaluate(notePictures);
  const [from, began] = [(await player.stats()).painted_total, performance.now()];
  await pause(readFor);
  const stats = await player.stats();
  const seconds = (performance.now() - began) / 1000;
  const pictures = await page.evaluate("window.painted.splice(0)");
  await player.noteShown();
  await pause(bothFor);
  const shown = await player.shown();
  const painted = await page.evaluate("window.painted");
  return {
    renderer: stats.renderer, decoder: stats.decoder, clock_error_ms: stats.clock_error_ms, fps: round((stats.painted_total - from) / seconds), seconds: round(seconds),
    pictures: pictures.map((p) => [p.encode_ms, p.network_ms, p.decode_ms, p.show_ms].map(round)),
    seen: shown.length, both: pair(painted, shown),
  };
}

const runs = [];
const failures = [];
try {
  const cookie = await server.logIn();
  for (const engine of ["chromium", "firefox"]) {
    const browser = await launch(engine, { authorities: [server.ca], width: 1920, height: 1080, flags: ["--disable-software-rasterizer"] });
    try {
      await browser.setCookie(cookie);
      for (const [width, height] of sizes) {
        for (const codec of codecs) {
          const page = await browser.newPage();
          await page.setViewport({ width, height });
          try {
            const run = await watch(page, new Player(page), name(codec, height));
            runs.push({ browser: engine, version: browser.version, width, height, codec, rate, ...run });
            console.error(`${engine} ${height}p ${codec}: ${run.pictures.length} pictures, ${run.both.length} of ${run.seen} read twice, ${run.fps} a second, ${run.renderer}`);
          } catch (cause) {
            failures.push(`${engine} ${height}p ${codec}: ${cause.message}`);
          }
          await page.close();
        }
      }
    } finally {
      await browser.close();
    }
  }
} finally {
  await server.stop();
}
console.log(JSON.stringify({ runs, failures }));
