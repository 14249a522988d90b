// A camera on another machine, which publishes over wss.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { Player } from "./lib/page.mjs";
import { Running, Server } from "./lib/server.mjs";
import { Refused, Socket } from "./lib/socket.mjs";

let server, browser, page, agent;
const publish = (token, stream = "remote") =>
  new Running("sightline-capture", ["--source", "test:?tag=7", "--publish", `wss://${server.host}/ws/publish/${stream}`, "--ca", server.ca], { SIGHTLINE_TOKEN: token });

before(async () => {
  server = await Server.start();
  browser = await launch("chromium", { authorities: [server.ca] });
  await browser.setCookie(await server.logIn());
  page = await browser.newPage();
});
after(async () => {
  await browser?.close();
  await agent?.stop();
  await server?.stop();
});

test("a view token does not publish, and its user is told so", async () => {
  const wrong = publish(await server.token({ stream: "remote", action: "view" }));
  await wrong.line(/token/);
  const refused = server.auditRecords().filter((r) => r.event === "publish");
  assert.deepEqual(refused.map((r) => [r.verdict, r.reason, r.stream]).at(0), ["refused", "wrong-kind", "remote"]);
  await wrong.stop();
  assert.match(wrong.output, /does not accept the token.*--action publish/);
});

test("a publish token publishes its own stream, and no other", async () => {
  const token = await server.token({ stream: "remote", action: "publish" });
  await assert.rejects(Socket.open(server, "/ws/publish/other", { token }), (e) => e instanceof Refused && e.status === 403);
  agent = publish(token);
  await agent.line(/connected/);
  await page.goto(`${server.origin}/watch/remote`);
  const player = new Player(page);
  await player.state("live");
  const first = await player.nextPicture("the picture of that publisher", (p) => p.strip?.tag === 7);
  const second = await player.nextPicture("a later one", (p) => p.strip !== undefined && p.strip.counter !== first.strip.counter);
  assert.ok(second.strip.time > first.strip.time);
  assert.ok(second.age < 1_000, `it is ${second.age} ms old`);
});

test("a second publisher is refused, and the first goes on", async () => {
  const second = await Socket.open(server, "/ws/publish/remote", { token: await server.token({ stream: "remote", action: "publish" }) });
  const { code, reason } = await second.closed();
  assert.equal(code, 4409);
  assert.match(reason, /has a publisher/);
  const player = new Player(page);
  const { strip } = await player.nextPicture("a strip", (p) => p.strip !== undefined);
  await player.nextPicture("a later one", (p) => p.strip !== undefined && p.strip.counter !== strip.counter);
});

test("a stream with a source of its own takes no publisher", async () => {
  const token = await server.token({ stream: "test", action: "publish" });
  await assert.rejects(Socket.open(server, "/ws/publish/test", { token }), (e) => e instanceof Refused && e.status === 409 && /source of its own/.test(e.body));
});

test("a publisher that leaves: the page says so, and goes on when it is back", async () => {
  const player = new Player(page);
  const token = await server.token({ stream: "remote", action: "publish" });
  await agent.stop();
  const stats = await player.state("waiting", 5_000);
  assert.match(stats.reason, /publisher left/);
  agent = publish(token);
  await player.state("live");
});
