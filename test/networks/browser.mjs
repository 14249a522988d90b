// A real browser as the viewer: node test/networks/browser.mjs LINK AUTHORITY OUT MILLISECONDS. It opens the link, watches the stream
// test, prints "ready" when pictures are painted, and so long after that writes to OUT one JSON line for each picture that was seen on the
// page: when, and how old it was by the time strip in its own pixels. Needs `npm ci` in test/e2e.

import { writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { launch } from "../e2e/lib/browser.mjs";
import { Player } from "../e2e/lib/page.mjs";
import { ageMillis, readStrip } from "../e2e/lib/strip.mjs";
import { eventually } from "../e2e/lib/wait.mjs";

const [link, authority, out, duration] = process.argv.slice(2);
const patience = 40_000; // ms
const width = 160; // of the strip as it is sampled: four pixels for each of its cells, either way
const height = 96; // of the whole picture at the same scale, of which the strip is a twelfth

/** Runs in the page: notes what the player shows at each refresh of the screen. */
function note(width, rows) {
  const context = Object.assign(document.createElement("canvas"), { width, height: rows }).getContext("2d", { willReadFrequently: true });
  const player = document.querySelector("main.watch sightline-player");
  window.noted = [];
  let last = "";
  const look = () => {
    const source = player.surface;
    const [w, h] = [source?.videoWidth ?? source?.width ?? 0, source?.videoHeight ?? source?.height ?? 0];
    if (w > 0) {
      context.drawImage(source, 0, 0, w, h / 12, 0, 0, width, rows);
      const { data } = context.getImageData(0, 0, width, rows);
      let luma = "";
      for (let i = 0; i < data.length; i += 4) luma += String.fromCharCode(Math.round(0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]));
      if (luma !== last) window.noted.push({ at: performance.timeOrigin + performance.now(), luma: btoa(luma), height: h });
      last = luma;
    }
    requestAnimationFrame(look);
  };
  look();
}

/** What was noted, each picture once: the same may look different when it is sampled again. */
function pictures(noted) {
  const seen = [];
  let [counter, unreadable] = [undefined, 0];
  for (const { at, luma, height: lines } of noted) {
    const strip = readStrip(Buffer.from(luma, "base64"), width, height);
    if (strip === undefined) unreadable++;
    else if (strip.counter !== counter) {
      counter = strip.counter;
      seen.push({ at: new Date(at).toISOString(), age_ms: ageMillis(strip, at), height: lines });
    }
  }
  if (unreadable > seen.length / 10) throw new Error(`${unreadable} pictures without a readable time strip, beside ${seen.length} with one`);
  return seen;
}

const chromium = await launch("chromium", { authorities: [authority], flags: ["--disable-software-rasterizer"] });
try {
  const page = await chromium.newPage();
  await page.goto(link);
  await eventually("the wall of cameras", () => page.$("a.tile"), patience);
  await page.goto(`${new URL(link).origin}/watch/test`);
  const player = new Player(page);
  await eventually("pictures", async () => (await player.stats())?.painted_total > 60, patience);
  await page.evaluate(note, width, height / 12);
  console.log("ready");
  await pause(Number(duration));
  writeFileSync(out, pictures(await page.evaluate("window.noted")).map((p) => `${JSON.stringify(p)}\n`).join(""));
} finally {
  await chromium.close();
}
