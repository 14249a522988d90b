// The player in pages of other sites: the example of the repository, with its back end.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, before, describe, test } from "node:test";
import { join } from "node:path";
import { engines, launch } from "./lib/browser.mjs";
import { Player } from "./lib/page.mjs";
import { repository, Running, Server } from "./lib/server.mjs";
import { eventually } from "./lib/wait.mjs";

/** A port that nothing listened on a moment ago: the server has to know the site's before the site starts. */
async function freePort() {
  const probe = createServer().listen(0, "localhost");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

/** A site of its own on the given port. */
async function startSite(server, port) {
  const site = new Running(process.execPath, [join(repository, "examples/embed/server.mjs")], {
    SIGHTLINE: server.origin, SIGHTLINE_TOKEN: await server.token({ stream: "test" }), STREAM: "test", PORT: String(port), NODE_EXTRA_CA_CERTS: server.ca,
  });
  const [, origin] = await site.line(/^Open (http:\/\/localhost:\d+)$/);
  return { site, origin };
}

let server, listed, stranger;
before(async () => {
  const port = await freePort();
  server = await Server.start({ demo: true, config: `auth: {origins: ["http://localhost:${port}"]}\n` });
  listed = await startSite(server, port);
  stranger = await startSite(server, await freePort());
});
after(async () => {
  await listed?.site.stop();
  await stranger?.site.stop();
  await server?.stop();
});

for (const engine of engines) {
  describe(engine, () => {
    let browser;
    before(async () => {
      browser = await launch(engine, { authorities: [server.ca] });
    });
    after(() => browser?.close());

    test("a page of another site shows live video with a ticket that its back end got", async () => {
      const page = await browser.newPage();
      await page.goto(listed.origin);
      const player = new Player(page, undefined, "sightline-player");
      const stats = await player.state("live", 20_000);
      assert.equal(stats.stream, "test");
      const first = await player.nextPicture("a strip", (p) => p.strip !== undefined);
      await player.nextPicture("a later one", (p) => p.strip !== undefined && p.strip.counter !== first.strip.counter);
      const watch = server.auditRecords().findLast((r) => r.event === "watch" && r.verdict === "granted");
      assert.equal(watch.subject, "tester");
      await page.close();
    });

    test("a page of a site that is not on the list gets neither player, nor ticket, nor connection", async () => {
      const page = await browser.newPage();
      await page.goto(stranger.origin);
      const loaded = await page.evaluate((url) => import(url).then(() => true, () => false), `${server.origin}/player.js`);
      assert.equal(loaded, false);
      assert.equal(await page.evaluate(() => customElements.get("sightline-player") === undefined), true);
      const ticket = await page.evaluate(async () => (await fetch("/ticket", { method: "POST" })).status);
      assert.equal(ticket, 502);
      assert.match(stranger.site.output, /auth\.origins/);
      // With a player of its own and a ticket that was meant for the other site, too.
      const { ticket: stolen } = await (await fetch(`${listed.origin}/ticket`, { method: "POST" })).json();
      const opened = await page.evaluate((url, t) => new Promise((done) => {
        const socket = new WebSocket(url, ["sightline.v1", `ticket.${t}`]);
        socket.onopen = () => done(true);
        socket.onclose = () => done(false);
      }), `${server.origin.replace("https", "wss")}/ws/watch/test`, stolen);
      assert.equal(opened, false);
      await eventually("a record of the refusal", () => server.auditRecords().some((r) => r.event === "watch" && r.reason === "wrong-origin"));
      await page.close();
    });
  });
}
