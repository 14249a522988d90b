// A disk that is full under the audit record: a real one, of a few pages, which takes root to mount.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { smallDisk, visit } from "./lib/disk.mjs";
import { Server, run } from "./lib/server.mjs";
import { Viewer } from "./lib/socket.mjs";
import { eventually } from "./lib/wait.mjs";

const skip = process.getuid?.() === 0 ? false : "LEFT OUT: mounting a disk of its own takes root";

/** A server whose record is on a disk that fill() fills and empty() empties. */
async function served(policy) {
  const { dir, fill, empty, release } = smallDisk();
  const path = join(dir, "audit.jsonl");
  try {
    const server = await Server.start({ config: `audit: {path: ${path}, on-failure: ${policy}}\nstreams: {door: {source: "test:?size=320x180&fps=10"}}\n` });
    return {
      server,
      path,
      token: await server.token(),
      fill,
      empty,
      records: () => readFileSync(path, "utf8").trim().split("\n").map((l) => JSON.parse(l)).filter((r) => r.event !== "checkpoint"),
      async verify() {
        const { code, stdout, stderr } = await run("sightline", ["audit", "verify", "--config", join(server.dataDir, "sightline.yaml"), "--data-dir", server.dataDir]);
        assert.equal(code, 0, stdout + stderr);
      },
      async stop() {
        await server.stop();
        release();
      },
    };
  } catch (cause) {
    release();
    throw cause;
  }
}

const granted = (records) => records.filter((r) => r.event === "watch" && r.verdict === "granted").length;
const gaps = (records) => records.filter((r) => r.event === "audit" && r.action === "gap").map((r) => r.reason);
const counted = (reason, what) => Number(new RegExp(` ${what}=(\\d+)`).exec(reason)?.[1] ?? 0);

test("refuse: who watches watches on, nobody new gets in, and all is well as soon as there is room", { skip }, async () => {
  const site = await served("refuse");
  try {
    const viewer = await Viewer.join(site.server, "door", { token: site.token });
    await viewer.nextKey();
    site.fill();
    let entered = 1;
    let refused = 0;
    for (; refused < 3; refused++) while (await visit(site)) entered++; // the file's last page still has room
    await site.server.running.line(/level=ERROR.*audit file cannot be written: every action is refused/);
    await viewer.next();
    site.empty();
    await site.server.running.line(/audit file can be written again/);
    assert.ok(await visit(site));
    entered++;
    await viewer.next();
    await viewer.leave();
    assert.equal(viewer.missing, 0, "pictures lost");
    assert.equal(granted(site.records()), entered);
    const [gap, ...more] = gaps(site.records());
    assert.deepEqual(more, []);
    assert.match(gap, /what they would have granted was refused/);
    assert.equal(counted(gap, "watch/granted"), refused, gap);
    await site.verify();
  } finally {
    await site.stop();
  }
});

test("continue: everybody gets in, and the record says how many it does not hold", { skip }, async () => {
  const site = await served("continue");
  try {
    site.fill();
    let entered = 0;
    const told = () => site.server.running.lines.some((l) => /level=ERROR.*audit file cannot be written: access goes on without record/.test(l));
    while (!told()) {
      assert.ok(await visit(site));
      entered++;
    }
    for (let i = 0; i < 5; i++, entered++) assert.ok(await visit(site));
    site.empty();
    await site.server.running.line(/audit file can be written again/);
    assert.ok(await visit(site));
    entered++;
    // The last of them may still be on its way to the record.
    await eventually("the records of all", () => {
      const lost = gaps(site.records()).reduce((n, reason) => n + counted(reason, "watch/granted"), 0);
      assert.ok(lost >= 5, `${lost} counted`);
      return granted(site.records()) + lost === entered;
    });
    await site.verify();
  } finally {
    await site.stop();
  }
});
