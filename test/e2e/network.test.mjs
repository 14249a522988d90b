// What a person sees and may choose where the network does not carry everything.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { engines, launch } from "./lib/browser.mjs";
import { Link } from "./lib/link.mjs";
import { Player } from "./lib/page.mjs";
import { Server } from "./lib/server.mjs";
import { eventually } from "./lib/wait.mjs";

/** What stands in a part of the player. */
const text = (page, selector) => page.$eval("sightline-player", (p, s) => p.shadowRoot.querySelector(s)?.innerText ?? "", selector);

const unixNow = () => performance.timeOrigin + performance.now();

/** Makes the page think that it is hidden, or seen again. */
const setVisibility = (page, state) =>
  page.evaluate((state) => {
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
    document.dispatchEvent(new Event("visibilitychange"));
  }, state);

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
      await player.state("live");
    });
    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    const lines = (wanted) =>
      eventually(`${wanted} lines`, async () => {
        const s = await player.stats();
        if (s?.height === wanted && s.painted_total > 0) return s;
        throw new Error(`${s?.state}, ${s?.height} lines, quality ${s?.quality}, limit ${s?.limit}`);
      }, 20_000);

    /** Chooses by what is written there, as a person does who uses the keyboard. */
    const choose = async (title) => {
      if (!(await page.$eval("sightline-player", (p) => p.shadowRoot.querySelector(".settings").checkVisibility()))) await page.keyboard.press("q");
      const chosen = () =>
        page.$eval("sightline-player", (p) => {
          const radio = p.shadowRoot.activeElement;
          return radio?.name === "quality" && radio.checked ? radio.closest("label").querySelector(".title").innerText : undefined;
        });
      await eventually(`the focus in the choice, then on ${title}`, async () => {
        const now = await chosen();
        if (now !== undefined && now !== title) await page.keyboard.press("ArrowDown");
        return (await chosen()) === title;
      });
      await page.keyboard.press("Escape");
    };

    test("the choice of quality is a named dialog of radio groups, and Escape closes it and nothing else", async () => {
      await eventually("the renditions by name", async () => {
        if ((await text(page, ".settings")).includes("368p")) return true;
        await page.keyboard.press("q");
        return false;
      });
      const said = await page.$eval("sightline-player", (p) => {
        const panel = p.shadowRoot.querySelector(".settings");
        return { role: panel.role, name: panel.ariaLabel, legends: [...panel.querySelectorAll("legend")].map((l) => l.innerText), radios: panel.querySelectorAll("input[type=radio]").length };
      });
      assert.deepEqual([said.role, said.name, said.legends], ["dialog", "Quality", ["Quality", "Playback"]]);
      assert.ok(said.radios >= 9, `${said.radios} choices`);
      await choose("Automatic");
      const closed = await page.$eval("sightline-player", (p) => ({
        open: p.shadowRoot.querySelector(".settings").checkVisibility(), expanded: p.shadowRoot.activeElement?.ariaExpanded, path: location.pathname,
      }));
      assert.deepEqual(closed, { open: false, expanded: "false", path: "/watch/test" });
    });

    test("a preference and a rendition by name reach the server", async () => {
      await choose("Low");
      await lines(368);
      await choose("720p");
      await lines(720);
      await choose("544p");
      await lines(544);
    });

    test("what was chosen holds after a new connection, and after the page is loaded anew", async () => {
      await server.restart();
      await lines(544);
      await page.reload();
      const stats = await lines(544);
      assert.equal(stats.quality, "rendition:544p");
      await eventually("the choice is what limits", async () => (await player.stats()).limit === "size");
      await choose("Automatic");
      // What it then gets is up to the network.
      await eventually("another limit or none", async () => (await player.stats()).limit !== "size");
    });

    test("who asked their browser to spare data gets the data saver, unless they chose otherwise", async () => {
      const saving = await browser.newPage();
      await saving.evaluateOnNewDocument(() => {
        const connection = Object.assign(new EventTarget(), { saveData: true });
        Object.defineProperty(Navigator.prototype, "connection", { configurable: true, get: () => connection });
      });
      const quality = async () => {
        await saving.goto(`${server.origin}/watch/test`);
        return (await eventually("a player", () => new Player(saving).stats())).quality;
      };
      assert.equal(await quality(), "auto", "as was chosen");
      await saving.evaluate(() => localStorage.clear());
      assert.equal(await quality(), "saver");
      await saving.close();
      await page.bringToFront();
    });

    test("live holds back one picture at most, smooth 150 ms, and which of them is remembered", async () => {
      const delays = async (mode) => {
        const found = [];
        const from = (await player.stats()).painted_total;
        await eventually("some pictures", async () => {
          const s = await player.stats();
          assert.equal(s.mode, mode);
          found.push(s.playout_delay_ms);
          return s.painted_total > from + 30;
        }, 40_000);
        return found;
      };
      assert.ok(Math.max(...(await delays("live"))) <= 34);
      await page.$eval("sightline-player", (p) => p.shadowRoot.querySelector("input[value=smooth]").click());
      await eventually("smooth", async () => (await player.stats()).mode === "smooth");
      assert.ok(Math.max(...(await delays("smooth"))) <= 150);
      await page.reload();
      await player.state("live");
      assert.equal((await player.stats()).mode, "smooth");
      await page.$eval("sightline-player", (p) => p.shadowRoot.querySelector("input[value=live]").click());
      await eventually("live", async () => (await player.stats()).mode === "live");
    });

    test("a hidden page is sent nothing, and goes on from a keyframe", async () => {
      const hidden = performance.now();
      await setVisibility(page, "hidden");
      await player.state("paused");
      const limit = (await player.stats()).limit;
      assert.equal(limit, "tab");
      await eventually("no more bits", async () => (await player.stats()).bitrate_bps === 0);
      const before = await player.stats();
      const hiddenFor = performance.now() - hidden;
      await setVisibility(page, "visible");
      await eventually("pictures again", async () => (await player.stats()).painted_total > before.painted_total + 10);
      const now = await player.state("live");
      assert.ok(now.frozen_ms_total - before.frozen_ms_total < hiddenFor, "what is out of sight does not freeze");
    });

    test("an old picture says how old it is, and counts", async () => {
      const capture = server.capturePid("test");
      const before = await player.stats();
      process.kill(capture, "SIGSTOP");
      try {
        const age = async () => Number(/^picture (\d+) s old$/.exec(await text(page, ".age"))?.[1]);
        const first = await eventually("an age", async () => (await age()) || undefined);
        await eventually("a greater age", async () => (await age()) > first);
        assert.notEqual((await player.stats()).state, "live");
        const dimmed = await page.$eval("sightline-player", (p) => getComputedStyle(p.surface).filter);
        assert.notEqual(dimmed, "none");
      } finally {
        process.kill(capture, "SIGCONT");
      }
      await eventually("a live picture without an age", async () => (await player.stats()).state === "live" && (await text(page, ".age")) === "", 20_000);
      const stats = await player.stats();
      assert.ok(stats.freezes_total > before.freezes_total);
      assert.ok(stats.longest_freeze_ms > 1_000 && stats.frozen_ms_total >= stats.longest_freeze_ms);
      assert.match(await text(page, ".stats"), /Stood still\s+\d+ ×/);
    });
  });

  describe(`${engine}, over a bad link`, () => {
    let server, browser, link, page, player;
    before(async () => {
      server = await Server.start();
      link = await Link.start(server);
      browser = await launch(engine, { authorities: [server.ca] });
      await browser.setCookie(await server.logIn());
      page = await browser.newPage();
      await page.goto(`${link.origin}/watch/test`);
      player = new Player(page);
      await player.state("live");
    });
    after(async () => {
      await browser?.close();
      link?.close();
      await server?.stop();
    });

    test("to a hidden page no picture is sent, and when it is seen again the next one is there", async () => {
      await setVisibility(page, "hidden");
      await player.state("paused");
      const from = link.deliveries;
      await eventually("what was on the way is there, and then only answers about the time, each 2 s", async () => link.deliveries > from + 3);
      const [bytes, deliveries] = [link.bytes, link.deliveries];
      const before = await player.stats();
      await eventually("three more of those", async () => link.deliveries >= deliveries + 3, 20_000);
      assert.ok(link.bytes - bytes < 2_000, `${link.bytes - bytes} bytes`);
      const after = await player.stats();
      assert.equal(after.decoded_total, before.decoded_total);
      await setVisibility(page, "visible");
      await eventually("pictures", async () => (await player.stats()).painted_total > before.painted_total);
      await player.state("live");
    });

    // A page of Firefox hangs when it reads a worker's canvas that nothing is drawn on; which pictures are shown is decided alike.
    test("after an outage nothing old is shown that the link still held", { skip: engine === "firefox" }, async () => {
      await eventually("pictures", async () => (await player.stats()).painted_total > 30);
      // So that what is on the path does not come at once, and is seen if it is shown.
      link.bitsPerSecond = 1_500_000;
      await player.noteShown();
      const before = (await player.stats()).painted_total;
      link.interrupt();
      const gone = unixNow();
      await eventually("a picture that is two seconds old", async () => (await player.picture())?.age > 2_000);
      link.restore();
      const back = unixNow();
      await eventually("pictures again", async () => (await player.stats()).painted_total > before + 30, 30_000);
      const shown = await player.shown();
      const captured = shown.filter((p) => p.at > back).map((p) => p.at - p.age);
      assert.ok(captured.length > 10, `${captured.length} pictures after it`);
      // The link held pictures of its first moments; those from just before its return are as fresh as any.
      const old = captured.filter((t) => t > gone - 1_000 && t < back - 500).map((t) => Math.round(back - t));
      assert.deepEqual(old, [], "captured so many ms before the link was back");
      link.bitsPerSecond = Infinity;
    });

    test("a connection that went silent is replaced by a second one", async () => {
      const joined = () => server.running.lines.filter((l) => l.includes("viewer joined")).length;
      await eventually("pictures", async () => (await player.stats()).painted_total > 10);
      const [before, joinedBefore] = [await player.stats(), joined()];
      link.mute();
      await eventually("another connection's pictures", async () => {
        const s = await player.stats();
        return s.takeovers_total > before.takeovers_total && s.painted_total > before.painted_total + 5;
      }, 30_000);
      assert.ok(joined() > joinedBefore);
    });

    test("a link that carries no moving picture: still pictures, with their age and the reason", async () => {
      await page.setViewport({ width: 480, height: 270 });
      link.bitsPerSecond = 64_000;
      const stats = await player.state("stills", 60_000);
      assert.match(await text(page, ".pill"), /^Still pictures$/);
      assert.match(await text(page, ".age"), /^newest \d+ s old$/);
      assert.match(stats.reason, /^Your network carries .*: too little for a moving picture\.$/);
      assert.equal(stats.limit, "network");
      await eventually("another one", async () => (await player.stats()).painted_total > stats.painted_total + 2, 30_000);
      // The fall itself may be silent for so long that a second connection is faster; what comes after it is slow, and not dead.
      assert.equal((await player.stats()).takeovers_total, stats.takeovers_total, "a slow link is not a dead one");
    });
  });
}
