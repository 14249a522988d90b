// Browsers without a video decoder for scripts get a <video> that decodes by itself, and those without that get JPEG.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { engines, launch } from "./lib/browser.mjs";
import { Player } from "./lib/page.mjs";
import { Server } from "./lib/server.mjs";
import { eventually } from "./lib/wait.mjs";

const renderers = { webcodecs: { chromium: "track", firefox: "canvas" }, mse: { chromium: "mse", firefox: "mse" }, jpeg: { chromium: "canvas", firefox: "canvas" } };
const patience = 40_000; // ms

/** Watches what is there until it is live, and holds that it is the test pattern of now, moving, and told in figures. */
async function shows(page, engine, decoder) {
  const player = new Player(page);
  await player.state("live", patience);
  const stats = await eventually("figures", async () => {
    const s = await player.stats();
    return s.paint_p50_ms !== null && s.painted_total > 20 && s.decoded_total > 20 ? s : undefined;
  }, patience);
  assert.deepEqual([stats.decoder, stats.renderer], [decoder, renderers[decoder][engine]]);
  assert.match(stats.codec, decoder === "jpeg" ? /^jpeg$/ : /^avc1\.[0-9a-f]{6}$/i);
  assert.ok(stats.paint_p50_ms > 0 && stats.paint_p95_ms >= stats.paint_p50_ms);
  const first = await player.nextPicture("a strip", (p) => p.strip !== undefined, patience);
  const second = await player.nextPicture("a later one", (p) => p.strip !== undefined && p.strip.counter !== first.strip.counter, patience);
  assert.equal(first.strip.tag, 0);
  assert.ok(second.strip.time > first.strip.time, "the time goes on");
  assert.ok(second.age > 0 && second.age < 2_000, `the picture is ${second.age} ms old`);
  return player;
}

for (const engine of engines) {
  describe(engine, () => {
    let server, browser, page;
    before(async () => {
      server = await Server.start();
      browser = await launch(engine, { authorities: [server.ca] });
      await browser.setCookie(await server.logIn());
      page = await browser.newPage();
    });
    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    for (const decoder of ["webcodecs", "mse", "jpeg"]) {
      test(`${decoder}: live, with the figures`, async () => {
        await page.goto(`${server.origin}/watch/test?decoder=${decoder}`);
        await shows(page, engine, decoder);
      });
    }

    test("mse: a new size and a new server are gone on with, and what is shown stays new", async () => {
      await page.goto(`${server.origin}/watch/test?decoder=mse`);
      const player = await shows(page, engine, "mse");
      await page.$eval("sightline-player", (p) => p.setAttribute("quality", "low"));
      await eventually("fewer lines", async () => (await player.stats()).height === 368, patience);
      const before = (await player.stats()).painted_total;
      await eventually("pictures of it", async () => (await player.stats()).painted_total > before + 20, patience);
      await server.restart();
      await eventually("pictures after it", async () => (await player.stats()).painted_total > before + 60, patience);
      await player.state("live", patience);
      const { age } = await player.nextPicture("a picture of now", (p) => p.strip !== undefined && p.age < 2_000, patience);
      assert.ok(age > 0);
      await page.$eval("sightline-player", (p) => p.removeAttribute("quality"));
    });

    test("mse: what was played is thrown away, up to a keyframe", async () => {
      await page.goto(`${server.origin}/watch/test?decoder=mse`);
      const player = await shows(page, engine, "mse");
      const began = () => page.$eval("sightline-player", (p) => p.surface.buffered.start(0));
      await eventually("a later beginning of what is buffered", async () => {
        // A rendition asked for comes with a keyframe.
        await page.$eval("sightline-player", (p) => p.setAttribute("quality", p.getAttribute("quality") === "low" ? "high" : "low"));
        const { painted_total } = await player.stats();
        await eventually("pictures", async () => (await player.stats()).painted_total > painted_total + 30, patience);
        return (await began()) > 0;
      }, patience);
      const errors = await page.$eval("sightline-player", (p) => p.surface.error?.message ?? "");
      assert.equal(errors, "");
    });
  });

  describe(`${engine} without WebCodecs`, () => {
    let server, browser;
    /** Firefox can do without by a preference; of Chromium's page it is taken away. */
    const newPage = async () => {
      const page = await browser.newPage();
      await page.evaluateOnNewDocument(() => delete window.VideoDecoder);
      return page;
    };
    before(async () => {
      server = await Server.start();
      browser = await launch(engine, { authorities: [server.ca], prefs: { "dom.media.webcodecs.enabled": false } });
      await browser.setCookie(await server.logIn());
    });
    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    test("plays through a <video>", async () => {
      const page = await newPage();
      await page.goto(`${server.origin}/watch/test`);
      assert.equal(await page.evaluate(() => typeof VideoDecoder), "undefined");
      await shows(page, engine, "mse");
      await page.close();
    });

    test("and without Media Source Extensions shows JPEG", async () => {
      const page = await newPage();
      await page.evaluateOnNewDocument(() => delete window.MediaSource);
      await page.goto(`${server.origin}/watch/test`);
      await shows(page, engine, "jpeg");
      await page.close();
    });

    test("says that it cannot play here what it is told to", async () => {
      const page = await newPage();
      await page.goto(`${server.origin}/watch/test?decoder=webcodecs`);
      const { reason } = await new Player(page).state("unsupported");
      assert.match(reason, /no decoder/);
      await page.close();
    });
  });
}
