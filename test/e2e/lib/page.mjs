// What a test asks of a page: the player's state and figures, and the pixels that it shows.

import { ageMillis, columns, decodeCells, rows } from "./strip.mjs";
import { eventually } from "./wait.mjs";

const player = (stream) => (stream === undefined ? "main.watch sightline-player" : `a.tile[href="/watch/${stream}"] sightline-player`);

/** Which player is meant: the one of the page of one stream, or the one in a stream's tile on the wall. */
export class Player {
  #page;
  #selector;

  constructor(page, stream) {
    this.#page = page;
    this.#selector = player(stream);
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

  /**
   * The picture shown now: {strip, age in ms, luma: 32 × 18 means of what is below the strip}, or undefined where there is none.
   * strip is undefined where it is not readable.
   */
  async picture() {
    const read = await this.#page.evaluate(readPicture, this.#selector, columns, rows);
    if (read === undefined) return undefined;
    const strip = decodeCells(read.cells);
    return { strip, age: strip && ageMillis(strip, read.at), luma: read.luma };
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

/** Runs in the page. */
function readPicture(selector, columns, rows) {
  const surface = document.querySelector(selector)?.surface;
  const [w, h] = surface === undefined ? [0, 0] : surface instanceof HTMLVideoElement ? [surface.videoWidth, surface.videoHeight] : [surface.width, surface.height];
  // A canvas that was never drawn on has the size that HTML gives it.
  if (w < 320 || (w === 300 && h === 150)) return undefined;
  const canvas = (window.readingCanvas ??= document.createElement("canvas"));
  canvas.width = w;
  canvas.height = h;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(surface, 0, 0);
  const at = performance.timeOrigin + performance.now();
  const { data } = context.getImageData(0, 0, w, h);
  const mean = (x0, y0, x1, y1) => {
    let sum = 0;
    for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) sum += 0.299 * data[(y * w + x) * 4] + 0.587 * data[(y * w + x) * 4 + 1] + 0.114 * data[(y * w + x) * 4 + 2];
    return sum / ((x1 - x0) * (y1 - y0));
  };
  const cells = [];
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < columns; col++) {
      // The middle half of the cell, both ways.
      const [x0, x1] = [Math.floor((col * w) / columns), Math.floor(((col + 1) * w) / columns)];
      const [y0, y1] = [Math.floor((row * h) / 24), Math.floor(((row + 1) * h) / 24)];
      const [qx, qy] = [(x1 - x0) >> 2, (y1 - y0) >> 2];
      cells.push(mean(x0 + qx, y0 + qy, x1 - qx, y1 - qy));
    }
  }
  const luma = [];
  const top = Math.ceil(h / 12);
  for (let row = 0; row < 18; row++) {
    for (let col = 0; col < 32; col++) {
      luma.push(mean(Math.floor((col * w) / 32), top + Math.floor((row * (h - top)) / 18), Math.floor(((col + 1) * w) / 32), top + Math.floor(((row + 1) * (h - top)) / 18)));
    }
  }
  return { cells, luma, at };
}

/** How much the brightness varies over a picture: its standard deviation. 0 is flat. */
export function contrast(luma) {
  const mean = luma.reduce((a, b) => a + b) / luma.length;
  return Math.sqrt(luma.reduce((sum, v) => sum + (v - mean) ** 2, 0) / luma.length);
}

/** The largest difference between two pictures anywhere. */
export const difference = (a, b) => Math.max(...a.luma.map((v, i) => Math.abs(v - b.luma[i])));
