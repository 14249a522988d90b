// What a person does with the picture, on the page of one camera.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { engines, launch } from "./lib/browser.mjs";
import { Player, readShot } from "./lib/page.mjs";
import { Server } from "./lib/server.mjs";
import { ageMillis } from "./lib/strip.mjs";
import { eventually } from "./lib/wait.mjs";

/** Rules of WCAG 2.2 AA and of good practice, run in the page. */
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

for (const engine of engines) {
  describe(engine, () => {
    let server, browser, page, player, blank;
    before(async () => {
      server = await Server.start();
      browser = await launch(engine, { authorities: [server.ca] });
      await browser.setCookie(await server.logIn());
      blank = await browser.newPage();
      page = await browser.newPage();
      await page.goto(`${server.origin}/watch/test`);
      player = new Player(page);
      await eventually("a picture", async () => (await player.stats())?.painted_total > 0, 20_000);
    });
    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    /** What f gives for the player and its shadow root. */
    const inside = (f, ...args) => page.evaluate((source, rest) => {
      const p = document.querySelector("sightline-player");
      return new Function("p", "root", "rest", `return (${source})(p, root, ...rest)`)(p, p.shadowRoot, rest);
    }, f.toString(), args);
    /** {picture as readShot gives it, name, captured in Unix ms, width, height} */
    const snapshot = async () => {
      const shot = await inside(async (p) => {
        const { blob, name, captured } = await p.snapshot();
        const bytes = new Uint8Array(await blob.arrayBuffer());
        const { width, height } = await createImageBitmap(blob);
        return { base64: btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join("")), name, captured: captured.getTime(), type: blob.type, width, height };
      });
      return { ...shot, picture: await readShot(blank, shot.base64) };
    };
    const transform = () => inside((p) => getComputedStyle(p.surface).transform);
    const press = async (...keys) => {
      for (const key of keys) await page.keyboard.press(key);
    };

    test("a snapshot is the picture that is seen, and has its capture time", async () => {
      // Right after the start the clocks are compared roughly.
      const error = await eventually("a clock to go by", async () => ((f) => (f.clock_error_ms !== null && f.clock_error_ms < 20 ? f.clock_error_ms : undefined))(await player.stats()), 20_000);
      const { picture, name, captured, type } = await eventually("a snapshot with a strip", async () => {
        const shot = await snapshot();
        return shot.picture?.strip === undefined ? undefined : shot;
      });
      assert.equal(type, "image/png");
      assert.equal(name, `test_${new Date(captured).toISOString().replaceAll(":", "-")}.png`);
      // The picture itself says when it was drawn; what is between is the camera's and the clocks' own error.
      const off = Math.abs(ageMillis(picture.strip, captured));
      assert.ok(off < 25 + error, `the name is ${off} ms away from the picture`);
    });

    test("keys enlarge, move, turn and mirror the picture, and 0 shows all of it again", async () => {
      assert.equal(await transform(), "none");
      await press("+", "+", "+");
      const enlarged = await transform();
      assert.match(enlarged, /^matrix\(1\.95\d*, 0, 0, 1\.95\d*, 0, 0\)$/);
      assert.equal(await inside((_, root) => root.querySelector(".zoom").innerText.replace(/\s/g, "")), "2.0×");
      await press("ArrowLeft");
      assert.match(await transform(), /^matrix\(1\.95\d*, 0, 0, 1\.95\d*, 60, 0\)$/);
      assert.equal((await snapshot()).picture.strip, undefined); // it is out of sight
      await press("0");
      assert.equal(await transform(), "none");
      await press("r");
      assert.match(await transform(), /^matrix\(0, (0\.\d+), -\1, 0, 0, 0\)$/);
      assert.equal(await page.$eval("sightline-player", (p) => p.getAttribute("rotate")), "90");
      const turned = await snapshot();
      assert.ok(turned.height > turned.width);
      await press("m");
      assert.match(await transform(), /^matrix\(0, (0\.\d+), \1, 0, 0, 0\)$/);
      await press("m", "r", "r", "r");
      assert.equal(await transform(), "none");
    });

    test("the wheel enlarges what is under the pointer, and a double click shows all of it", async () => {
      await page.mouse.move(300, 200);
      await page.mouse.wheel({ deltaY: -400 });
      const [scale, , , , x, y] = await eventually("an enlarged picture", async () => /^matrix\((.*)\)$/.exec(await transform())?.[1].split(", ").map(Number));
      assert.ok(scale > 1.5 && x > 0 && y > 0, `scale ${scale}, moved by ${x}, ${y}`);
      await page.mouse.click(300, 200, { count: 2 });
      await eventually("all of the picture", async () => (await transform()) === "none");
      assert.equal(await page.evaluate(() => document.fullscreenElement), null);
    });

    test("two fingers enlarge the picture", async (t) => {
      if (engine !== "chromium") return t.diagnostic("not tried: no way to put two fingers on this browser from outside");
      const cdp = await page.createCDPSession();
      const touch = (type, ...points) => cdp.send("Input.dispatchTouchEvent", { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
      await touch("touchStart", [600, 360], [680, 360]);
      for (const d of [20, 40, 60, 80]) await touch("touchMove", [600 - d, 360], [680 + d, 360]);
      await touch("touchEnd");
      const scale = Number(/^matrix\(([\d.]+)/.exec(await eventually("an enlarged picture", async () => ((m) => (m === "none" ? undefined : m))(await transform())))[1]);
      assert.ok(Math.abs(scale - 3) < 0.2, `fingers three times as far apart made it ${scale} times as large`);
      await press("0");
      await cdp.detach();
    });

    test("f fills the screen and gives it back", async () => {
      await press("f");
      await eventually("full screen", () => page.evaluate(() => document.fullscreenElement?.localName === "sightline-player"));
      await eventually("the way back", () => inside((_, root) => root.querySelector('.controls button[aria-label="Leave full screen"]') !== null));
      await press("f");
      await eventually("the page", () => page.evaluate(() => document.fullscreenElement === null));
    });

    test("a paused picture says so and how old it is, nothing is sent meanwhile, and play goes on with the newest", async () => {
      await press("k");
      await player.state("paused");
      const age = async () => Number(/picture (\d+) s old/.exec(await inside((_, root) => root.querySelector(".age").innerText))?.[1] ?? 0);
      await eventually("an old picture", async () => (await age()) >= 3);
      const held = await player.stats();
      await eventually("an older one", async () => (await age()) >= 5);
      assert.deepEqual([(await player.stats()).painted_total, (await player.stats()).decoded_total], [held.painted_total, held.decoded_total]);
      const words = await inside((_, root) => [root.querySelector(".pill").innerText, root.querySelector(".controls button").title]);
      assert.deepEqual(words, ["Paused", "Play"]);
      await inside((_, root) => root.querySelector(".controls button").click());
      await eventually("newer pictures", async () => ((f) => f.state !== "paused" && f.painted_total > held.painted_total)(await player.stats()));
    });

    test("pin stays with one rendition, and null leaves the choice again", async () => {
      const names = await eventually("renditions to choose from", async () => {
        const found = await inside((_, root) => [...root.querySelectorAll(".settings input[value^='rendition:']")].map((i) => i.value.replace("rendition:", "")));
        return found.length > 1 ? found : undefined;
      });
      await inside((p, _, name) => p.pin(name), names.at(-1));
      const low = await eventually("the smaller rendition", async () => ((s) => (s.height < 720 ? s : undefined))(await player.stats()));
      assert.equal(low.quality, `rendition:${names.at(-1)}`);
      await inside((p) => p.pin(null));
      assert.equal((await player.stats()).quality, "auto");
    });

    test("graphs of the last minute, whose stages add up to the way from capture to paint, and all of it as JSON", async () => {
      await inside((_, root) => root.querySelector(".more button").click());
      assert.equal(await page.$eval("sightline-player", (p) => p.getAttribute("stats")), "graphs");
      const drawn = await eventually("five graphs with something in them", async () => {
        const paths = await inside((_, root) => [...root.querySelectorAll(".graphs path")].map((p) => p.getAttribute("d")));
        return paths.length === 8 && paths.every((d) => /L/.test(d)) ? paths : undefined;
      });
      assert.equal(new Set(drawn).size > 4, true);
      const s = await eventually("stages", async () => ((f) => (f.encode_p50_ms === null || f.paint_p50_ms === null ? undefined : f))(await player.stats()));
      for (const stage of ["encode", "network", "decode", "show"]) assert.ok(s[`${stage}_p50_ms`] >= 0, `${stage}: ${s[`${stage}_p50_ms`]} ms`);
      // Browsers without a person give nobody the clipboard; what is put on it counts.
      await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: { writeText: async (text) => void (window.copied = text) }, configurable: true }));
      await inside((_, root) => root.querySelector(".more button:nth-of-type(2)").click());
      const copied = JSON.parse(await eventually("copied text", () => page.evaluate(() => window.copied)));
      assert.equal(copied.stats.stream, "test");
      assert.ok(copied.last_minute.length > 1 && copied.last_minute.every((x) => x.painted_fps >= 0));
      await page.$eval("sightline-player", (p) => p.setAttribute("stats", ""));
    });

    const use = (tools) => page.$eval("sightline-player", (p, names) => p.setAttribute("tools", names), tools);
    const click = (text) => inside((_, root, words) => [...root.querySelectorAll(".tool button")].find((b) => b.textContent === words).click(), text);
    const framed = async (what) => await eventually(what, async () => ((shot) => (shot.picture?.strip === undefined ? undefined : shot))(await snapshot()));

    test("a frozen picture stays, says that it is not live, and stands beside the one that goes on", async () => {
      await inside((_, root) => [...root.querySelectorAll(".item")].find((b) => b.textContent === "Freeze and compare").click());
      await eventually("a badge", () => inside((_, root) => /^Not live · Frozen \d\d:\d\d:\d\d\.\d{3}$/.test(root.querySelector(".badge")?.innerText ?? "")));
      // All of it over the live one: that is not called live.
      await inside((_, root) => {
        const d = root.querySelector(".divider");
        d.value = "100";
        d.dispatchEvent(new Event("input"));
      });
      await eventually("the word", () => inside((_, root) => root.querySelector(".pill").innerText === "Frozen"));
      const held = await framed("the frozen picture");
      const live = await player.nextPicture("a later live picture", (p) => p.strip !== undefined && p.strip.counter !== held.picture.strip.counter);
      assert.equal((await framed("the frozen picture again")).picture.strip.counter, held.picture.strip.counter);
      assert.notEqual(live.strip.counter, held.picture.strip.counter);
      await click("Side by side");
      const both = await snapshot();
      assert.ok(both.width / both.height > 1.9 * (held.width / held.height), `${both.width} × ${both.height} beside each other`);
      assert.equal(await inside((_, root) => root.querySelector(".pill").innerText !== "Frozen"), true);
      await click("Done");
      assert.equal(await page.$eval("sightline-player", (p) => p.hasAttribute("tools")), false);
    });

    test("the ruler measures pixels, by keys too, and millimetres once it was calibrated, for this camera from then on", async () => {
      await use("ruler");
      const value = () => inside((_, root) => root.querySelector(".tool .value")?.innerText ?? "");
      const before = parseFloat(await eventually("a length", value));
      await inside((_, root) => root.querySelector(".end:nth-of-type(2)").focus());
      await press("ArrowRight", "ArrowRight", "ArrowRight");
      assert.ok(Math.abs(parseFloat(await value()) - before - 3) < 0.15, `${before} px became ${await value()}`);
      await click("Calibrate");
      await page.keyboard.type("80");
      await press("Enter");
      assert.match(await value(), /^80\.0 mm · /);
      await page.reload();
      await eventually("a picture", async () => (await player.stats())?.painted_total > 0, 20_000);
      await use("ruler");
      assert.match(await eventually("a length in millimetres", async () => ((v) => (v.includes("mm") ? v : undefined))(await value())), /^\d+\.\d mm · \d+\.\d px$/);
      await click("Forget the calibration");
      assert.match(await value(), /^\d+\.\d px$/);
      await click("Done");
    });

    test("brightness and contrast change what is seen and what is saved, and say so", async () => {
      await use("adjust");
      const mean = (shot) => shot.picture.luma.reduce((a, b) => a + b) / shot.picture.luma.length;
      await eventually("a slider", () => inside((_, root) => root.querySelector(".tool input") !== null));
      const plain = mean(await snapshot());
      await inside((_, root) => {
        const i = root.querySelector(".tool input");
        i.value = "0.5";
        i.dispatchEvent(new Event("input"));
      });
      await eventually("a darker picture", async () => (await inside((p) => getComputedStyle(p.surface).filter)) === "brightness(0.5) contrast(1)");
      const darker = mean(await snapshot());
      assert.ok(Math.abs(darker / plain - 0.5) < 0.08, `${plain} became ${darker}`);
      assert.match(await inside((_, root) => root.querySelector(".tool").innerText), /Adjusted/);
      await click("Done");
      await eventually("the picture as it is", async () => (await inside((p) => getComputedStyle(p.surface).filter)) === "none");
    });

    test("nothing keeps people out: axe finds no fault with controls, panels, graphs and tools open", async () => {
      await page.evaluate(`${axe}; undefined`);
      const faults = () => page.evaluate(async () => {
        const { violations } = await globalThis.axe.run(document.querySelector("sightline-player"), { resultTypes: ["violations"] });
        return violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.html).join(" ")}`);
      });
      const open = (name) => inside((_, root, label) => root.querySelector(`.controls button[aria-label="${label}"]`).click(), name);
      assert.deepEqual(await faults(), [], "the controls");
      await open("Quality");
      assert.deepEqual(await faults(), [], "the choice of quality");
      await press("Escape");
      await open("View and tools");
      assert.deepEqual(await faults(), [], "the menu");
      await press("Escape");
      await page.$eval("sightline-player", (p) => p.setAttribute("stats", "graphs"));
      await use("compare ruler adjust");
      await eventually("graphs and tools", () => inside((_, root) => root.querySelector(".graphs") !== null && root.querySelectorAll(".tool").length === 3));
      await click("Calibrate");
      assert.deepEqual(await faults(), [], "graphs and tools");
      await page.$eval("sightline-player", (p) => p.removeAttribute("tools"));
      await page.$eval("sightline-player", (p) => p.setAttribute("stats", ""));
    });

    test("a window apart has the picture with its words, and gives it back", async (t) => {
      if (!(await page.evaluate(() => "documentPictureInPicture" in window))) {
        const items = await inside((_, root) => [...root.querySelectorAll(".item")].map((b) => b.textContent));
        assert.ok(!items.includes("Picture in picture"), items.join());
        return t.diagnostic("this browser has no such windows, and the menu does not offer one");
      }
      const button = await page.evaluateHandle(() => [...document.querySelector("sightline-player").shadowRoot.querySelectorAll(".item")].find((b) => b.textContent === "Picture in picture"));
      await inside((_, root) => root.querySelector('.controls button[aria-label="View and tools"]').click());
      await button.click();
      const apart = (f) => page.evaluate((source) => {
        const w = globalThis.documentPictureInPicture.window;
        const root = w?.document.querySelector("div")?.shadowRoot;
        return root === undefined || root === null ? undefined : new Function("root", `return (${source})(root)`)(root);
      }, f.toString());
      await eventually("the picture in its window", () => apart((root) => root.querySelector(".surface") !== null && root.querySelector(".pill").innerText !== ""));
      const before = (await player.stats()).painted_total;
      await eventually("pictures there", async () => (await player.stats()).painted_total > before);
      assert.equal(await inside((_, root) => root.querySelector(".place p").innerText), "The picture is in a window of its own.");
      await inside((_, root) => root.querySelector(".place button").click());
      await eventually("the picture in its place", () => inside((_, root) => root.querySelector(".surface") !== null && root.querySelector(".place") === null));
      const back = (await player.stats()).painted_total;
      await eventually("pictures here", async () => (await player.stats()).painted_total > back);
    });

    test("controls hide when nobody moves, and come back for keys", async () => {
      await inside((p) => p.shadowRoot.activeElement?.blur());
      await eventually("hidden controls", () => inside((_, root) => getComputedStyle(root.querySelector(".controls")).opacity === "0"));
      await page.keyboard.press("Tab");
      await eventually("controls", () => inside((_, root) => getComputedStyle(root.querySelector(".controls")).opacity === "1"));
    });

    test("the element speaks German where it is told to", async () => {
      await page.$eval("sightline-player", (p) => p.setAttribute("lang", "de"));
      const words = await inside((_, root) => [...root.querySelectorAll(".controls button")].map((b) => b.getAttribute("aria-label")));
      assert.deepEqual(words.slice(1, 4), ["Bild speichern", "Statistik", "Qualität"]);
      await page.$eval("sightline-player", (p) => p.setAttribute("lang", "en"));
    });
  });
}
