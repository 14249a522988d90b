// A server that fills pictures up, so that their sizes tell less.

import assert from "node:assert/strict";
import { test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { Player } from "./lib/page.mjs";
import { Server } from "./lib/server.mjs";

for (const engine of ["chromium", "firefox"]) {
  test(`padded pictures are shown as any others, ${engine}`, async () => {
    const server = await Server.start({ config: 'padding: 32k\nstreams: {test: {source: "test:?size=320x180&fps=10&tag=5"}}\n' });
    const browser = await launch(engine, { authorities: [server.ca] });
    try {
      await browser.setCookie(await server.logIn());
      const page = await browser.newPage();
      await page.goto(`${server.origin}/watch/test`);
      const player = new Player(page);
      await player.state("live");
      const first = await player.nextPicture("a picture", (p) => p.strip?.tag === 5);
      const later = await player.nextPicture("one a second later", (p) => p.strip !== undefined && p.strip.counter >= first.strip.counter + 10);
      assert.ok(later.age < 1_000, `it is ${later.age} ms old`);
      assert.equal((await player.stats()).dropped ?? 0, 0);
    } finally {
      await browser.close();
      await server.stop();
    }
  });
}
