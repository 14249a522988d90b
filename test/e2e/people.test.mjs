// People: how they log in and out, and what they see of what runs under their name.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { engines, launch } from "./lib/browser.mjs";
import { Player } from "./lib/page.mjs";
import { addUser, logIn, password, press, problem, textOf, texts, visit } from "./lib/people.mjs";
import { Server } from "./lib/server.mjs";
import { eventually } from "./lib/wait.mjs";

let server;
before(async () => {
  server = await Server.start();
});
after(() => server?.stop());

async function openMenu(page) {
  await page.click(".person");
  await eventually("the menu says who is logged in", () => textOf(page, ".menu .who"));
}

for (const engine of engines) {
  describe(`logging in, ${engine}`, () => {
    let browser;
    before(async () => {
      browser = await launch(engine, { authorities: [server.ca] });
    });
    after(() => browser?.close());

    test("a set-up link: the password is chosen, and then works", async () => {
      const name = `carol-${engine}`;
      const link = addUser(server, name, "viewer", "--invite", "--server", server.origin);
      const page = await visit(server, browser, link);
      await page.waitForSelector("main.door #password");
      assert.equal(page.url(), `${server.origin}/`, "the code left the address bar");
      assert.match(await textOf(page, "#password-hint"), /12 characters/);
      await page.type("#password", "too short");
      await page.keyboard.press("Enter");
      await problem(page, /fewer than 12/);
      await page.$eval("#password", (e) => (e.value = ""));
      await page.type("#password", password);
      await page.keyboard.press("Enter");
      await page.waitForSelector("main.wall");

      const again = await visit(server, browser, link);
      await again.waitForSelector("main.door #password");
      await again.type("#password", "another long password");
      await again.keyboard.press("Enter");
      await problem(again, /used/);

      const anew = await visit(server, browser, "/");
      await logIn(anew, name);
      await anew.waitForSelector("main.wall");
    });

    test("a wrong password says so; the password can be shown; logging out ends the session", async () => {
      const name = `dora-${engine}`;
      addUser(server, name, "viewer");
      const page = await visit(server, browser, "/watch/test");
      await logIn(page, name, "wrong wrong wrong");
      await problem(page, /name or the password is wrong/);
      assert.deepEqual(await page.$$("sightline-player"), []);
      await press(page, ".secret", "Show");
      assert.equal(await page.$eval("#password", (e) => e.type), "text");
      await press(page, ".secret", "Hide");
      assert.equal(await page.$eval("#password", (e) => e.type), "password");
      assert.deepEqual(await page.$$eval("main.door .card > form input", (list) => list.map((e) => e.autocomplete)), ["username", "current-password"]);
      assert.equal(await page.$eval(".elsewhere", (e) => e.hidden), true, "nobody logs in elsewhere here");
      await logIn(page, name);
      await page.waitForSelector("main.watch");

      const cookies = (await page.cookies()).map((c) => `${c.name}=${c.value}`).join("; ");
      const status = async () => (await server.request("GET", "/api/v1/session", { headers: { Cookie: cookies } })).status;
      assert.equal(await status(), 200);
      await openMenu(page);
      assert.equal(await textOf(page, ".menu .who"), name);
      await press(page, ".menu", "Log out");
      await problem(page, /logged out/);
      assert.equal(await status(), 401, "the cookie opens nothing any more");
    });
  });
}

test("everybody sees and ends what runs under their own name, and logs out everywhere", async () => {
  addUser(server, "victor", "viewer");
  const browser = await launch("chromium", { authorities: [server.ca], height: 800 });
  try {
    const viewer = await visit(server, browser, "/watch/test");
    await logIn(viewer, "victor");
    await new Player(viewer).state("live");
    await openMenu(viewer);
    await viewer.keyboard.press("Escape");
    assert.equal(await viewer.$(".menu:popover-open"), null);
    assert.equal(new URL(viewer.url()).pathname, "/watch/test", "the menu took the key");
    await openMenu(viewer);
    assert.ok(!(await texts(viewer, ".menu .entry:not([hidden])")).includes("Administration"));
    await press(viewer, ".menu", "My sessions");
    await eventually("the session is listed", async () => (await texts(viewer, ".sessions li strong"))[0] === "test");
    await press(viewer, ".sessions", "End");
    await new Player(viewer).state("denied");
    await eventually("none is listed", () => viewer.$eval(".sessions ul", (e) => e.childElementCount === 0));
    await press(viewer, ".sessions", "Close");

    const other = await visit(server, browser, "/watch/test");
    await logIn(other, "victor");
    await new Player(other).state("live");
    await viewer.bringToFront();
    await openMenu(viewer);
    await press(viewer, ".menu", "Log out everywhere");
    await problem(viewer, /everywhere/);
    await other.waitForSelector("main.door");
    await logIn(other, "victor");
    await other.waitForSelector("main.watch");
  } finally {
    await browser.close();
  }
});

test("who can log in elsewhere is offered to", async () => {
  const provided = await Server.start({
    config: `auth:
  oidc:
    name: town-hall
    issuer: https://id.example.org/realms/site
    client-id: sightline
    host: cameras.example.org
    algorithms: [ES256]
    roles: {guards: {actions: [view], streams: ["**"]}}
    roles-claim: roles
`,
  });
  let browser;
  try {
    browser = await launch("chromium", { authorities: [provided.ca] });
    const page = await visit(server, browser, provided.origin);
    await page.waitForSelector(".elsewhere:not([hidden])");
    assert.deepEqual(await page.$eval(".elsewhere", (e) => [e.textContent, e.href]), ["Log in with town-hall", `${provided.origin}/oidc/login`]);
  } finally {
    await browser?.close();
    await provided.stop();
  }
});
