// The dashboard of examples/grafana against what a real Prometheus collected of a real server: each of its panels has something to show.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { Player } from "./lib/page.mjs";
import { addUser, logIn, visit } from "./lib/people.mjs";
import { repository, run, Running, Server } from "./lib/server.mjs";
import { eventually } from "./lib/wait.mjs";

const board = JSON.parse(readFileSync(join(repository, "examples/grafana/dashboard.json"), "utf8"));
const targets = board.panels.flatMap((panel) => (panel.targets ?? []).map((target) => ({ panel, ...target })));

let server, prometheus, origin, browser, bench;
before(async () => {
  server = await Server.start({
    config: `streams: {test: {source: "test:?size=640x360&fps=30"}, away: {source: "rtsp://127.0.0.1:1/nothing"}}
metrics: {listen: "127.0.0.1:0"}
`,
  });
  const [, figures] = await server.running.line(/figures for Prometheus.*address=http:\/\/([^/]+)/);
  const config = join(server.dataDir, "prometheus.yml");
  // Once a second instead of each fifteen, so that there are rates soon.
  const example = readFileSync(join(repository, "examples/prometheus/prometheus.yml"), "utf8");
  const [soon, here] = ["scrape_interval: 1s", `targets: ["${figures}"]`];
  writeFileSync(config, example.replace(/scrape_interval: \S+/, soon).replace(/targets: .*/, here).replace(/rule_files:\n.*\n/, ""));
  assert.ok([soon, here].every((line) => readFileSync(config, "utf8").includes(line)), "the example is no longer what this test changes");
  const port = await freePort();
  prometheus = new Running("/usr/bin/prometheus", ["--config.file", config, "--storage.tsdb.path", join(server.dataDir, "tsdb"), "--web.listen-address", `127.0.0.1:${port}`]);
  origin = `http://127.0.0.1:${port}`;
  await prometheus.line(/Server is ready/);

  // Something of everything: a browser, viewers on bad networks, somebody who is refused.
  addUser(server, "viola", "viewer");
  browser = await launch("chromium", { authorities: [server.ca] });
  const page = await visit(server, browser, "/watch/test");
  await logIn(page, "viola");
  await new Player(page).state("live");
  const env = { ...process.env, SIGHTLINE_TOKEN: await server.token({ stream: "test" }) };
  bench = new Running("sightline", ["bench", `${server.origin}/watch/test`, "--ca", server.ca, "--viewers", "4", "--slow", "1", "--come-and-go", "2", "--duration", "5m"], env);
  const refused = await run("sightline", ["watch", `${server.origin}/watch/test`, "--ca", server.ca], { env: { ...env, SIGHTLINE_TOKEN: "nonsense" } });
  assert.notEqual(refused.code, 0);
});
after(async () => {
  await bench?.stop("SIGINT");
  await browser?.close();
  await prometheus?.stop();
  await server?.stop();
});

/** A port that nobody has. */
async function freePort() {
  const listener = createServer();
  await new Promise((listening) => listener.listen(0, "127.0.0.1", listening));
  const { port } = listener.address();
  await new Promise((closed) => listener.close(closed));
  return port;
}

/** What Prometheus finds for an expression of the dashboard: [{metric, value}]. */
function ask(expr) {
  // What Grafana puts in for its variables: all servers and streams, and times that fit a scrape a second.
  const variables = { $instance: ".*", $stream: ".*", $__rate_interval: "10s", $__range_s: "60", $__range: "60s" };
  const query = expr.replace(/\$(__)?[a-z_]+/g, (name) => variables[name] ?? assert.fail(`the dashboard uses ${name}, of which this test knows nothing`));
  return new Promise((answered, failed) => {
    http
      .get(`${origin}/api/v1/query?query=${encodeURIComponent(query)}`, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (t) => (text += t)).on("end", () => {
          const { status, error, data } = JSON.parse(text);
          if (status === "success") answered(data.result);
          else failed(new Error(`${query}: ${error}`));
        });
      })
      .on("error", failed);
  });
}

test("every panel has something to show, under names that it has labels for", async () => {
  assert.ok(targets.length > 20, `${targets.length} expressions`);
  for (const { panel, expr, legendFormat } of targets) {
    const found = await eventually(
      `something in "${panel.title}"`,
      async () => {
        const some = (await ask(expr)).filter(({ value: [, v] }) => Number.isFinite(Number(v)));
        if (some.length === 0) throw new Error(`nothing for ${expr}`);
        return some;
      },
      40_000,
    );
    for (const [, label] of legendFormat.matchAll(/{{(\w+)}}/g)) {
      for (const { metric } of found) assert.ok(label in metric, `${panel.title}: no label ${label} in ${JSON.stringify(metric)}`);
    }
  }
});

test("it says that somebody gets no pictures, of which stream, and since when", async () => {
  const of = (title) => targets.find(({ panel }) => panel.title === title).expr;
  const values = async (title) => Object.fromEntries((await ask(of(title))).map(({ metric, value: [, v] }) => [metric.stream ?? "", Number(v)]));
  assert.deepEqual(await values("Viewers without pictures"), { "": 0 });
  assert.deepEqual(await values("Streams away"), { "": 1 });
  const viewer = new Running("sightline", ["watch", `${server.origin}/watch/away`, "--ca", server.ca], { SIGHTLINE_TOKEN: await server.token({ stream: "away" }) });
  try {
    await eventually("a viewer without pictures", async () => (await values("Viewers without pictures"))[""] === 1, 20_000);
  } finally {
    await viewer.stop("SIGINT");
  }
  const away = await values("Away, and for how long");
  assert.deepEqual(Object.keys(away), ["away"]);
  assert.ok(away.away > 0, JSON.stringify(away));
  const names = board.panels.find((panel) => panel.title === "What each stream was").fieldConfig.defaults.mappings[0].options;
  const states = await values("What each stream was");
  assert.deepEqual(Object.fromEntries(Object.entries(states).map(([stream, code]) => [stream, names[code].text])), { away: "offline", test: "live" });
});
