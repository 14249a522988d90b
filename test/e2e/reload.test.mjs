// A configuration file that changes while the server runs.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Server } from "./lib/server.mjs";
import { Viewer } from "./lib/socket.mjs";
import { eventually } from "./lib/wait.mjs";

const streams = (...names) => `streams:\n${names.map((n) => `  ${n}: {source: "test:?size=320x180&fps=10"}\n`).join("")}`;

let server, token;
before(async () => {
  server = await Server.start({ config: streams("door", "gate") });
  token = await server.token();
});
after(() => server?.stop());

const write = (text) => writeFileSync(join(server.dataDir, "sightline.yaml"), text);
const names = async () => {
  const { body } = await server.request("GET", "/api/v1/streams", { headers: { Authorization: `Bearer ${token}` } });
  return JSON.parse(body).streams.map((s) => s.id);
};

test("streams come and go while a viewer of another watches on", async () => {
  const viewer = await Viewer.join(server, "door", { token });
  await viewer.nextKey();
  const pid = server.capturePid("door");
  write(streams("door", "porch"));
  await eventually("the new list", async () => JSON.stringify(await names()) === '["door","porch"]');
  const other = await Viewer.join(server, "porch", { token });
  await other.nextKey();
  await viewer.next();
  assert.equal(server.capturePid("door"), pid, "the stream that stays is not started anew");
  await viewer.leave();
  await other.leave();
});

test("a fault, and what only a new start changes, are told and change nothing", async () => {
  write("streams:\n  door: {sorce: x}\n");
  await server.running.line(/not taken up.*did you mean/);
  write(`limits: {viewers: 3}\nlisten: ":9"\naudit: {keep: 3}\n${streams("door")}`);
  await server.running.line(/not taken up.*audit changed, which only a new start takes up/);
  assert.deepEqual(await names(), ["door", "porch"]);
  const records = server.auditRecords().filter((r) => r.event === "config").map((r) => r.verdict);
  assert.deepEqual(records, ["granted", "refused"]);
});
