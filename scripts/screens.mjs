// Takes the README's pictures of the pages anew, from the real programs in bin and a real browser, into docs/screens.

import { fileURLToPath } from "node:url";
import { launch } from "../test/e2e/lib/browser.mjs";
import { Player } from "../test/e2e/lib/page.mjs";
import { Server } from "../test/e2e/lib/server.mjs";
import { eventually } from "../test/e2e/lib/wait.mjs";

const folder = fileURLToPath(new URL("../docs/screens/", import.meta.url));

/** Long enough for the figures to be those of a stream that runs. */
const running = (player) => eventually("pictures on the screen", async () => (await player.stats())?.painted_total > 60, 30_000);

const server = await Server.start();
const browser = await launch("chromium", { authorities: [server.ca], width: 960, height: 340 });
try {
  const page = await browser.newPage();
  await page.goto(server.link);
  await Promise.all(["test", "street"].map((name) => new Player(page, name).state("live")));
  await running(new Player(page, "test"));
  await page.screenshot({ path: `${folder}wall.png` });
  await page.setViewport({ width: 900, height: 600, deviceScaleFactor: 0.7 });
  await page.goto(`${server.origin}/watch/street`);
  const player = new Player(page);
  await player.state("live");
  await running(player);
  await page.screenshot({ path: `${folder}watch.png` });
} finally {
  await browser.close();
  await server.stop();
}
