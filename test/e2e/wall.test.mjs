// The printed link leads to a wall with both demonstration cameras, live, each showing its own pictures; and a wall of many cameras is
// arranged, searched and turned by pages as its person likes it, without a new connection.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { engines, launch } from "./lib/browser.mjs";
import { contrast, difference, Player } from "./lib/page.mjs";
import { addUser, logIn, visit } from "./lib/people.mjs";
import { Running, Server } from "./lib/server.mjs";
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

// Cameras that nobody publishes cost nothing; the two that have pictures are enough to see that these go on.
const names = ["a1", "a2", "a3", "garden/gate", "garden/shed", "hall", "site/yard", "site/door"];
const many = `streams:
  test: {source: "test:?size=640x360&fps=10", groups: [inside]}
${names.map((name) => `  ${name}: {publish: true}\n`).join("")}`;

for (const engine of engines) {
  describe(`a wall of many, ${engine}`, () => {
    let server, browser, page;
    before(async () => {
      server = await Server.start({ config: many });
      browser = await launch(engine, { authorities: [server.ca], width: 1440, height: 900 });
      await browser.setCookie(await server.logIn());
      page = await browser.newPage();
      await page.goto(server.origin);
      await shows(9);
      await new Player(page, "test").state("live", 30_000);
    });
    after(async () => {
      await browser?.close();
      await server?.stop();
    });

    /** The streams whose tiles are shown, in the order in which they are read. */
    const shown = (of = page) => of.$$eval(".cell", (cells) => cells.filter((c) => c.checkVisibility() && !c.inert).map((c) => c.dataset.stream));
    const shows = (count) => eventually(`${count} tiles`, async () => (await shown()).length === count);
    const choose = (layout) => page.$eval(`#view input[value="${layout}"]`, (input) => input.click());
    const width = (stream) => page.$eval(`.cell[data-stream="${stream}"]`, (c) => c.getBoundingClientRect().width);
    const watched = () => server.auditRecords().filter((r) => r.event === "watch" && r.verdict === "granted").length;
    const say = (selector, pattern) => eventually(`${selector} says ${pattern}`, async () => pattern.test(await page.$eval(selector, (e) => e.innerText)));
    const kept = (what, accept) =>
      eventually(`${what} is kept`, async () => accept(await page.evaluate(async () => (await (await fetch("/api/v1/preferences")).json()).wall)));

    test("a layout by name has its places, and what does not fit is on the next page", async () => {
      await choose("2x2");
      await shows(4);
      await say(".pager span", /1 \/ 3/);
      const first = await shown();
      await page.keyboard.press("PageDown");
      await say(".pager span", /2 \/ 3/);
      assert.deepEqual((await shown()).filter((s) => first.includes(s)), [], "other cameras are on the next page");
      await choose("1+5");
      await shows(6);
      const [large, small] = await Promise.all((await shown()).slice(0, 2).map(width));
      assert.ok(large > 1.9 * small, `the first is ${large} wide, the second ${small}`);
      await kept("the layout", (wall) => wall?.layout === "1+5");
      await choose("auto");
      await shows(9);
      assert.equal(await page.$eval(".pager", (e) => e.checkVisibility()), false);
      await kept("the last one", (wall) => wall?.layout === "auto");
    });

    test("a wall is saved by its name, found again after a reload, passed on by its link, and removed", async () => {
      const menu = async () => {
        await page.$eval("#view", (panel) => panel.showPopover());
        await page.waitForSelector(".saved form");
      };
      const savedNames = () => page.$$eval(".saved [data-wall]", (all) => all.map((b) => b.innerText));
      await page.select(".find select", "garden");
      await choose("2x2");
      await shows(2);
      await menu();
      await page.type(".saved form input", "Night round");
      await page.keyboard.press("Enter");
      await eventually("it is in the list", async () => (await savedNames()).join() === "Night round");
      await page.evaluate(() => {
        Object.defineProperty(navigator, "clipboard", { value: { writeText: () => Promise.reject(new Error("not allowed")) }, configurable: true });
        document.querySelector(".saved > .entry").click();
      });
      await eventually("its link", () => page.$eval(".saved > input", (field, want) => field.checkVisibility() && field.value === want, `${server.origin}/?group=garden&layout=2x2`));
      await page.$eval("#view", (panel) => panel.hidePopover());
      await page.select(".find select", "");
      await choose("auto");
      await shows(9);
      await kept("the wall that is shown", (wall) => wall?.layout === "auto");
      await page.reload();
      await shows(9);
      await menu();
      await page.$eval('.saved [data-wall="Night round"]', (b) => b.click());
      await shows(2);
      assert.equal(await page.$eval("#view", (panel) => panel.matches(":popover-open")), false);
      assert.equal(new URL(page.url()).search, "?group=garden");
      await page.goto(`${server.origin}/?layout=auto&tiles=hall*2,test`);
      await shows(9);
      assert.deepEqual((await shown()).slice(0, 2), ["hall", "test"]);
      assert.ok((await width("hall")) > 1.9 * (await width("test")));
      await menu();
      await page.$eval(".saved li .round", (b) => b.click());
      await eventually("it is gone", async () => (await savedNames()).length === 0);
      await page.goto(server.origin);
      await page.waitForSelector(".cell");
      await choose("auto");
      await shows(9);
      await kept("the last one, and no wall by name", (wall) => wall?.layout === "auto");
      assert.equal((await shown())[0], "a1", "what a link shows is not kept");
      await new Player(page, "test").state("live", 30_000);
    });

    test("a tile has a menu, by pointer and by keys", async () => {
      const menu = 'body > .menu[role="group"]';
      const closed = () => eventually("the menu is gone", async () => (await page.$(menu)) === null);
      await page.click('.cell[data-stream="test"]', { button: "right" });
      await page.waitForSelector(menu, { visible: true });
      assert.equal(await page.$eval(menu, (m) => m.contains(document.activeElement)), true);
      assert.ok((await page.$$(`${menu} .entry`)).length >= 5);
      await page.keyboard.press("Escape");
      await closed();
      assert.equal(await page.evaluate(() => document.activeElement.closest(".cell")?.dataset.stream), "test");
      // What the keyboard's menu key comes to.
      await page.$eval('.cell[data-stream="test"] a', (a) => a.dispatchEvent(new MouseEvent("contextmenu", { bubbles: true, cancelable: true })));
      await page.waitForSelector(menu, { visible: true });
      await page.$eval(`${menu} .entry`, (b) => b.click());
      await closed();
      await eventually("it is shown large", () => new URL(page.url()).pathname === "/watch/test");
      await page.keyboard.press("Escape");
      await eventually("the wall again", () => new URL(page.url()).pathname === "/");
      await shows(9);
    });

    test("the search shows what matches", async () => {
      await page.keyboard.press("/");
      await page.keyboard.type("garden");
      await shows(2);
      await say(".count", /2 of 9/);
      await page.$eval(".find input", (input) => {
        input.value = "";
        input.dispatchEvent(new Event("input"));
        input.blur();
      });
      await shows(9);
    });

    test("groups come from names and from the configuration, and stand in the address", async () => {
      assert.deepEqual(await page.$$eval(".find option", (all) => all.map((o) => o.value)), ["", "garden", "inside", "site"]);
      await page.select(".find select", "site");
      await eventually("the group", async () => (await shown()).join() === "site/door,site/yard");
      assert.equal(new URL(page.url()).search, "?group=site");
      await page.reload();
      await eventually("the same group", async () => (await shown()).join() === "site/door,site/yard");
      await page.select(".find select", "");
      await shows(9);
      await new Player(page, "test").state("live", 30_000);
    });

    test("tiles are dragged to their places and their sizes, by pointer and by keys; it is kept, and no picture is lost", async () => {
      const before = watched();
      const player = new Player(page, "test");
      const painted = (await player.stats()).painted_total;
      await page.$$eval("#view .entry", (entries) => entries[0].click());
      await page.focus('.cell[data-stream="a1"] a');
      await page.keyboard.press("ArrowRight");
      await eventually("the second before the first", async () => (await shown()).slice(0, 3).join() === "a2,a1,a3");
      await say(".unseen[role=status]", /a1 is number 2 of 9/);
      await page.keyboard.press("+");
      await eventually("a tile of twice the width", async () => (await width("a1")) > 1.9 * (await width("a2")));

      const middle = (stream) => page.$eval(`.cell[data-stream="${stream}"]`, (c) => {
        const { left, top, width, height } = c.getBoundingClientRect();
        return [left + width / 2, top + height / 2];
      });
      await page.mouse.move(...(await middle("test")));
      await page.mouse.down();
      await page.mouse.move(...(await middle("a2")), { steps: 5 });
      await page.mouse.up();
      await eventually("the dragged one first", async () => (await shown())[0] === "test");

      const corner = await page.$eval('.cell[data-stream="test"] .corner', (c) => c.getBoundingClientRect().toJSON());
      await page.mouse.move(corner.x + 20, corner.y + 20);
      await page.mouse.down();
      await page.mouse.move(corner.x + corner.width + (await width("test")) * 0.8, corner.y + 20, { steps: 5 });
      await page.mouse.up();
      await eventually("it is as large as the other large one", async () => Math.abs((await width("test")) - (await width("a1"))) < 2);

      await kept("the order", (wall) => wall?.order?.[0] === "test" && wall.spans?.a1 === 2 && wall.spans?.test === 2);
      await page.keyboard.press("Escape");
      await eventually("pictures went on", async () => (await player.stats()).painted_total > painted);
      assert.equal(watched(), before, "nothing was connected anew");

      const elsewhere = await browser.newPage();
      await elsewhere.goto(server.origin);
      await eventually("the same order elsewhere", async () => (await shown(elsewhere))[0] === "test");
      await elsewhere.close();
      await page.bringToFront();
      await page.$eval(".banner .plain", (b) => b.click());
      await eventually("the order by name again", async () => (await shown())[0] === "a1");
    });

    test("a double click shows a camera large, and Escape the wall again, on the same connection", async () => {
      const player = new Player(page, "test");
      await player.state("live", 30_000);
      const before = watched();
      const marked = () => page.$eval('.cell[data-stream="test"] sightline-player', (p) => p.marked === true && p.getBoundingClientRect().width);
      await page.$eval('.cell[data-stream="test"] sightline-player', (p) => (p.marked = true));
      const small = await marked();
      const painted = (await player.stats()).painted_total;
      await page.click('.cell[data-stream="test"] sightline-player', { count: 2 });
      await eventually("it fills the window", async () => (await marked()) === 1440);
      assert.equal(new URL(page.url()).pathname, "/watch/test");
      assert.equal(await page.title(), "test · Sightline");
      await eventually("pictures went on", async () => (await player.stats()).painted_total > painted + 5);
      await page.keyboard.press("Escape");
      await eventually("the wall", async () => (await marked()) === small && (await shown()).length === 9);
      assert.equal(new URL(page.url()).pathname, "/");
      await page.goBack();
      await eventually("it fills the window again", async () => (await marked()) === 1440);
      await page.goForward();
      await eventually("the wall again", async () => (await shown()).length === 9);
      await player.state("live");
      assert.equal(watched(), before, "nothing was connected anew");
    });

    test("a camera that is lost and comes back is told of", async () => {
      const env = { SIGHTLINE_TOKEN: await server.token({ stream: "hall", action: "publish" }) };
      const agent = () => new Running("sightline-capture", ["--source", "test:?size=320x180&fps=5", "--publish", `wss://${server.host}/ws/publish/hall`, "--ca", server.ca], env);
      const told = (count) => eventually(`${count} events`, async () => (await page.$$("#events li")).length === count, 40_000);
      const player = new Player(page, "hall");
      const first = agent();
      try {
        await player.state("live", 30_000);
        // What the wall was told, it is told again within seconds: until then the camera has not been there.
        await eventually("the wall knows that it is live", () => page.$eval('.cell[data-stream="hall"] .meta', (m) => /180p/.test(m.innerText)));
      } finally {
        await first.stop();
      }
      await told(1);
      const second = agent();
      try {
        await told(2);
        assert.deepEqual(await page.$$eval("#events li strong", (all) => all.map((s) => s.textContent)), ["hall", "hall"]);
        assert.match((await page.$$eval("#events li span", (all) => all.map((s) => s.textContent))).join(), /^Back after \d+ s,Signal lost$/);
        assert.match(await page.$eval('.cell[data-stream="hall"] .badge', (b) => b.innerText), /Back after/);
        assert.equal(await page.$eval(".mark-count", (m) => m.innerText), "2");
        await player.state("live", 30_000);
      } finally {
        await second.stop();
      }
    });

    test("pages turn by themselves", async () => {
      await page.mouse.move(5, 5); // nobody is at a tile
      await page.goto(`${server.origin}/?layout=2x2&turn=2`);
      await shows(4);
      const first = await shown();
      await eventually("the next page", async () => (await shown()).every((s) => !first.includes(s)), 20_000);
      await eventually("the first page again, after the last", async () => (await shown()).join() === first.join(), 30_000);
    });
  });
}

describe("a first start, chromium", () => {
  let server, browser, page;
  before(async () => {
    server = await Server.start({ demo: false });
    browser = await launch("chromium", { authorities: [server.ca] });
    page = await browser.newPage();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  test("it shows the test pattern and three next steps, and each leads somewhere", async () => {
    await page.goto(server.link);
    const player = new Player(page, "test");
    await player.state("live", 30_000);
    await player.nextPicture("the test pattern", (p) => p.strip?.tag === 0);
    assert.equal((await page.$$(".welcome li")).length, 3);
    assert.equal(await page.$eval(".welcome a", (a) => a.pathname), "/admin/cameras");
    await page.$$eval(".welcome button", (all) => all[1].click());
    const link = await eventually("a link", () => page.$eval(".made input", (i) => i.value));
    assert.match(await page.$eval(".made .problem", (p) => p.textContent), /names 127\.0\.0\.1, which works on this machine alone/);
    const elsewhere = await visit(server, browser, link);
    await elsewhere.waitForSelector(".welcome", { visible: true });
    await page.$$eval(".welcome button", (all) => all[0].click());
    await eventually("the name of a new camera", () => page.$eval("dialog #name", (i) => i.checkVisibility()));
  });

  test("who may only look is not told to add cameras", async () => {
    addUser(server, "guest", "viewer");
    const guest = await visit(server, browser, "/");
    await logIn(guest, "guest");
    await guest.waitForSelector('.cell[data-stream="test"]');
    await eventually("the wall", () => guest.$eval(".count", (c) => c.innerText === "1 camera"));
    assert.equal(await guest.$(".welcome"), null);
  });
});
