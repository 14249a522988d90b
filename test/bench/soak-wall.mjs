// Watches a kiosk's wall for so many minutes (default 20) while its cameras come and go, its login is renewed every minute and its server
// starts again: it has to go on by itself. The last line is JSON; the exit code tells whether all of it held.

import { launch } from "../e2e/lib/browser.mjs";
import { Player } from "../e2e/lib/page.mjs";
import { addUser, logIn } from "../e2e/lib/people.mjs";
import { Running, Server } from "../e2e/lib/server.mjs";
import { eventually } from "../e2e/lib/wait.mjs";

const minutes = Number(process.argv[2] ?? 20);
const engine = process.argv[3] ?? "chromium";
const comeAndGo = ["yard", "gate"];
const config = `auth: {session-ttl: 3m}
streams:
  test: {source: "test:?size=320x180&fps=5"}
  door: {source: "test:?size=320x180&fps=5&tag=1"}
${comeAndGo.map((name) => `  ${name}: {publish: true}\n`).join("")}  away: {source: "rtsp://127.0.0.1:9/nobody"}
`;
const always = ["test", "door"];
/** The heap may be so much larger at the end than after the first third, in MiB: garbage that waits for its collection. */
const slack = 6;
const cycle = 60_000; // ms; in each, every camera that comes and goes does so once
const patience = 180_000; // ms: what is asked here is whether it comes back, not how fast
const restartEvery = 4; // cycles

const server = await Server.start({ config });
addUser(server, "screen", "viewer");
const browser = await launch(engine, { authorities: [server.ca], width: 1920, height: 1080 });
const page = await browser.newPage();
const problems = [];
page.on("pageerror", (e) => problems.push(`page: ${e.message}`));
page.on("console", (m) => {
  // What a browser itself says of a server that is away is no fault of the page.
  if (m.type() === "error" && !/net::ERR_|Failed to load resource|WebSocket connection|can’t establish a connection/.test(m.text())) problems.push(`console: ${m.text()}`);
});

const samples = [];
async function sample() {
  const at = Math.round((performance.now() - begun) / 1000);
  const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
  if (engine !== "chromium") return samples.push({ at, nodes });
  const cdp = await page.createCDPSession();
  await cdp.send("HeapProfiler.collectGarbage");
  const { JSHeapUsedSize, Nodes, JSEventListeners } = await page.metrics();
  await cdp.detach();
  samples.push({ at, nodes: Nodes, elements: nodes, listeners: JSEventListeners, heap_mib: Math.round((JSHeapUsedSize / 2 ** 20) * 100) / 100 });
  console.log(JSON.stringify(samples.at(-1)));
}

const alive = (names, limit) => Promise.all(names.map((name) => new Player(page, name).state("live", limit)));
let begun = performance.now();
let cycles = 0;
let restarts = 0;
let failure = "";
const agents = new Map();
try {
  await page.goto(`${server.origin}/?kiosk`);
  await logIn(page, "screen");
  await alive(always, patience);
  await page.evaluate(() => (window.sameDocument = true));
  begun = performance.now();
  while (performance.now() - begun < minutes * 60_000) {
    const next = performance.now() + cycle;
    for (const name of comeAndGo) {
      const token = await server.token({ stream: name, action: "publish" });
      agents.set(name, new Running("sightline-capture", ["--source", "test:?size=320x180&fps=5", "--publish", `wss://${server.host}/ws/publish/${name}`, "--ca", server.ca], { SIGHTLINE_TOKEN: token }));
    }
    await alive([...always, ...comeAndGo], patience);
    for (const [name, agent] of agents) {
      await agent.stop();
      agents.delete(name);
    }
    if (++cycles % restartEvery === 0) {
      await server.restart();
      restarts++;
    }
    await Promise.all(comeAndGo.map((name) => new Player(page, name).state("waiting", patience)));
    await alive(always, patience);
    if (!(await page.evaluate(() => window.sameDocument === true))) throw new Error("the page was loaded anew");
    await sample();
    await eventually("the next cycle", () => performance.now() > next, cycle * 2);
  }
} catch (cause) {
  failure = cause.message;
}
for (const agent of agents.values()) await agent.stop();
const renewals = server.auditRecords().filter((r) => r.event === "renew" && r.verdict === "granted");
await browser.close();
await server.stop();

const third = Math.floor(samples.length / 3);
const mean = (list) => list.reduce((sum, s) => sum + (s.heap_mib ?? 0), 0) / Math.max(list.length, 1);
const grown = Math.round((mean(samples.slice(-Math.max(third, 1))) - mean(samples.slice(third, 2 * third))) * 100) / 100;
const flat = samples.length < 6 || (grown < slack && samples.at(-1).nodes < samples[third].nodes * 1.2);
const held = failure === "" && problems.length === 0 && flat;
console.log(JSON.stringify({
  engine, minutes, cycles, restarts, held, failure, problems, renewals: renewals.length, heap_grown_mib: grown,
  first: samples[0], middle: samples[third], last: samples.at(-1),
}));
process.exitCode = held ? 0 : 1;
