// What everybody can use: axe-core finds nothing wrong with any page, on a phone or a laptop, with its menus and dialogs open; who asked
// for little motion sees none; nothing breaks the content policy; and the pages speak German to who wants that.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { violations } from "./lib/axe.mjs";
import { engines, launch } from "./lib/browser.mjs";
import { Player } from "./lib/page.mjs";
import { addUser, visit } from "./lib/people.mjs";
import { Server } from "./lib/server.mjs";
import { eventually } from "./lib/wait.mjs";

const sizes = [
  { name: "phone", width: 390, height: 844 },
  { name: "laptop", width: 1440, height: 900 },
];
const config = `streams:
  a0: {source: "test:?size=640x360&fps=10"}
${["a1", "a2", "garden/gate", "garden/shed", "hall", "lab", "site/yard"].map((name) => `  ${name}: {publish: true}\n`).join("")}`;

const open = (page, panel) => page.evaluate((panel) => document.querySelector(panel).showPopover(), panel);

/** Every page, in the states that it can be in: from the address on. */
const pages = [
  { name: "the wall", path: "/", ready: (page) => new Player(page, "a0").state("live", 60_000) },
  { name: "the wall with its menu", path: "/", ready: (page) => open(page, "#view") },
  { name: "the wall with its events", path: "/", ready: (page) => open(page, "#events") },
  { name: "the wall with the account", path: "/", ready: (page) => open(page, "#account") },
  { name: "the wall being arranged", path: "/", ready: (page) => page.$eval("#view .entry", (b) => b.click()) },
  { name: "the wall in pages", path: "/?layout=2x2&turn=60", ready: (page) => page.waitForSelector(".pager", { visible: true }) },
  { name: "a screen that nobody sits at", path: "/?kiosk", ready: (page) => new Player(page, "a0").state("live", 60_000) },
  { name: "the name of this device's camera", path: "/", ready: (page) => page.click("header .lens") },
  { name: "one's sessions", path: "/", ready: (page) => page.evaluate(() => [...document.querySelectorAll("#account .entry")][1].click()) },
  { name: "a camera large", path: "/", ready: (page) => page.click('.cell[data-stream="a0"] .name') },
  { name: "one camera", path: "/watch/a0", ready: (page) => new Player(page).state("live", 60_000) },
  { name: "a camera without a picture", path: "/watch/hall", ready: (page) => new Player(page).state("waiting", 60_000) },
  { name: "this device's camera", path: "/publish/phone", ready: (page) => eventually("its state", () => page.$eval(".told h2", (h) => h.innerText !== "")) },
  ...["", "/history", "/cameras", "/people", "/keys", "/configuration", "/record"].map((part) => ({
    name: `administration${part.replace("/", ": ")}`,
    path: `/admin${part}`,
    ready: async (page) => {
      await page.waitForSelector("main.admin section", { visible: true });
      await page.evaluate(() => document.querySelectorAll(".board details").forEach((d) => (d.open = true)));
      if (part === "") {
        await eventually("alerts, their answers, and a rule that is mute", async () => {
          const buttons = await page.$$eval(".board button", (list) => list.map((b) => b.textContent));
          return ["Revoke token", "End sessions", "Mute 1 h", "Unmute"].every((b) => buttons.includes(b));
        });
      }
      if (part !== "/configuration") return;
      await page.click(".board .actions button");
      await page.waitForSelector(".verdict[data-tone]");
    },
  })),
];

for (const engine of engines) {
  describe(engine, () => {
    let server, empty, browser, page, invitation;
    const broken = [];
    before(async () => {
      [server, empty] = await Promise.all([Server.start({ config }), Server.start({ demo: false })]);
      invitation = addUser(server, "carol", "viewer", "--invite", "--server", server.origin);
      // An alert to be answered, and a rule that is mute.
      const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
      const bearer = (token) => ({ Authorization: `Bearer ${token}`, "Content-Type": "application/json" });
      const eve = await server.token({ stream: "a0", subject: "eve" });
      for (let i = 0; i < 8; i++) await server.request("GET", `/api/v1/streams/cellar-${i}/snapshot.jpg`, { headers: bearer(eve) });
      await server.request("GET", "/api/v1/streams", { headers: bearer(`${part({ alg: "none", typ: "JWT" })}.${part({})}.`) });
      await server.request("POST", "/api/v1/alerts/mute", { headers: bearer(await server.token({ action: "admin" })), body: { rule: "D11", hours: 1 } });
      browser = await launch(engine, { authorities: [server.ca, empty.ca] });
      await browser.setCookie(await server.logIn());
      page = await browser.newPage();
      await page.exposeFunction("policyBroken", (what) => broken.push(what));
      await page.evaluateOnNewDocument(() => addEventListener("securitypolicyviolation", (e) => window.policyBroken(`${e.violatedDirective}: ${e.blockedURI} ${e.sourceFile}`)));
    });
    after(async () => {
      await browser?.close();
      await Promise.all([server?.stop(), empty?.stop()]);
    });

    for (const { name, ...size } of sizes) {
      for (const p of pages) {
        test(`${p.name} on a ${name}`, async () => {
          await page.setViewport(size);
          await page.goto(`${server.origin}${p.path}`);
          if (p.path.startsWith("/?") || p.path === "/") await page.waitForSelector(".cell");
          await p.ready(page);
          assert.deepEqual(await violations(page), []);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is no wider than its window");
        });
      }

      test(`the door, a new account and a first start on a ${name}`, async () => {
        for (const [address, selector] of [["/", "main.door #username"], [invitation, "main.door #password"], [empty.link, ".welcome"]]) {
          const page = await visit(server, browser, address);
          await page.setViewport(size);
          await page.waitForSelector(selector, { visible: true });
          assert.deepEqual(await violations(page), [], address.split("#")[0]);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is no wider than its window");
          await page.close();
        }
        // The two links work once.
        invitation = addUser(server, `carol-${name}`, "viewer", "--invite", "--server", server.origin);
        await empty.restart();
      });
    }

    test("who asked for little motion sees none", { skip: engine === "firefox" && "its driver cannot ask for it" }, async () => {
      await page.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: "reduce" }]);
      await page.goto(`${server.origin}/`);
      await page.waitForSelector(".cell");
      assert.equal(await page.$eval(".cell", (c) => getComputedStyle(c).transitionDuration), "0s");
      assert.deepEqual(await page.evaluate(() => document.getAnimations({ subtree: true }).map((a) => a.animationName ?? a.transitionProperty)), []);
      await page.emulateMediaFeatures([]);
    });

    test("nothing broke the content policy", () => assert.deepEqual(broken, []));
  });
}

test("who wants German gets it", async () => {
  const server = await Server.start({ config });
  const browser = await launch("chromium", { authorities: [server.ca], flags: ["--accept-lang=de-AT,en"] });
  try {
    await browser.setCookie(await server.logIn());
    const page = await browser.newPage();
    await page.goto(`${server.origin}/`);
    await eventually("the count in German", () => page.$eval(".count", (e) => e.innerText === "8 Kameras"));
    assert.equal(await page.evaluate(() => document.documentElement.lang), "de");
    assert.equal(await page.$eval(".find input", (e) => e.placeholder), "Kameras suchen");
    await page.goto(`${server.origin}/watch/hall`);
    await eventually("the player in German", () => page.$eval("main.watch .back", (e) => e.innerText === "Kameras"));
    await browser.browser.deleteCookie(...(await browser.browser.cookies()));
    await page.goto(`${server.origin}/#nosuchcode`);
    await eventually("the server's refusal in German", () => page.$eval(".door .problem", (e) => /Einmal-Link/.test(e.innerText)));
  } finally {
    await browser.close();
    await server.stop();
  }
});
