// A real browser as the viewer: node test/networks/browser.mjs LINK AUTHORITY OUT MILLISECONDS. It opens the link, watches the stream
// test, prints "ready" when pictures are painted, and so long after that writes to OUT one JSON line for each picture that was seen on the
// page: when, and how old it was by the time strip in its own pixels. Needs `npm ci` in test/e2e.

import { writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { launch } from "../e2e/lib/browser.mjs";
import { Player } from "../e2e/lib/page.mjs";
import { eventually } from "../e2e/lib/wait.mjs";

const [link, authority, out, duration] = process.argv.slice(2);
const patience = 40_000; // ms

const chromium = await launch("chromium", { authorities: [authority], flags: ["--disable-software-rasterizer"] });
try {
  const page = await chromium.newPage();
  await page.goto(link);
  await eventually("the wall of cameras", () => page.$("a.tile"), patience);
  await page.goto(`${new URL(link).origin}/watch/test`);
  const player = new Player(page);
  await eventually("pictures", async () => (await player.stats())?.painted_total > 60, patience);
  await player.noteShown();
  console.log("ready");
  await pause(Number(duration));
  const lines = (await player.shown()).map(({ at, age, lines }) => `${JSON.stringify({ at: new Date(at).toISOString(), age_ms: age, height: lines })}\n`);
  writeFileSync(out, lines.join(""));
} finally {
  await chromium.close();
}
