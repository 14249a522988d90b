// What a test asks of a page: the player's state and figures, and the pixels that it shows.

import { ageMillis, mean, readStrip } from "./strip.mjs";
import { eventually } from "./wait.mjs";

const player = (stream) => (stream === undefined ? "main.watch sightline-player, .cell.large sightline-player" : `.cell[data-stream="${stream}"] sightline-player`);

/** Which player is meant: the one of the page of one stream, the one in a stream's tile on the wall, or any by its selector. */
export class Player {
  #page;
  #selector;

  constructor(page, stream, selector = player(stream)) {
    this.#page = page;
    this.#selector = selector;
  }

  /** stats(), with the sentence that stands beside the state; undefined while there is no such player. */
  stats() {
    return this.#page.evaluate((selector) => {
      const p = document.querySelector(selector);
      return p === null || p.stats === undefined ? undefined : { ...p.stats(), reason: p.reason };
    }, this.#selector);
  }

  state(wanted, limit) {
    return eventually(`the player's state is ${wanted}`, async () => {
      const s = await this.stats();
      if (s?.state === wanted) return s;
      throw new Error(`it is ${s?.state} (${s?.reason})`);
    }, limit);
  }

  /** The picture on the player's surface now, as read() gives it; undefined where none could be read. */
  picture() {
    return read(this.#page, this.#selector);
  }

  /** The next picture that test() accepts, or any. */
  nextPicture(what, test = () => true, limit) {
    return eventually(what, async () => {
      const p = await this.picture();
      if (p === undefined) throw new Error("there was no picture");
      if (test(p)) return p;
      throw new Error(`it had ${p.strip === undefined ? "no strip" : `strip ${JSON.stringify(p.strip)}`}, contrast ${contrast(p.luma).toFixed(1)}`);
    }, limit);
  }

  /** Notes from now on what is shown at each refresh of the screen; shown() gives it. */
  async noteShown() {
    await this.#page.evaluate(noteShown, this.#selector, noted.width, noted.height / 12);
  }

  /** Each picture that was shown since, once: {at: when (Unix, ms), age in ms, lines}. */
  async shown() {
    const seen = [];
    let [counter, unreadable] = [undefined, 0];
    for (const { at, luma, lines } of await this.#page.evaluate("window.shown")) {
      const strip = readStrip(Buffer.from(luma, "base64"), noted.width, noted.height);
      // The same picture may look different when it is sampled again.
      if (strip === undefined) unreadable++;
      else if (strip.counter !== counter) {
        counter = strip.counter;
        seen.push({ at, age: ageMillis(strip, at), lines });
      }
    }
    if (unreadable > seen.length / 10) throw new Error(`${unreadable} pictures without a readable time strip, beside ${seen.length} with one`);
    return seen;
  }

  /** Notes each state and the words beside it from now on; states() gives them. */
  async noteStates() {
    await this.#page.evaluate((selector) => {
      const p = document.querySelector(selector);
      window.notedStates = [];
      p.addEventListener("statechange", (e) => window.notedStates.push({ state: e.detail.state, reason: p.reason }));
    }, this.#selector);
  }

  states() {
    return this.#page.evaluate(() => window.notedStates);
  }
}

/**
 * Runs in a page: the luma of what the player at a selector shows, or of the image at a data: address, scaled to w by h, its
 * first rows in base64, with the time of the reading (Unix, ms). Undefined where there is no picture or it could not be read.
 */
async function readLuma(what, w, h, rows) {
  let source;
  if (what.startsWith("data:")) {
    source = new Image();
    source.src = what;
    await source.decode();
  } else {
    source = document.querySelector(what)?.surface;
    // A <video> without a picture has no size; a canvas that was never drawn on has the size that HTML gives it.
    if (source === undefined || source.videoWidth === 0 || (source.width === 300 && source.height === 150)) return undefined;
  }
  const canvas = (window.readingCanvas ??= document.createElement("canvas"));
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.clearRect(0, 0, w, h);
  context.drawImage(source, 0, 0, w, h);
  const at = performance.timeOrigin + performance.now();
  const { data } = context.getImageData(0, 0, w, rows);
  if (data[3] === 0) return undefined; // nothing was drawn: the browser could not read it
  let luma = "";
  for (let i = 0; i < data.length; i += 4) luma += String.fromCharCode(Math.round(0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]));
  return { luma: btoa(luma), at };
}

/** How much of a picture is kept of each one that is shown: four pixels for each cell of the strip, either way. */
const noted = { width: 160, height: 96 };

/** Runs in a page: keeps the first rows, of that width, of what the player at a selector shows at each refresh. */
function noteShown(selector, width, rows) {
  const context = Object.assign(document.createElement("canvas"), { width, height: rows }).getContext("2d", { willReadFrequently: true });
  window.shown = [];
  let last = "";
  const look = () => {
    const source = document.querySelector(selector)?.surface;
    const [w, h] = [source?.videoWidth ?? source?.width ?? 0, source?.videoHeight ?? source?.height ?? 0];
    if (w > 0) {
      context.drawImage(source, 0, 0, w, h / 12, 0, 0, width, rows);
      const { data } = context.getImageData(0, 0, width, rows);
      let luma = "";
      for (let i = 0; i < data.length; i += 4) luma += String.fromCharCode(Math.round(0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]));
      if (luma !== last) window.shown.push({ at: performance.timeOrigin + performance.now(), luma: btoa(luma), lines: h });
      last = luma;
    }
    requestAnimationFrame(look);
  };
  look();
}

const width = 640;
const height = 360;

/** {strip, age in ms, luma}: the strip, if one is readable, how old it is, and the means of 32 × 18 parts of what is below it. */
async function read(page, what) {
  const answer = await page.evaluate(readLuma, what, width, height, height);
  if (answer === undefined) return undefined;
  const plane = Buffer.from(answer.luma, "base64");
  const strip = readStrip(plane, width, height);
  const top = height / 12;
  const luma = [];
  for (let row = 0; row < 18; row++) {
    for (let col = 0; col < 32; col++) {
      luma.push(mean(plane, width, (col * width) / 32, top + (row * (height - top)) / 18, ((col + 1) * width) / 32, top + ((row + 1) * (height - top)) / 18));
    }
  }
  return { strip, age: strip && ageMillis(strip, answer.at), luma };
}

const address = (base64) => `data:image/*;base64,${base64}`;

/** The picture in a PNG or JPEG image of the whole window, given as base64. page is any page without a content policy. */
export const readShot = (page, base64) => read(page, address(base64));

/** Only the strip of the same, sooner. */
export async function readShotStrip(page, base64) {
  const { luma } = await page.evaluate(readLuma, address(base64), width, height, height / 12);
  return readStrip(Buffer.from(luma, "base64"), width, height);
}

/** How much the brightness varies over a picture: its standard deviation. 0 is flat. */
export function contrast(luma) {
  const mean = luma.reduce((a, b) => a + b) / luma.length;
  return Math.sqrt(luma.reduce((sum, v) => sum + (v - mean) ** 2, 0) / luma.length);
}

/** The largest difference between two pictures anywhere. */
export const difference = (a, b) => Math.max(...a.luma.map((v, i) => Math.abs(v - b.luma[i])));
