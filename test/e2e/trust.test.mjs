// sightline trust: the page opens in a browser that was not told anything else, and no longer once it is undone.

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { run, scratch, Server } from "./lib/server.mjs";

let server, room, env;
before(async () => {
  server = await Server.start();
  room = scratch();
  const [home, bin] = [join(room.dir, "home"), join(room.dir, "bin")];
  mkdirSync(home);
  mkdirSync(bin);
  // The stores of this machine are left alone: what would be done to them as root goes nowhere. Those of the user are real.
  writeFileSync(join(bin, "sudo"), "#!/bin/sh\ncat >/dev/null\n");
  chmodSync(join(bin, "sudo"), 0o755);
  env = { ...process.env, HOME: home, PATH: `${bin}:${process.env.PATH}` };
});
after(async () => {
  room?.close();
  await server?.stop();
});

const trust = async (...args) => {
  const { code, stderr } = await run("sightline", ["trust", "--data-dir", server.dataDir, ...args], { env });
  assert.equal(code, 0, stderr);
};

/** Opens the page with no exception made for anything. */
async function open() {
  const browser = await launch("chromium", { home: env.HOME });
  try {
    const page = await browser.newPage();
    await page.goto(`${server.origin}/`);
    await page.waitForSelector("main.door");
    return await page.evaluate(() => isSecureContext);
  } finally {
    await browser.close();
  }
}

test("a browser warns before, opens the page after, and warns again when it is undone", async () => {
  await assert.rejects(open(), /ERR_CERT_AUTHORITY_INVALID/);
  await trust();
  assert.equal(await open(), true);
  await trust("--undo");
  await assert.rejects(open(), /ERR_CERT_AUTHORITY_INVALID/);
});
