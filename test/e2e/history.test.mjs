// A day of figures: kept by the real server through a kill, and shown as charts.

import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { violations } from "./lib/axe.mjs";
import { engines, launch } from "./lib/browser.mjs";
import { aDay, minutes } from "./lib/history.mjs";
import { addUser, logIn, texts, textOf, visit } from "./lib/people.mjs";
import { Running, scratch, Server } from "./lib/server.mjs";
import { eventually } from "./lib/wait.mjs";

let server, kept;
before(async () => {
  kept = scratch();
  writeFileSync(join(kept.dir, "history.log"), aDay("test", "gate/door"), { mode: 0o600 });
  server = await Server.start({ dataDir: kept.dir, config: `streams: {test: {source: "test:?size=320x180&fps=10"}}\n` });
  addUser(server, "root", "admin");
});
after(async () => {
  await server?.stop();
  kept?.close();
});

const ask = async (query = "") => {
  const token = await server.token({ action: "admin", subject: "root" });
  const { status, body } = await server.request("GET", `/api/v1/admin/history${query}`, { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(status, 200, body);
  return JSON.parse(body);
};
const known = (list) => list.filter((v) => v !== null).length;

test("a minute of what runs is kept, and outlives a kill", async () => {
  const before = await ask("?stream=test");
  const token = await server.token();
  const viewer = new Running("sightline", ["watch", `${server.origin}/watch/test`, "--ca", server.ca], { SIGHTLINE_TOKEN: token });
  let fresh;
  try {
    fresh = await eventually("another minute", async () => {
      const { from, series } = await ask("?stream=test");
      const at = series.viewers.findLastIndex((v) => v !== null);
      if (from / 60 + at < minutes() - 1 || series.viewers[at] !== 1) throw new Error("not yet");
      return { at: from / 60 + at, rate: series.frame_rate[at], bitrate: series.bitrate_bps[at] };
    }, 150_000); // the first may have begun before the viewer
  } finally {
    await viewer.stop("SIGINT");
  }
  assert.ok(fresh.rate > 0 && fresh.rate < 12 && fresh.bitrate > 0, JSON.stringify(fresh));
  await server.restart("SIGKILL");
  const { from, series } = await ask("?stream=test");
  assert.equal(series.frame_rate[fresh.at - from / 60], fresh.rate);
  assert.ok(known(series.viewers) > known(before.series.viewers) - 5);
});

for (const engine of engines) {
  test(`an administrator sees a day as charts, with gaps, and as a table, ${engine}`, async (t) => {
    const browser = await launch(engine, { authorities: [server.ca], height: 800 });
    t.after(() => browser.close());
    const page = await visit(server, browser, "/admin/history");
    await logIn(page, "root");
    await page.waitForSelector(".chart svg");
    assert.deepEqual(await texts(page, ".chart h3"), ["Viewers", "Sent to viewers", "Refused attempts, a minute", "Memory"]);
    await page.select(".tools select", "test");
    await eventually("the stream's charts", async () => (await texts(page, ".chart h3")).includes("From capture to screen"));
    const lines = await page.$$eval(".chart svg .line-0", (all) => all.map((p) => p.getAttribute("d").match(/M/g).length));
    assert.ok(lines.length === 7 && lines.every((n) => n >= 2), `runs of known values: ${lines}`); // the server was off in between
    assert.match(await page.$eval(".chart svg", (s) => s.getAttribute("aria-label")), /^Viewers over 24 hours\. Last [\d.]+, highest [\d.]+\.$/);
    const plot = await page.$(".chart:nth-child(2) .plot");
    const box = await plot.boundingBox();
    await page.mouse.move(box.x + box.width - 60, box.y + 40);
    await eventually("what the pointer is on", async () => /ms \/ [\d.]+ ms at \d/.test(await textOf(page, ".chart:nth-child(2) .reading")));
    await page.click(".board summary");
    const rows = await page.$$eval("table tbody tr", (all) => all.map((r) => [...r.cells].map((c) => c.textContent)));
    assert.ok(rows.length >= 10 && rows.every((r) => r.length === 8), `${rows.length} hours`);
    assert.ok(rows.some((r) => /^[\d.]+ ms$/.test(r[2])) && rows.some((r) => r[2] === "–"), JSON.stringify(rows[0]));
    assert.deepEqual(await violations(page), []);
    if (process.env.SHOTS) {
      for (const [name, width, height] of [["laptop", 1440, 900], ["phone", 390, 844]]) {
        await page.setViewport({ width, height });
        await page.screenshot({ path: join(process.env.SHOTS, `history-${engine}-${name}.png`), fullPage: true });
      }
    }
  });
}

test("a broken file is said and set aside, and what could be read of it stays", async () => {
  const file = join(server.dataDir, "history.log"); // a running server writes at its end, once a minute
  const lines = readFileSync(file, "utf8").split("\n");
  lines[100] = lines[100].replace('"server"', '"serves"');
  writeFileSync(file, lines.join("\n"));
  await server.restart();
  await server.running.line(/figures is broken.*history\.log\.broken.*minutes=100/);
  assert.ok(existsSync(`${file}.broken`));
  assert.equal(known((await ask()).series.viewers), 100);
});

test("nobody else sees it", async () => {
  const token = await server.token();
  const { status } = await server.request("GET", "/api/v1/admin/history", { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(status, 401);
});
