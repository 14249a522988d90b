// Real browsers in a fresh home of their own, which trust the given servers' authorities the way a person's browser would: through
// its certificate store. No check is switched off.

import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import puppeteer from "puppeteer-core";
import { scratch } from "./server.mjs";

export const engines = ["chromium", "firefox"];

const chromiumFlags = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // The address bar's suggestions are pages with processes of their own, which would work on each navigation.
  "--disable-features=WebUIOmniboxPopup,WebUIOmniboxFullPopup,WebUIOmniboxAimPopup",
];

/**
 * A page that reads a canvas on which a worker draws waits for that worker, and now and then the worker does not go on before the page
 * does: Firefox then holds up both for these milliseconds (10 s, if nothing is said) and reads nothing.
 */
const firefoxPrefs = { "gfx.offscreencanvas.snapshot-timeout-ms": 250 };

/** Makes an NSS database in dir, with the authorities in the given files trusted for servers. */
function trust(dir, authorities) {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  execFileSync("certutil", ["-N", "--empty-password", "-d", `sql:${dir}`]);
  authorities.forEach((file, i) => execFileSync("certutil", ["-A", "-d", `sql:${dir}`, "-n", `authority ${i}`, "-t", "C,,", "-i", file]));
}

/**
 * Starts a browser whose window shows width by height pixels. authorities are PEM files, flags are Chromium's, prefs Firefox's. home is used as it is when given.
 * close() ends it and removes what it left.
 */
export async function launch(engine, { authorities = [], home, flags = [], prefs = {}, width = 1280, height = 720 } = {}) {
  const room = scratch();
  const env = { ...process.env, HOME: home ?? room.dir, XDG_CONFIG_HOME: join(home ?? room.dir, ".config"), XDG_CACHE_HOME: join(home ?? room.dir, ".cache") };
  const profile = join(room.dir, "profile");
  const viewport = { width, height, deviceScaleFactor: 1 };
  let browser;
  try {
    if (engine === "chromium") {
      if (home === undefined) trust(join(room.dir, ".pki", "nssdb"), authorities);
      // Chromium's own sandbox refuses to run as root.
      const sandbox = process.getuid() === 0 ? ["--no-sandbox"] : [];
      browser = await puppeteer.launch({
        browser: "chrome", executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, userDataDir: profile, env,
        args: [...chromiumFlags, ...sandbox, `--window-size=${width},${height}`, ...flags], defaultViewport: viewport,
      });
    } else {
      trust(profile, authorities);
      browser = await puppeteer.launch({
        browser: "firefox", extraPrefsFirefox: { ...firefoxPrefs, ...prefs }, executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr", headless: true, userDataDir: profile, env,
        args: [`--width=${width}`, `--height=${height}`], defaultViewport: viewport,
      });
    }
  } catch (cause) {
    room.close();
    throw cause;
  }
  return {
    browser,
    version: await browser.version(),
    newPage: () => browser.newPage(),
    setCookie: (cookie) => browser.setCookie(cookie),
    async close() {
      await browser.close();
      room.close();
    },
  };
}
