// This device's camera: published from one page of a real browser, watched in another, through the real server. The cameras are
// the browsers' own fakes: Chromium's is a moving figure and a clock, Firefox's one colour that changes.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import puppeteer from "puppeteer-core";
import { launch } from "./lib/browser.mjs";
import { contrast, difference, Player } from "./lib/page.mjs";
import { scratch, Server } from "./lib/server.mjs";
import { Viewer } from "./lib/socket.mjs";
import { eventually } from "./lib/wait.mjs";

/** A browser with a fake camera, which may be used without being asked. */
async function launchWithCamera(engine, server, flags = []) {
  if (engine === "chromium") {
    return launch(engine, { authorities: [server.ca], flags: ["--use-fake-device-for-media-stream=fps=30", "--use-fake-ui-for-media-stream", ...flags] });
  }
  const room = scratch();
  const profile = join(room.dir, "profile");
  mkdirSync(profile, { mode: 0o700 });
  execFileSync("certutil", ["-N", "--empty-password", "-d", `sql:${profile}`]);
  execFileSync("certutil", ["-A", "-d", `sql:${profile}`, "-n", "authority", "-t", "C,,", "-i", server.ca]);
  const browser = await puppeteer.launch({
    browser: "firefox", executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr", headless: true, userDataDir: profile,
    env: { ...process.env, HOME: room.dir }, defaultViewport: { width: 1280, height: 720, deviceScaleFactor: 1 },
    extraPrefsFirefox: { "media.navigator.streams.fake": true, "media.navigator.permission.disabled": true },
  });
  return {
    setCookie: (cookie) => browser.setCookie(cookie),
    newPage: () => browser.newPage(),
    async close() {
      await browser.close();
      room.close();
    },
  };
}

/** What the page of a camera says: its state, the sentence and the figures. */
const toldOf = (page) =>
  page.evaluate(() => {
    const figures = {};
    for (const dt of document.querySelectorAll(".publish dt")) figures[dt.innerText] = dt.nextElementSibling.innerText;
    const box = document.querySelector(".told");
    return { state: box?.dataset.state, words: box?.innerText, figures };
  });

const toldState = (page, wanted, limit) =>
  eventually(`the camera's page says ${wanted}`, async () => {
    const t = await toldOf(page);
    if (t.state === wanted) return t;
    throw new Error(`it says ${JSON.stringify(t)}`);
  }, limit);

const press = (page, name) =>
  eventually(`a button ${name}`, () => page.evaluate((name) => {
    const b = [...document.querySelectorAll(".publish button")].find((b) => b.innerText === name && !b.disabled && b.checkVisibility());
    b?.click();
    return b !== undefined;
  }, name));

const h264 = /^avc1\.[0-9a-f]{6}$/;
// Firefox's H.264 encoder holds 40 pictures back where FFmpeg's x264 does the work, so its camera may come as JPEG.
const ways = [
  { name: "chromium", engine: "chromium", query: "", codec: h264, fps: 20 },
  { name: "chromium without a track processor", engine: "chromium", query: "?feed=video", codec: h264, fps: 12 },
  { name: "chromium without a video encoder, as many phones are", engine: "chromium", query: "?codec=jpeg", codec: /^jpeg$/, fps: 8 },
  { name: "firefox", engine: "firefox", query: "", codec: /^(jpeg|avc1\.[0-9a-f]{6})$/, fps: 5 },
];

for (const way of ways) {
  describe(way.name, () => {
    let server, browser, camera, viewer, player, cookie;
    before(async () => {
      server = await Server.start({ config: "streams: {}\n" });
      cookie = await server.logIn();
      [browser, viewer] = await Promise.all([launchWithCamera(way.engine, server), launch("chromium", { authorities: [server.ca] })]);
      await browser.setCookie(cookie);
      await viewer.setCookie(cookie);
      camera = await browser.newPage();
      await camera.goto(`${server.origin}/publish/phone${way.query}`);
    });
    after(async () => {
      await viewer?.close();
      await browser?.close();
      await server?.stop();
    });

    test("there is a preview, and nothing is sent before Start", async () => {
      await toldState(camera, "ready");
      const size = await eventually("a picture in the preview", () => camera.$eval("video", (v) => (v.videoWidth > 0 ? [v.videoWidth, v.videoHeight] : undefined)));
      assert.deepEqual(size, [1280, 720]);
      const choices = await camera.$$eval("#camera option", (options) => options.map((o) => o.innerText));
      assert.ok(choices.length >= 1 && choices[0].length > 0, `cameras: ${choices}`);
      assert.equal(server.auditRecords().filter((r) => r.event === "publish").length, 0);
    });

    test("without viewers nothing is encoded", async () => {
      await press(camera, "Start");
      const t = await toldState(camera, "waiting");
      assert.match(t.words, /Nobody watches/);
      assert.equal(t.figures.Sent, "–");
      assert.equal(server.auditRecords().filter((r) => r.event === "publish" && r.verdict === "granted").length, 1);
    });

    test("a viewer sees the moving picture, and the camera's page says so", async (t) => {
      const page = await viewer.newPage();
      await page.goto(`${server.origin}/watch/phone`);
      player = new Player(page);
      const stats = await player.state("live", 20_000);
      assert.match(stats.codec, way.codec);
      assert.deepEqual([stats.width, stats.height], [1280, 720]);
      const first = await player.nextPicture("a picture", (p) => way.engine === "firefox" || contrast(p.luma) > 5);
      await player.nextPicture("another picture", (p) => difference(p, first) > (way.engine === "firefox" ? 5 : 20));
      const live = await eventually("both figures", async () => {
        const told = await toldOf(camera);
        if (told.state === "live" && /1 viewer/.test(told.words) && parseFloat(told.figures.Sent) > 0) return told;
        throw new Error(JSON.stringify(told));
      });
      assert.match(live.figures.Picture, /1280 × 720/);
      const steady = await eventually("the camera's pace", async () => {
        const s = await player.stats();
        if (s.painted_total > 40 && s.paint_p50_ms !== null && s.painted_fps >= way.fps) return s;
        throw new Error(JSON.stringify(s));
      }, 20_000);
      assert.ok(steady.paint_p50_ms > 1 && steady.paint_p50_ms < 400, `capture to paint ${steady.paint_p50_ms} ms`);
      t.diagnostic(
        `${steady.codec}, ${steady.painted_fps.toFixed(1)} pictures a second, ${steady.paint_p50_ms.toFixed(0)} ms capture to paint ` +
          `(95th percentile ${steady.paint_p95_ms.toFixed(0)}), ${(steady.bitrate_bps / 1e6).toFixed(2)} Mbit/s; encoded after ${live.figures["Encoded after"]}`,
      );
    });

    test("a keyframe comes when one is asked for, and not otherwise", { skip: way.codec !== h264 && "each JPEG is one" }, async () => {
      const raw = await Viewer.join(server, "phone", { token: await server.token({ stream: "phone" }) });
      const { rendition } = await raw.nextKey();
      const keys = raw.keys;
      for (let i = 0; i < 15; i++) await raw.next();
      assert.equal(raw.keys, keys, "a keyframe came by itself");
      raw.socket.send(Buffer.from([0x83, rendition, 2, 0, 0, 0, 0, 0]));
      await raw.nextKey(3_000);
      assert.equal(raw.missing, 0);
      await raw.leave();
    });

    test("another resolution reaches the viewer on the same connection", async () => {
      await camera.select("#resolution", "480p");
      await eventually("the smaller picture", async () => {
        const s = await player.stats();
        if (s.height === 480) return s;
        throw new Error(JSON.stringify(s));
      }, 20_000);
      await player.state("live");
      await toldState(camera, "live");
      assert.equal(server.auditRecords().filter((r) => r.event === "publish").length, 1);
    });

    test("a second camera is told that the stream is taken, and takes over when the first stops", async () => {
      const second = await browser.newPage();
      await second.goto(`${server.origin}/publish/phone${way.query}`);
      await press(second, "Start");
      assert.match((await toldState(second, "taken")).words, /takes over when it stops/);
      await press(camera, "Stop");
      await toldState(camera, "ready");
      await toldState(second, "live", 20_000);
      await player.state("live", 20_000);
      await second.close();
      await player.state("waiting");
    });

    test("a server that starts again gets the camera back by itself", async () => {
      await camera.bringToFront();
      await press(camera, "Start");
      await toldState(camera, "live", 20_000);
      const painted = (await player.stats()).painted_total;
      await server.running.stop();
      assert.match((await toldState(camera, "connecting")).words, /server/);
      await server.restart();
      await toldState(camera, "live", 20_000);
      await eventually("more pictures", async () => (await player.stats()).painted_total > painted + 10, 20_000);
    });
  });
}

describe("what does not work is said in words", () => {
  let server, browser, page;
  before(async () => {
    server = await Server.start();
    browser = await launchWithCamera("chromium", server);
    await browser.setCookie(await server.logIn());
    page = await browser.newPage();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  test("a name that belongs to one of the server's own cameras", async () => {
    await page.goto(`${server.origin}/publish/test`);
    await press(page, "Start");
    assert.match((await toldState(page, "denied")).words, /belongs to one of its own cameras/);
  });

  test("a name that no stream can have", async () => {
    await page.goto(`${server.origin}/publish/My%20Phone`);
    assert.match((await toldState(page, "blocked")).words, /small letters/);
  });

  test("no login", async () => {
    await page.goto(`${server.origin}/publish/phone`);
    await toldState(page, "ready");
    await page.deleteCookie(...(await page.cookies()));
    await press(page, "Start");
    await eventually("the door", () => page.$("main.door"));
  });

  test("a browser that does not allow the camera, and one that has none", async () => {
    const without = await launch("chromium", { authorities: [server.ca] });
    try {
      const blocked = await without.newPage();
      await blocked.goto(`${server.origin}/publish/phone`);
      assert.match((await toldState(blocked, "blocked")).words, /No camera was found|may not use the camera/);
    } finally {
      await without.close();
    }
  });

  test("the wall leads there, by a name that the grammar allows", async () => {
    await server.restart();
    await browser.setCookie(await server.logIn());
    await page.goto(server.origin);
    await eventually("the button", () => page.$("header .lens"));
    await page.click("header .lens");
    await page.$eval("#name", (input) => (input.value = "Front Door"));
    await page.keyboard.press("Enter");
    assert.match(await eventually("a sentence", () => page.$eval("#name-problem", (p) => p.innerText)), /small letters/);
    await page.$eval("#name", (input) => (input.value = "front/door"));
    await page.keyboard.press("Enter");
    await toldState(page, "ready");
    assert.equal(new URL(page.url()).pathname, "/publish/front/door");
  });
});
