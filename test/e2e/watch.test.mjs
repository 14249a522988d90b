// The page of one camera: what is on the screen, what the figures say, and the keyboard.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { engines, launch } from "./lib/browser.mjs";
import { Player, readShot } from "./lib/page.mjs";
import { Server } from "./lib/server.mjs";
import { eventually } from "./lib/wait.mjs";

for (const engine of engines) {
  describe(engine, () => {
    let server, browser, page, player;
    before(async () => {
      server = await Server.start();
      browser = await launch(engine, { authorities: [server.ca] });
      await browser.setCookie(await server.logIn());
      page = await browser.newPage();
      await page.goto(`${server.origin}/watch/test`);
      player = new Player(page);
    });
    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    test("the picture is live, in its own size, by the way to the screen meant for this browser", async () => {
      const stats = await player.state("live");
      assert.equal(stats.stream, "test");
      assert.deepEqual([stats.width, stats.height], [1280, 720]);
      assert.match(stats.codec, /^avc1\.[0-9a-f]{6}$/i);
      assert.equal(stats.renderer, engine === "chromium" ? "track" : "canvas");
    });

    test("what the screen shows is the test pattern of a moment ago", async () => {
      // The window's own pixels, not those of the player's surface.
      const blank = await browser.newPage();
      await page.bringToFront();
      const shot = async () => readShot(blank, await page.screenshot({ encoding: "base64" }));
      const first = await eventually("a strip on the screen", async () => (await shot()).strip);
      const second = await eventually("a later one", async () => {
        const { strip } = await shot();
        return strip !== undefined && strip.counter !== first.counter ? strip : undefined;
      });
      assert.equal(first.tag, 0);
      assert.ok(second.time > first.time);
      const wrapped = (Date.now() * 10) % 2 ** 40;
      assert.ok(wrapped - second.time < 50_000, "the screen is less than five seconds late");
    });

    test("the figures can be true, are shown, and agree with the clock in the picture", async () => {
      const stats = await eventually("figures", async () => {
        const s = await player.stats();
        return s.paint_p50_ms !== null && s.painted_total > 60 ? s : undefined;
      });
      assert.ok(stats.paint_p50_ms > 0 && stats.paint_p50_ms < 500, `p50 ${stats.paint_p50_ms} ms`);
      assert.ok(stats.paint_p95_ms >= stats.paint_p50_ms);
      assert.ok(stats.clock_error_ms < 20, `the clock is ${stats.clock_error_ms} ms off`);
      assert.ok(stats.bitrate_bps > 200_000 && stats.bitrate_bps < 4_000_000, `${stats.bitrate_bps} bit/s`);
      assert.ok(stats.painted_fps > 10 && stats.painted_fps < 40, `${stats.painted_fps} pictures a second`);
      const shown = await page.$eval("sightline-player", (p) => p.shadowRoot.querySelector(".stats").innerText);
      assert.match(shown, /\d+\s*ms capture to paint/);
      assert.match(shown, /1280 × 720/);
      assert.match(shown, /\d\.\d\d Mbit\/s/);
      // By the wall clock, which the page's figures do not use: no picture is from the future, and none is old.
      const ages = [];
      for (let i = 0; i < 15; i++) ages.push((await player.nextPicture("a strip", (p) => p.strip !== undefined)).age);
      assert.ok(Math.min(...ages) > 0 && Math.min(...ages) < 500, `ages of pictures in ms: ${ages.join(" ")}`);
    });

    test("i hides and shows the figures, Escape leads to the wall", async () => {
      const figures = () => page.$eval("sightline-player", (p) => p.shadowRoot.querySelector(".stats").checkVisibility());
      assert.equal(await figures(), true);
      await page.keyboard.press("i");
      assert.equal(await figures(), false);
      await page.keyboard.press("i");
      assert.equal(await figures(), true);
      await page.keyboard.press("Escape");
      await eventually("the wall", async () => (await page.$$("a.tile")).length === 2);
      assert.equal(new URL(page.url()).pathname, "/");
    });
  });
}
