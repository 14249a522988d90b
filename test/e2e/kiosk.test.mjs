// A screen that nobody sits at: it shows no controls, renews its login and goes on when the server starts again, without being loaded
// anew; only another build of the pages is a reason for that.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { engines, launch } from "./lib/browser.mjs";
import { Player } from "./lib/page.mjs";
import { addUser, logIn } from "./lib/people.mjs";
import { Server } from "./lib/server.mjs";
import { eventually } from "./lib/wait.mjs";

const config = `auth: {session-ttl: 1m}
streams:
  test: {source: "test:?size=640x360&fps=10"}
  hall: {publish: true}
`;

// Most of it is waiting, so all browsers wait at once.
describe("a screen that nobody sits at", { concurrency: engines.length }, () => {
  for (const engine of engines) {
    describe(engine, { concurrency: 1 }, () => {
      let server, browser, page;
      const problems = [];
      before(async () => {
        server = await Server.start({ config });
        addUser(server, "screen", "viewer");
        browser = await launch(engine, { authorities: [server.ca], width: 1920, height: 1080 });
        page = await browser.newPage();
        page.on("pageerror", (e) => problems.push(e.message));
        await page.goto(`${server.origin}/?kiosk`);
        await logIn(page, "screen");
        await new Player(page, "test").state("live", 30_000);
        await page.evaluate(() => (window.sameDocument = true));
      });
      after(async () => {
        await browser?.close();
        await server?.stop();
      });

      const sameDocument = () => page.evaluate(() => window.sameDocument === true);
      const records = (event) => server.auditRecords().filter((r) => r.event === event && r.subject === "screen");

      test("there are pictures and nothing else", async () => {
        assert.equal(await page.$eval(".bar", (e) => e.checkVisibility()), false);
        assert.deepEqual(await page.$$eval("main button", (all) => all.filter((b) => b.checkVisibility()).map((b) => b.innerText)), []);
        assert.equal(await page.$eval('.cell[data-stream="test"]', (e) => getComputedStyle(e).cursor), "none");
        await page.click('.cell[data-stream="test"]');
        assert.equal(new URL(page.url()).search, "?kiosk");
        assert.equal(await page.$(".cell.large"), null);
      });

      test("the login is renewed, and the pictures outlast the first one on the same connection", async () => {
        const watches = records("watch").length;
        const player = new Player(page, "test");
        const first = new Date(records("login")[0].time).getTime();
        await eventually("renewals of the login and of what is watched", () => records("renew").some((r) => r.stream === "") && records("renew").some((r) => r.stream === "test"), 60_000);
        await eventually("the first login's end", () => Date.now() > first + 62_000, 70_000);
        const painted = (await player.stats()).painted_total;
        await eventually("pictures after it", async () => (await player.stats()).painted_total > painted + 10);
        assert.deepEqual(records("renew").filter((r) => r.verdict !== "granted"), []);
        assert.equal(records("watch").length, watches, "nothing was connected anew");
        assert.ok(await sameDocument());
      });

      test("a server that starts again gets its viewer back", async () => {
        await server.running.stop();
        await new Player(page, "test").state("connecting");
        await server.restart();
        await new Player(page, "test").state("live", 30_000);
        assert.ok(await sameDocument());
      });

      test("what another ended is begun anew after a while", async () => {
        const token = await server.token({ action: "admin", subject: "boss" });
        const headers = { Authorization: `Bearer ${token}` };
        const { sessions } = JSON.parse((await server.request("GET", "/api/v1/sessions", { headers })).body);
        const { id } = sessions.find((s) => s.stream === "test" && s.kind === "watch");
        assert.equal((await server.request("DELETE", `/api/v1/sessions/${id}`, { headers })).status, 204);
        await new Player(page, "test").state("denied");
        await new Player(page, "test").state("live", 100_000);
        assert.ok(await sameDocument());
      });

      test("another build of the pages is loaded when the server comes back with one", async () => {
        await page.setRequestInterception(true);
        page.on("request", (r) => {
          const script = r.method() === "HEAD" && new URL(r.url()).pathname === "/assets/app.js";
          void (script ? r.respond({ status: 200, headers: { ETag: '"another"' } }) : r.continue());
        });
        await server.running.stop();
        await eventually("the page knows that the server is away", () => page.$eval(".wall > .problem", (e) => !e.hidden));
        await server.restart();
        await eventually("another document", async () => !(await sameDocument().catch(() => true)), 30_000);
        assert.equal(new URL(page.url()).search, "?kiosk");
        await new Player(page, "test").state("live", 30_000);
        // Firefox says of a server that is away what it would say of a fault.
        assert.deepEqual(problems.filter((p) => !/connection to (the server at )?wss:/.test(p)), []);
      });
    });
  }
});
