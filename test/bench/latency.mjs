// How long a picture takes from capture to screen, in real browsers. Starts a server of its own with the demonstration and watches the
// test pattern (720p, 30000/1001 pictures a second) over TLS on this machine. Needs `npm ci` in test/e2e, and SIGHTLINE_BIN where the
// programs are not in bin. The last line is the figures as JSON:
//
//   screen_p50_ms   capture to screen: when the compositor swapped a frame (DevTools' screencast), less the time in the strip in its pixels
//   p50_ms, p95_ms  capture to paint as the page itself reads it: medians over windows of five seconds, without a screencast
//   painted_fps     pictures painted a second, over the same time
//   first_picture_ms       from navigation to the first picture painted, stream running: median of several
//   first_picture_cold_ms  the same with nobody else watching, so that the encoder starts too: median of several
//   firefox_…       what Firefox's page reads

import { launch } from "../e2e/lib/browser.mjs";
import { Player, readShotStrip } from "../e2e/lib/page.mjs";
import { Server } from "../e2e/lib/server.mjs";
import { Viewer } from "../e2e/lib/socket.mjs";
import { ageMillis } from "../e2e/lib/strip.mjs";
import { eventually } from "../e2e/lib/wait.mjs";
import { setTimeout as pause } from "node:timers/promises";

const navigations = 3;
const coldNavigations = 2;
// At 30000/1001 pictures a second the phase against a screen of 60 Hz takes 16.7 s to come round: less than about that is luck.
const windows = 3; // of five seconds, which the player's figures are over
const screencastFor = 16_000; // ms
const settleFor = 60; // pictures

const sorted = (values) => [...values].sort((a, b) => a - b);
const quantile = (values, q) => sorted(values)[Math.min(values.length - 1, Math.floor(values.length * q))];
const median = (values) => quantile(values, 0.5);
const round = (ms) => Math.round(ms * 10) / 10;

async function firstPicture(page, server) {
  await page.goto(`${server.origin}/watch/test`);
  const player = new Player(page);
  const stats = await eventually("a first picture", async () => {
    const s = await player.stats();
    return s?.first_picture_ms == null ? undefined : s;
  });
  return stats.first_picture_ms;
}

/** Leaves the page, and waits until the server knows, so that nothing of the last visit runs on into the next. */
async function leave(page, server) {
  const from = server.running.lines.length;
  const watching = page.url().startsWith(server.origin);
  await page.goto("about:blank");
  if (watching) await server.running.line(/viewer left/, { from });
}

/** What the page reads over the next windows. */
async function reading(player, windows) {
  await eventually("a settled player", async () => (await player.stats())?.painted_total > settleFor, 20_000);
  const [p50, p95] = [[], []];
  const [from, began] = [(await player.stats()).painted_total, performance.now()];
  let stats;
  for (let i = 0; i < windows; i++) {
    await pause(5_000);
    stats = await player.stats();
    p50.push(stats.paint_p50_ms);
    p95.push(stats.paint_p95_ms);
  }
  const fps = (stats.painted_total - from) / ((performance.now() - began) / 1000);
  return { p50: median(p50), p95: median(p95), fps, error: stats.clock_error_ms, dropped: stats.dropped_total, renderer: stats.renderer };
}

/** The age of each picture when the compositor first swapped it in, in ms. */
async function screen(page) {
  const client = await page.createCDPSession();
  const frames = [];
  client.on("Page.screencastFrame", ({ data, metadata, sessionId }) => {
    client.send("Page.screencastFrameAck", { sessionId }).catch(() => undefined);
    frames.push({ data, at: metadata.timestamp * 1000 });
  });
  await client.send("Page.startScreencast", { format: "jpeg", quality: 60, maxWidth: 640, maxHeight: 360 });
  await pause(screencastFor);
  await client.send("Page.stopScreencast");
  await page.goto("about:blank");
  // Only now, so that nothing competes with the pictures.
  const ages = new Map();
  let unreadable = 0;
  for (const { data, at } of frames) {
    const strip = await readShotStrip(page, data);
    if (strip === undefined) unreadable++;
    else if (!ages.has(strip.counter)) ages.set(strip.counter, ageMillis(strip, at));
  }
  if (ages.size < frames.length / 2) throw new Error(`only ${ages.size} different pictures could be read in ${frames.length} frames of the screen`);
  return { ages: [...ages.values()], frames: frames.length, unreadable };
}

const server = await Server.start();
const figures = {};
try {
  const cookie = await server.logIn();
  const token = await server.token({ stream: "test" });

  const chromium = await launch("chromium", { authorities: [server.ca], flags: ["--disable-software-rasterizer"] });
  try {
    const page = await chromium.newPage();
    await chromium.setCookie(cookie);
    const visit = await firstPicture(page, server);
    const cold = [];
    for (let i = 0; i < coldNavigations; i++) {
      const from = server.running.lines.length;
      await page.goto("about:blank");
      await server.running.line(/stream=test .*state=idle/, { from });
      cold.push(await firstPicture(page, server));
    }
    const companion = await Viewer.join(server, "test", { token });
    const warm = [];
    for (let i = 0; i < navigations; i++) {
      await leave(page, server);
      warm.push(await firstPicture(page, server));
    }
    await companion.leave();
    Object.assign(figures, { first_picture_ms: round(median(warm)), first_picture_cold_ms: round(median(cold)), first_visit_ms: round(visit) });
    console.log(`${chromium.version}`);
    console.log(`first picture: running stream ${warm.map(round).join(" ")}; stopped stream ${cold.map(round).join(" ")}; the browser's first page ever ${round(visit)} ms`);

    const own = await reading(new Player(page), windows);
    console.log(`page's reading: p50 ${round(own.p50)} p95 ${round(own.p95)} ms (clock ±${round(own.error)}), ${own.fps.toFixed(2)} pictures a second, ${own.dropped} dropped, renderer ${own.renderer}`);
    const { ages, frames, unreadable } = await screen(page);
    console.log(`screen: p5 ${round(quantile(ages, 0.05))} p50 ${round(median(ages))} p95 ${round(quantile(ages, 0.95))} ms over ${ages.length} pictures in ${frames} frames, ${unreadable} of them unreadable`);
    Object.assign(figures, { screen_p50_ms: round(median(ages)), screen_p95_ms: round(quantile(ages, 0.95)), p50_ms: round(own.p50), p95_ms: round(own.p95), painted_fps: Math.round(own.fps * 100) / 100 });
  } finally {
    await chromium.close();
  }

  const firefox = await launch("firefox", { authorities: [server.ca] });
  try {
    const page = await firefox.newPage();
    await firefox.setCookie(cookie);
    const companion = await Viewer.join(server, "test", { token });
    const warm = [];
    for (let i = 0; i < 3; i++) {
      await leave(page, server);
      warm.push(await firstPicture(page, server));
    }
    await companion.leave();
    const own = await reading(new Player(page), 1);
    console.log(`${firefox.version}: first picture ${warm.map(round).join(" ")}; page's reading p50 ${round(own.p50)} p95 ${round(own.p95)} ms, ${own.fps.toFixed(2)} pictures a second, ${own.dropped} dropped, renderer ${own.renderer}`);
    Object.assign(figures, { firefox_p50_ms: round(own.p50), firefox_p95_ms: round(own.p95), firefox_painted_fps: Math.round(own.fps * 100) / 100, firefox_first_picture_ms: round(median(warm)) });
  } finally {
    await firefox.close();
  }
} finally {
  await server.stop();
}
console.log(JSON.stringify(figures));
