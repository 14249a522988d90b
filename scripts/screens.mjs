// Takes the pictures of every page anew, on a phone, a laptop and a wall's screen, from the real programs in bin and a real browser, into
// docs/screens. The cameras are parts of the bundled clip. A picture is taken when every player in it is live and has painted since; where that
// does not come about, on a machine at its limit, it says so in the end, and docs/screens stays as it was.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch } from "../test/e2e/lib/browser.mjs";
import { aDay } from "../test/e2e/lib/history.mjs";
import { Player } from "../test/e2e/lib/page.mjs";
import { addUser, logIn, visit } from "../test/e2e/lib/people.mjs";
import { repository, scratch, Server } from "../test/e2e/lib/server.mjs";
import { eventually } from "../test/e2e/lib/wait.mjs";

const folder = fileURLToPath(new URL("../docs/screens/", import.meta.url));
const most = 3e6; // bytes, of all pictures
const sizes = {
  phone: { width: 390, height: 844, deviceScaleFactor: 1 },
  laptop: { width: 1440, height: 900, deviceScaleFactor: 0.7 },
  wall: { width: 1920, height: 1080, deviceScaleFactor: 0.6 },
};

/** Cameras by name: the part of the clip that each shows (width:height:x:y), and from which second on. */
const cameras = {
  "gate": ["768:432:0:0", 0],
  "house/door": ["320:180:80:20", 11],
  "house/drive": ["400:225:368:0", 23],
  "lawn": ["640:360:0:216", 31],
  "road": ["480:270:288:110", 5],
};

const room = scratch();
process.on("exit", () => room.close());
const taken = join(room.dir, "screens");
/** Pictures that would show something else than a wall at work, and why. */
const poor = [];
const ffmpeg = (...args) => execFileSync("ffmpeg", ["-loglevel", "error", "-y", ...args]);
for (const [name, [crop, from]] of Object.entries(cameras)) {
  const filter = `crop=${crop},scale=640:368`;
  ffmpeg("-stream_loop", "1", "-ss", String(from), "-t", "30", "-i", join(repository, "internal/demo/street.mp4"), "-vf", filter, "-an", "-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", "10", "-crf", "20", file(name));
}
function file(name) {
  return join(room.dir, `${name.replace("/", "-")}.mp4`);
}

const config = `streams:
  test: {source: "test:?size=1280x720&fps=15"}
${Object.keys(cameras).map((name) => `  ${name}: {source: "file:${file(name)}", renditions: [{name: source, codec: source}]}\n`).join("")}`;

/** A house with a day behind it, a camera that is not there, one that is written wrong, and people. */
const house = `streams:
  gate: {source: "file:${file("gate")}"}
  house/door: {source: "file:${file("house/door")}"}
  house/lab: {source: "rtsp://viewer:secret@192.0.2.31/stream1#transport=usp"}
  lawn: {source: "v4l2:/dev/video9"}
  yard: {publish: true}
`;
const dataDir = join(room.dir, "house");
mkdirSync(dataDir, { mode: 0o700 });
writeFileSync(join(dataDir, "history.log"), aDay("gate", "house/door"), { mode: 0o600 });

const [server, empty, kept] = await Promise.all([Server.start({ config }), Server.start({ demo: false }), Server.start({ config: house, dataDir })]);
const browser = await launch("chromium", {
  authorities: [server.ca, empty.ca, kept.ca],
  flags: ["--use-fake-device-for-media-stream=fps=30", "--use-fake-ui-for-media-stream", "--hide-scrollbars"],
});
const theirs = await launch("chromium", { authorities: [kept.ca] }); // of whoever watches: a page that is not in front paints nothing

/** Takes a page at all sizes, or at those that are named. */
async function take(page, name, at = Object.keys(sizes)) {
  for (const size of at) {
    await page.setViewport(sizes[size]);
    await page.evaluate(() => new Promise((done) => setTimeout(done, 2_500))); // tiles ask for what they show now
    await moving(page).catch((cause) => poor.push(`${name} on a ${size}: ${cause.message}`));
    const raw = join(room.dir, "raw.png");
    await page.screenshot({ path: raw });
    ffmpeg("-i", raw, "-vf", "split[a][b];[a]palettegen=max_colors=160[p];[b][p]paletteuse=dither=bayer:bayer_scale=4", "-compression_level", "9", "-pred", "mixed", join(taken, `${name}-${size}.png`));
    console.log(`${name} on a ${size}`);
  }
}

/** Waits until every player that is seen is live, and has painted a few more pictures in that state. */
async function moving(page) {
  const seen = () => page.$$eval("sightline-player", (all) => {
    const inView = ({ top, bottom }) => bottom > 0 && top < innerHeight; // what is scrolled away is sent nothing
    return all.filter((p) => p.checkVisibility() && !p.closest("[inert]") && inView(p.getBoundingClientRect())).map((p) => ({ name: p.getAttribute("src"), state: p.state, painted: p.stats().painted_total }));
  });
  let before;
  await eventually("moving pictures", async () => {
    const now = await seen();
    const still = now.filter((p) => p.state !== "live");
    if (still.length > 0) {
      before = undefined;
      throw new Error(still.map((p) => `${p.name} is ${p.state}`).join(", "));
    }
    before ??= now;
    return now.every((p) => p.painted >= (before.find((b) => b.name === p.name)?.painted ?? p.painted) + 5);
  }, 30_000);
}

/** The administrator's page, part by part, while somebody watches. */
async function administration() {
  for (const [name, role] of [["alice", "admin"], ["bertha", "operator"], ["night.desk", "viewer"]]) addUser(kept, name, role);
  const viewer = await visit(kept, theirs, "/watch/gate");
  await logIn(viewer, "night.desk");
  await new Player(viewer).state("live", 60_000);
  const page = await visit(kept, browser, "/admin");
  await logIn(page, "alice");
  await page.waitForSelector(".board:not([hidden])");
  for (const part of ["now", "history", "cameras", "people", "keys", "configuration", "record"]) {
    await page.goto(`${kept.origin}/admin${part === "now" ? "" : `/${part}`}`);
    await page.waitForSelector(".board:not([hidden])");
    if (part === "history") {
      await page.waitForSelector('.tools option[value="gate"]');
      await page.select(".tools select", "gate");
    }
    await take(page, `admin-${part}`, ["phone", "laptop"]);
  }
}

const settled = (page, streams) => Promise.all(streams.map((s) => eventually(`pictures of ${s}`, async () => (await new Player(page, s).stats())?.painted_total > 30, 60_000)));

try {
  mkdirSync(taken);
  const door = await visit(server, browser, "/");
  await door.waitForSelector("main.door #username");
  await take(door, "login");
  await door.close();

  const fresh = await visit(empty, browser, empty.link);
  await fresh.waitForSelector(".welcome", { visible: true });
  await settled(fresh, ["test"]);
  await take(fresh, "welcome");
  await fresh.close();

  await browser.setCookie(await server.logIn());
  const page = await browser.newPage();
  await page.goto(server.origin);
  await page.waitForSelector(".cell");
  await settled(page, ["test", ...Object.keys(cameras)]);
  await take(page, "wall");
  await page.setViewport(sizes.laptop);
  await page.$eval("#view .entry", (b) => b.click());
  await page.focus('.cell[data-stream="house/drive"] a');
  for (const key of ["ArrowLeft", "ArrowLeft", "+"]) await page.keyboard.press(key);
  await take(page, "arranging", ["laptop"]);
  await page.goto(`${server.origin}/?kiosk&layout=1%2B5`);
  await page.waitForSelector(".cell");
  await settled(page, ["gate", "road"]);
  await take(page, "kiosk", ["wall"]);
  for (const [name, path, ready] of [
    ["watch", "/watch/gate", () => eventually("pictures", async () => (await new Player(page).stats())?.painted_total > 90, 60_000)],
    ["publish", "/publish/phone", () => eventually("a preview", () => page.$eval("video", (v) => v.videoWidth > 0))],
  ]) {
    await page.goto(server.origin + path);
    await ready();
    await take(page, name);
  }
  await page.close();
  await administration();
} finally {
  await Promise.all([browser.close(), theirs.close()]);
  await Promise.all([server.stop(), empty.stop(), kept.stop()]);
}
const total = readdirSync(taken).reduce((sum, name) => sum + statSync(join(taken, name)).size, 0);
console.log(`${total} bytes in all`);
if (poor.length > 0) throw new Error(`these pictures are not what they should be, so none was kept; try again on a machine at rest:\n${poor.join("\n")}`);
if (total > most) throw new Error(`the pictures take ${total} bytes: ${most} are the most`);
rmSync(folder, { recursive: true, force: true });
cpSync(taken, folder, { recursive: true });
