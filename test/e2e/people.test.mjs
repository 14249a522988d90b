// People: how they log in and out, what they see of what runs under their name, and what an administrator sees and does.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { engines, launch } from "./lib/browser.mjs";
import { Player } from "./lib/page.mjs";
import { program, Server } from "./lib/server.mjs";
import { eventually } from "./lib/wait.mjs";

const password = "correct horse battery";
let server;
before(async () => {
  server = await Server.start();
});
after(() => server?.stop());

/** Makes an account; with --invite its link is what is printed. */
const addUser = (name, role, ...more) =>
  execFileSync(program("sightline"), ["users", "add", name, "--role", role, "--stream", "**", "--data-dir", server.dataDir, ...more], { input: `${password}\n`, encoding: "utf8" }).trim();

/** A page of a browser without cookies. */
async function visit(browser, address) {
  const page = await (await browser.browser.createBrowserContext()).newPage();
  await page.goto(new URL(address, server.origin).href);
  return page;
}

const textOf = (page, selector) => page.$eval(selector, (e) => e.textContent);
const texts = (page, selector) => page.$$eval(selector, (list) => list.map((e) => e.textContent));
const problem = (page, pattern) => eventually(`a problem like ${pattern}`, async () => {
  const said = await page.$$eval("main > .problem, .card .problem", (list) => list.filter((e) => !e.hidden).map((e) => e.textContent).join());
  if (!pattern.test(said)) throw new Error(`it says ${JSON.stringify(said)}`);
  return said;
});

/** Waits for the page of those who are not logged in, and fills in its form. */
async function logIn(page, name, secret = password) {
  await page.waitForSelector("main.door #username");
  for (const [field, value] of [["#username", name], ["#password", secret]]) {
    await page.$eval(field, (e) => (e.value = ""));
    await page.type(field, value);
  }
  await page.keyboard.press("Enter");
}

/** Presses the button with these words in what selector names. */
async function press(page, selector, words) {
  const button = await eventually(`a button ${words}`, async () => {
    for (const b of await page.$$(`${selector} button`)) if ((await b.evaluate((e) => e.textContent)) === words && (await b.isVisible())) return b;
    return undefined;
  });
  await button.click();
}

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
      const link = addUser(name, "viewer", "--invite", "--server", server.origin);
      const page = await visit(browser, link);
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

      const again = await visit(browser, link);
      await again.waitForSelector("main.door #password");
      await again.type("#password", "another long password");
      await again.keyboard.press("Enter");
      await problem(again, /used/);

      const anew = await visit(browser, "/");
      await logIn(anew, name);
      await anew.waitForSelector("main.wall");
    });

    test("a wrong password says so; the password can be shown; logging out ends the session", async () => {
      const name = `dora-${engine}`;
      addUser(name, "viewer");
      const page = await visit(browser, "/watch/test");
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

describe("the administrator's page", () => {
  let browser, admin, viewer;
  before(async () => {
    addUser("root", "admin");
    addUser("victor", "viewer");
    browser = await launch("chromium", { authorities: [server.ca], height: 800 });
    viewer = await visit(browser, "/watch/test");
    await logIn(viewer, "victor");
    await new Player(viewer).state("live");
    admin = await visit(browser, "/admin");
    await logIn(admin, "root");
    await admin.waitForSelector(".board:not([hidden])");
  });
  after(() => browser?.close());
  const cells = (label) => admin.$$eval(`table[aria-label="${label}"] tbody tr`, (rows) => rows.map((r) => [...r.cells].map((c) => c.textContent)));
  /** What a record shows, but its number and time. */
  const trail = async () => (await cells("Audit trail")).map((row) => row.slice(2, 7));

  test("a viewer gets a sentence and no data", async () => {
    const page = await viewer.browserContext().newPage();
    await page.goto(`${server.origin}/admin`);
    await problem(page, /administrators/);
    assert.deepEqual(await page.$$(".board"), []);
    assert.ok(server.auditRecords().some((r) => r.verdict === "refused" && r.reason === "not-allowed" && r.subject === "victor"));
    await page.close();
  });

  test("streams are listed with their source and encoder", async () => {
    const row = (await cells("Streams")).find(([name]) => name === "test");
    assert.deepEqual(row.slice(1, 3), ["live", "test"]);
    assert.match(row[3], /264/);
  });

  test("an alert appears, is muted, and says so after a reload", async () => {
    await admin.bringToFront();
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const forged = `${part({ alg: "none", typ: "JWT" })}.${part({})}.`;
    assert.equal((await server.request("GET", "/api/v1/streams", { headers: { Authorization: `Bearer ${forged}` } })).status, 401);
    await eventually("the alert", async () => (await texts(admin, ".alerts h3")).some((t) => /Impossible token/.test(t)), 15_000);
    await press(admin, ".alerts", "Mute 24 h");
    await eventually("it is mute", async () => /^D01 is mute until /.test(await textOf(admin, ".board section .hint:not([hidden])")));
    await admin.reload();
    await eventually("it is still mute", async () => /^D01 is mute until /.test(await textOf(admin, ".board section .hint:not([hidden])")));
  });

  test("an alert's answer is one click", async () => {
    const token = await server.token({ stream: "test", subject: "eve" });
    const ask = (stream) => server.request("GET", `/api/v1/streams/${stream}/snapshot.jpg`, { headers: { Authorization: `Bearer ${token}` } });
    for (const n of [1, 2, 3, 4, 5, 6, 7, 8]) assert.equal((await ask(`cellar-${n}`)).status, 403);
    await press(admin, ".alerts", "Revoke token");
    await eventually("it is revoked", async () => (await ask("test")).status === 401);
    await eventually("that is said", async () => /token of eve is revoked/.test(await textOf(admin, ".admin .bar [role=status]")));
    assert.equal(await admin.$eval(".alerts button[disabled]", (e) => e.textContent), "Revoked");
  });

  test("records appear by themselves, are filtered, and focus stays", async () => {
    await eventually("the forged token is on record", async () => (await trail()).some((r) => r[2] === "forged"));
    const subject = "<b>nobody</b>";
    await admin.type("#filter-subject", subject);
    await eventually("there are none of that subject", async () => (await trail()).length === 0);
    const token = await server.token({ stream: "test", subject });
    await server.request("GET", "/api/v1/streams/street/snapshot.jpg", { headers: { Authorization: `Bearer ${token}` } });
    await eventually("one came", async () => (await trail()).length === 1, 15_000);
    assert.deepEqual(await trail(), [["snapshot", "refused", "not-allowed", subject, "street"]]);
    assert.deepEqual(await admin.$$(".board b"), [], "what others wrote is text");
    assert.equal(await admin.evaluate(() => document.activeElement.id), "filter-subject");
    await admin.$eval("#filter-subject", (e) => (e.value = ""));
    await admin.select("#filter-verdict", "granted");
    await eventually("only what was granted", async () => {
      const all = await trail();
      return all.length > 0 && all.every((r) => r[1] === "granted");
    });
  });

  test("what is being read stays where it is when records come", async () => {
    await admin.select("#filter-verdict", "");
    const token = await server.token({ stream: "test", subject: "reader" });
    const ask = () => server.request("GET", "/api/v1/streams/test/snapshot.jpg", { headers: { Authorization: `Bearer ${token}` } });
    const came = async (n) => eventually(`${n} of the reader's records`, async () => (await trail()).filter((r) => r[3] === "reader").length >= n, 15_000);
    for (let i = 0; i < 40; i++) await ask();
    await came(40);
    const row = await admin.$('table[aria-label="Audit trail"] tbody tr:nth-child(30)');
    await row.evaluate((e) => e.scrollIntoView({ block: "center" }));
    const top = () => row.evaluate((e) => e.getBoundingClientRect().top);
    const before = await top();
    for (let i = 0; i < 5; i++) await ask();
    await came(45);
    assert.ok(Math.abs((await top()) - before) <= 1, `it moved from ${before} to ${await top()}`);
  });

  test("the record is verified", async () => {
    await press(admin, ".tools", "Verify");
    await eventually("the verdict", async () => /^Sound: records 1 to \d+/.test(await textOf(admin, '[role="status"].hint')));
  });

  test("a viewer's session is ended, and the viewer's page says so", async () => {
    const mine = async () => (await cells("Running now")).filter((row) => row[2] === "victor");
    await eventually("the viewer is listed", async () => (await mine()).length === 1);
    assert.deepEqual((await mine())[0].slice(0, 4), ["test", "watching", "victor", "127.0.0.1"]);
    await admin.click('button[aria-label="End: victor, watching test"]');
    const { reason } = await new Player(viewer).state("denied");
    assert.match(reason, /ended/);
    await eventually("it is listed no more", async () => (await mine()).length === 0);
  });

  test("everybody sees and ends what runs under their own name, and logs out everywhere", async () => {
    await viewer.bringToFront();
    await viewer.reload();
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

    const other = await visit(browser, "/watch/test");
    await logIn(other, "victor");
    await new Player(other).state("live");
    await viewer.bringToFront();
    await openMenu(viewer);
    await press(viewer, ".menu", "Log out everywhere");
    await problem(viewer, /everywhere/);
    await other.waitForSelector("main.door");
    await logIn(other, "victor");
    await other.waitForSelector("main.watch");
  });
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
    const page = await visit(browser, provided.origin);
    await page.waitForSelector(".elsewhere:not([hidden])");
    assert.deepEqual(await page.$eval(".elsewhere", (e) => [e.textContent, e.href]), ["Log in with town-hall", `${provided.origin}/oidc/login`]);
  } finally {
    await browser?.close();
    await provided.stop();
  }
});
