// The printed link leads to a wall with both demonstration cameras, live, each showing its own pictures.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { engines, launch } from "./lib/browser.mjs";
import { contrast, difference, Player } from "./lib/page.mjs";
import { Server } from "./lib/server.mjs";
import { eventually } from "./lib/wait.mjs";

for (const engine of engines) {
  describe(engine, () => {
    let server, browser, page;
    before(async () => {
      server = await Server.start();
      browser = await launch(engine, { authorities: [server.ca] });
      page = await browser.newPage();
    });
    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    test("the link logs in, and its code leaves the address bar", async () => {
      await page.goto(server.link);
      await eventually("two tiles", async () => (await page.$$("a.tile")).length === 2);
      assert.equal(page.url(), `${server.origin}/`);
    });

    test("the tile of test shows the test pattern, moving, a moment old", async () => {
      const player = new Player(page, "test");
      await player.state("live");
      const first = await player.nextPicture("a readable strip", (p) => p.strip !== undefined);
      const second = await player.nextPicture("a later strip", (p) => p.strip !== undefined && p.strip.counter !== first.strip.counter);
      assert.equal(first.strip.tag, 0);
      assert.ok(((second.strip.counter - first.strip.counter) & 0xffff) < 0x8000, "the counter goes up");
      assert.ok(second.strip.time > first.strip.time, "the time goes on");
      // Two cameras in software on a shared machine: what is checked here is that it is now, not how fast.
      assert.ok(second.age > 0 && second.age < 1_000, `the picture is ${second.age} ms old`);
    });

    test("the tile of street shows something else, that moves too", async () => {
      const player = new Player(page, "street");
      await player.state("live");
      const first = await player.nextPicture("a picture");
      assert.ok(contrast(first.luma) > 10, `contrast ${contrast(first.luma)}`);
      assert.equal(first.strip, undefined, "no strip of the test pattern");
      const second = await player.nextPicture("a different picture", (p) => difference(p, first) > 2);
      assert.equal(second.strip, undefined);
    });

    test("a small tile is not sent more lines than it shows, and a larger one is not held to them", async () => {
      const player = new Player(page, "test");
      const told = async (accept) => {
        const { height, limit } = await player.stats();
        if (accept(height, limit)) return true;
        throw new Error(`${height} lines, limit ${limit}`);
      };
      await page.setViewport({ width: 390, height: 844 });
      await eventually("the smallest rendition", () => told((lines) => lines === 368));
      await page.setViewport({ width: 1280, height: 1600 });
      // A machine at its limit is, to the server, a network at its limit.
      await eventually("more lines, if the network carries them", () => told((lines, limit) => lines > 368 || limit === "network"));
      await page.setViewport({ width: 1280, height: 720 });
    });

    test("a tile whose camera went silent says how old its picture is; the other one is live", async () => {
      const capture = server.capturePid("test");
      process.kill(capture, "SIGSTOP");
      try {
        await eventually("the age in the tile", () =>
          page.$eval('.cell[data-stream="test"] sightline-player', (p) => {
            const age = p.shadowRoot.querySelector(".age");
            return age.checkVisibility() && /^picture \d+ s old$/.test(age.innerText);
          }),
        );
        await new Player(page, "street").state("live");
      } finally {
        process.kill(capture, "SIGCONT");
      }
      await new Player(page, "test").state("live", 20_000);
    });

    test("arrows and Enter lead to a camera, Escape back to its tile", async () => {
      await page.bringToFront();
      await page.keyboard.press("ArrowRight");
      const focused = () => page.evaluate(() => document.activeElement?.getAttribute("href"));
      const first = await focused();
      assert.match(first ?? "", /^\/watch\/(test|street)$/);
      await page.keyboard.press("ArrowRight");
      const second = await focused();
      assert.notEqual(second, first, "the second arrow leads to the other tile");
      await page.keyboard.press("Enter");
      await eventually("the camera alone", () => page.evaluate((path) => location.pathname === path && document.querySelector(".cell.large") !== null, second));
      await page.keyboard.press("Escape");
      await eventually("the wall, with the focus where it was", async () => (await focused()) === second);
    });
  });
}
