// A configuration file and certificate files that change while the server runs.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import tls from "node:tls";
import { authority } from "./lib/certificates.mjs";
import { Server, scratch } from "./lib/server.mjs";
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

test("certificate files are replaced while somebody watches, who loses no picture; broken ones change nothing and are told of", async () => {
  const files = scratch();
  const owner = authority(files.dir, "ca");
  const issue = (subject) => owner.issue(subject, "server", 90, "subjectAltName=IP:127.0.0.1");
  const { certificate, key } = issue("first");
  const own = await Server.start({ dataDir: files.dir, config: `tls: {cert: ${certificate}, key: ${key}}\n${streams("door")}` });
  try {
    const shown = async () => {
      const socket = tls.connect({ host: "127.0.0.1", port: new URL(own.origin).port, ca: readFileSync(own.ca) });
      await once(socket, "secureConnect");
      const { CN } = socket.getPeerCertificate().subject;
      socket.destroy();
      return CN;
    };
    const token = await own.token();
    const viewer = await Viewer.join(own, "door", { token });
    await viewer.nextKey();
    assert.equal(await shown(), "first");
    for (const subject of ["second", "third"]) {
      issue(subject);
      await eventually(`the certificate of the ${subject}`, async () => (await shown()) === subject);
    }
    const told = () => own.running.lines.filter((l) => l.includes("the certificate read before goes on")).length;
    for (const [what, spoil] of [
      ["no certificate", () => writeFileSync(certificate, "none")],
      ["no file", () => rmSync(certificate)],
      ["another's key", () => {
        issue("another");
        writeFileSync(key, readFileSync(owner.issue("else", "else").key));
      }],
      ["one that has ended", () => owner.issue("ended", "server", -1, "subjectAltName=IP:127.0.0.1")],
    ]) {
      const before = told();
      spoil();
      await eventually(`word of ${what}`, async () => {
        assert.equal(await shown(), "third");
        return told() > before;
      });
    }
    issue("fourth");
    await eventually("the certificate of the fourth", async () => (await shown()) === "fourth");
    await viewer.next();
    assert.equal(viewer.missing, 0, "pictures lost");
    const other = await Viewer.join(own, "door", { token });
    await other.nextKey();
    await other.leave();
    await viewer.leave();
  } finally {
    await own.stop();
    files.close();
  }
});
