// Whether the player's memory stays flat: node test/bench/soak-player.mjs [MINUTES], 10 by default. Starts a server of its own with the
// demonstration, and a Chromium for each way to decode; every half minute the player is hidden for a moment, asked for another rendition, or
// taken out of the page and put back, by turns. Needs `npm ci` in test/e2e, and SIGHTLINE_BIN where the programs are not in
// bin. After each quarter of a minute it prints what is in use; the last line is the figures as JSON, for each decoder:
//
//   page_heap_mb, worker_heap_mb   JavaScript's memory after a collection: the median of the first quarter of the samples and of the last
//   renderer_rss_mb                resident memory of the page's process, the same
//   nodes, listeners, workers      of the document, the same
//   heap_growth_mb_per_hour        the slope of page and worker together, by least squares, without the first quarter
//   rss_growth_mb_per_hour         the same of the process
//   gpu_rss_mb                     resident memory of Chromium's process for drawing, as above
//   painted_fps                    pictures a second: the median

import { setTimeout as pause } from "node:timers/promises";
import { launch } from "../e2e/lib/browser.mjs";
import { Player } from "../e2e/lib/page.mjs";
import { family, kind, residentMB } from "../e2e/lib/processes.mjs";
import { Server } from "../e2e/lib/server.mjs";

const minutes = Number(process.argv[2] ?? 10);
if (!(minutes >= 1)) throw new Error(`minutes: "${process.argv[2]}", want a number from 1 up`);
const every = 15_000; // ms
const patience = 60_000; // ms
const megabyte = 1 << 20;

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const round = (v) => Math.round(v * 10) / 10;

/** By least squares, for each hour. */
function slope(samples, value) {
  const mean = (f) => samples.reduce((sum, s) => sum + f(s), 0) / samples.length;
  const [at, v] = [mean((s) => s.at), mean(value)];
  const [above, below] = [mean((s) => (s.at - at) * (value(s) - v)), mean((s) => (s.at - at) ** 2)];
  return (above / below) * 3_600_000;
}

const setVisibility = (page, state) =>
  page.evaluate((state) => {
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
    document.dispatchEvent(new Event("visibilitychange"));
  }, state);

const disturbances = [
  async (page) => {
    await setVisibility(page, "hidden");
    await pause(1_000);
    await setVisibility(page, "visible");
  },
  (page) => page.$eval("sightline-player", (p) => p.setAttribute("quality", p.getAttribute("quality") === "low" ? "high" : "low")),
  (page) =>
    page.$eval("sightline-player", (p) => {
      const [parent, next] = [p.parentElement, p.nextSibling];
      p.remove();
      parent.insertBefore(p, next);
    }),
];

/** Watches with one decoder, and gives a function that takes a sample. */
async function watch(server, cookie, decoder) {
  const browser = await launch("chromium", { authorities: [server.ca] });
  try {
    await browser.setCookie(cookie);
    const page = await browser.newPage();
    await page.goto(`${server.origin}/watch/test?decoder=${decoder}`);
    const player = new Player(page);
    await player.state("live", patience);
    // Others were started ahead, and do nothing.
    const processes = family(browser.browser.process().pid);
    const largest = (wanted) => processes.filter((p) => kind(p) === wanted).sort((a, b) => residentMB(b.pid) - residentMB(a.pid))[0].pid;
    const [renderer, gpu] = [largest("renderer"), largest("gpu-process")];
    const client = await page.createCDPSession();
    const sample = async () => {
      await client.send("HeapProfiler.collectGarbage");
      const worker = page.workers().at(-1);
      await worker.client.send("HeapProfiler.collectGarbage");
      const [metrics, heap, stats] = [await page.metrics(), await worker.client.send("Runtime.getHeapUsage"), await player.stats()];
      if (stats.decoder !== decoder) throw new Error(`${decoder} was asked for, and ${stats.decoder} decodes`);
      return {
        at: performance.now(), page: metrics.JSHeapUsedSize / megabyte, worker: heap.usedSize / megabyte, rss: residentMB(renderer), gpu: residentMB(gpu),
        nodes: metrics.Nodes, listeners: metrics.JSEventListeners, workers: page.workers().length, fps: stats.painted_fps, state: stats.state,
      };
    };
    return { decoder, browser, page, sample, samples: [] };
  } catch (cause) {
    await browser.close();
    throw cause;
  }
}

const server = await Server.start();
const watched = [];
const figures = { minutes };
try {
  const cookie = await server.logIn();
  for (const decoder of ["webcodecs", "mse"]) watched.push(await watch(server, cookie, decoder));
  const began = performance.now();
  for (let n = 1; performance.now() - began < minutes * 60_000; n++) {
    await pause(Math.max(0, began + n * every - performance.now()));
    for (const w of watched) {
      const s = await w.sample();
      w.samples.push(s);
      console.log(
        `${Math.round((s.at - began) / 1000)} s ${w.decoder}: page ${round(s.page)} MB, worker ${round(s.worker)} MB, renderer ${round(s.rss)} MB, gpu ${round(s.gpu)} MB, ` +
          `${s.nodes} nodes, ${s.listeners} listeners, ${s.workers} workers; ${s.state}, ${s.fps.toFixed(1)} pictures a second`,
      );
      if (n % 2 === 0) await disturbances[(n / 2) % disturbances.length](w.page);
    }
  }
  for (const { decoder, samples } of watched) {
    const quarter = Math.max(1, samples.length >> 2);
    const [first, last, later] = [samples.slice(0, quarter), samples.slice(-quarter), samples.slice(quarter)];
    const ends = (f) => [round(median(first.map(f))), round(median(last.map(f)))];
    figures[decoder] = {
      page_heap_mb: ends((s) => s.page), worker_heap_mb: ends((s) => s.worker), renderer_rss_mb: ends((s) => s.rss), gpu_rss_mb: ends((s) => s.gpu),
      nodes: ends((s) => s.nodes), listeners: ends((s) => s.listeners), workers: ends((s) => s.workers),
      heap_growth_mb_per_hour: round(slope(later, (s) => s.page + s.worker)), rss_growth_mb_per_hour: round(slope(later, (s) => s.rss)),
      painted_fps: round(median(samples.map((s) => s.fps))),
    };
  }
} finally {
  for (const { browser } of watched) await browser.close();
  await server.stop();
}
console.log(JSON.stringify(figures));
