// Publishers that show a certificate beside their token.

import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { copyFileSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { authority } from "./lib/certificates.mjs";
import { Player } from "./lib/page.mjs";
import { Running, Server, run, scratch } from "./lib/server.mjs";
import { eventually } from "./lib/wait.mjs";

let files, server, agents, strangers;
const config = (policy) => `auth: {publisher-certificates: {ca: ${agents.ca}, ${policy}}}\nstreams: {gate/north: {publish: true}, yard: {publish: true}}\n`;
const named = 'required: true, streams: {gate-agent: ["gate/**"]}';

before(async () => {
  files = scratch();
  agents = authority(files.dir, "agents");
  strangers = authority(files.dir, "strangers");
  server = await Server.start({ config: config(named) });
});
after(async () => {
  await server?.stop();
  files?.close();
});

const publish = (token, pair, stream = "gate/north") =>
  new Running("sightline-capture", ["--source", "test:?tag=3", "--publish", `wss://${server.host}/ws/publish/${stream}`, "--ca", server.ca,
    ...(pair === undefined ? [] : ["--certificate", pair.certificate, "--key", pair.key])], { SIGHTLINE_TOKEN: token });
const attempts = () => server.auditRecords().filter((r) => r.event === "publish");

/** Has an agent try, until its attempt is on record: [verdict, reason], and what it tells whoever runs it. */
async function tried(token, pair, stream) {
  const before = attempts().length;
  const agent = publish(token, pair, stream);
  await agent.line(/level=(WARN|INFO).*(certificate|connected)/);
  const record = await eventually("a record", () => attempts()[before] ?? Promise.reject(new Error("none")));
  await agent.stop();
  return { outcome: [record.verdict, record.reason], said: agent.output };
}

test("the right certificate lets a publisher in, and none, a stranger's, an expired one and another's do not", async () => {
  const token = await server.token({ stream: "**", action: "publish" });
  const right = agents.issue("gate-agent", "right");
  for (const [pair, want] of [
    [undefined, ["refused", "no-certificate"]],
    [strangers.issue("gate-agent", "stranger"), ["refused", "bad-certificate"]],
    [agents.issue("gate-agent", "expired", -1), ["refused", "expired-certificate"]],
    [agents.issue("yard-agent", "other"), ["refused", "other-certificate"]],
    [right, ["granted", ""]],
  ]) {
    const { outcome, said } = await tried(token, pair);
    assert.deepEqual(outcome, want);
    if (want[0] === "refused") assert.match(said, /without the right client certificate; see --certificate/);
  }
  assert.deepEqual((await tried(token, right, "yard")).outcome, ["refused", "other-certificate"], "a certificate of other streams");
});

test("a token that is bound to a certificate is worth nothing without it", async () => {
  const mine = agents.issue("gate-agent", "mine");
  const { stdout, code, stderr } = await run("sightline", ["token", "--stream", "gate/**", "--action", "publish", "--sub", "gate-agent", "--certificate", mine.certificate, "--data-dir", server.dataDir]);
  assert.equal(code, 0, stderr);
  const token = stdout.trim();
  assert.deepEqual((await tried(token, agents.issue("gate-agent", "thief"))).outcome, ["refused", "other-certificate"]);
  assert.deepEqual((await tried(token, mine)).outcome, ["granted", ""]);
});

test("browsers see nothing of this, and watch what was published", async () => {
  const agent = publish(await server.token({ stream: "**", action: "publish" }), agents.issue("gate-agent", "watched"));
  await agent.line(/connected/);
  const browser = await launch("chromium", { authorities: [server.ca] });
  try {
    await browser.setCookie(await server.logIn());
    const page = await browser.newPage();
    await page.goto(`${server.origin}/watch/gate/north`);
    const { strip } = await new Player(page).nextPicture("the agent's picture", (p) => p.strip !== undefined);
    assert.equal(strip.tag, 3);
  } finally {
    await browser.close();
    await agent.stop();
  }
});

test("a certificate that is taken alone publishes without a token, over a restart of the server", async () => {
  writeFileSync(join(server.dataDir, "sightline.yaml"), config(`${named}, without-token: true`));
  await server.running.line(/configuration taken up/);
  const pair = agents.issue("gate-agent", "alone");
  const agent = publish("", pair);
  try {
    await agent.line(/connected/);
    assert.equal(attempts().at(-1).subject, "certificate:gate-agent");
    const before = attempts().length;
    await server.running.stop();
    await server.restart();
    await eventually("the agent to come back", () => attempts().length > before);
    assert.deepEqual(attempts().slice(before).map((r) => [r.verdict, r.subject]), [["granted", "certificate:gate-agent"]]);
  } finally {
    await agent.stop();
  }
});

test("a renewed certificate that takes the old one's place counts from the next connection, without a restart of the agent", async () => {
  const folder = scratch(); // holds nothing of others
  const [certificate, key] = ["agent.pem", "agent-key.pem"].map((name) => join(folder.dir, name));
  const replace = (pair) => {
    for (const [from, to] of [[pair.key, key], [pair.certificate, certificate]]) {
      copyFileSync(from, `${files.dir}/renewed`);
      renameSync(`${files.dir}/renewed`, to);
    }
    return `certificate:${createHash("sha256").update(new X509Certificate(readFileSync(certificate)).raw).digest("base64url")}`;
  };
  const last = () => [attempts().at(-1).verdict, attempts().at(-1).token_id];
  const old = replace(agents.issue("gate-agent", "old"));
  const agent = publish("", { certificate, key });
  try {
    await agent.line(/connected/);
    assert.deepEqual(last(), ["granted", old]);
    const renewed = replace(agents.issue("gate-agent", "renewed"));
    assert.notEqual(renewed, old);
    const before = attempts().length;
    await server.running.stop();
    await server.restart();
    await eventually("the agent to come back", () => attempts().length > before);
    assert.deepEqual(last(), ["granted", renewed]);
  } finally {
    await agent.stop();
    folder.close();
  }
});

test("a policy that asks for less is taken up while the server runs", async () => {
  writeFileSync(join(server.dataDir, "sightline.yaml"), config("required: false"));
  await server.running.line(/configuration taken up/);
  const token = await server.token({ stream: "**", action: "publish" });
  assert.deepEqual((await tried(token)).outcome, ["granted", ""]);
  assert.deepEqual((await tried(token, agents.issue("anybody", "anybody"), "yard")).outcome, ["granted", ""]);
});
