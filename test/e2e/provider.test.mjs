// Logging in at an OpenID provider of another site, in real browsers.

import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { engines, launch } from "./lib/browser.mjs";
import { authority } from "./lib/certificates.mjs";
import { addUser, logIn, press, textOf, texts, visit } from "./lib/people.mjs";
import { Provider } from "./lib/provider.mjs";
import { Server, scratch } from "./lib/server.mjs";
import { eventually } from "./lib/wait.mjs";

let files, ca, server, provider;

async function freePort() {
  const s = createServer().listen(0, "127.0.0.1");
  await once(s, "listening");
  const { port } = s.address();
  await once(s.close(), "close");
  return port;
}

before(async () => {
  files = scratch();
  const certificates = authority(files.dir, "provider");
  ca = certificates.ca;
  const port = await freePort();
  const client = { id: "sightline-web", secret: "canary-of-the-client", redirect: `https://127.0.0.1:${port}/oidc/callback` };
  provider = new Provider(certificates.issue("localhost", "localhost", 90, "subjectAltName=DNS:localhost"), client, await freePort());
  provider.people = { ann: ["guards"], bob: ["heads"], eve: ["cooks"] };
  writeFileSync(join(files.dir, "secret"), client.secret, { mode: 0o600 });
  server = await Server.start({
    listen: `127.0.0.1:${port}`,
    config: `auth:
  oidc:
    name: people
    issuer: ${provider.issuer}
    ca: ${ca}
    client-id: ${client.id}
    client-secret-file: ${join(files.dir, "secret")}
    host: 127.0.0.1:${port}
    algorithms: [RS256]
    roles-claim: realm_access.roles
    roles: {guards: {actions: [view], streams: ["site/**"]}, heads: {actions: [view, admin], streams: ["**"]}}
streams: {site/door: {publish: true}, vault: {publish: true}}
`,
  });
  addUser(server, "local", "viewer");
});
after(async () => {
  provider?.close();
  await server?.stop();
  files?.close();
});

const logins = () => server.auditRecords().filter((r) => r.event === "login");

/** What came on record of a login, once done() is over: [verdict, reason, subject, action]. */
async function recorded(done) {
  const before = logins().length;
  await done();
  const r = await eventually("a record", () => logins()[before] ?? Promise.reject(new Error("none")));
  return [r.verdict, r.reason, r.subject, r.action];
}

/** Goes from the door to the provider, and logs in there. */
async function atProvider(page, name, button = "in") {
  const link = await page.waitForSelector("main.door a.elsewhere:not([hidden])");
  assert.match(await link.evaluate((e) => e.textContent), /people/);
  await link.click();
  await page.waitForSelector('input[name="name"]');
  assert.ok(page.url().startsWith(provider.issuer));
  await page.type('input[name="name"]', name);
  await page.click(`button[value="${button}"]`);
}

/** The sentence of the page that says why a login failed. */
const refusal = (page) => eventually("a sentence", async () => (page.url().startsWith(server.origin) ? textOf(page, "main.door p") : Promise.reject(new Error(page.url()))));

describe("while the provider is down", () => {
  test("a sentence says so, it is on record, and accounts of this server work", async () => {
    const browser = await launch("chromium", { authorities: [server.ca, ca] });
    try {
      const page = await visit(server, browser, "/");
      const link = await page.waitForSelector("main.door a.elsewhere:not([hidden])");
      assert.deepEqual(await recorded(() => link.click()), ["refused", "unavailable", "", "oidc"]);
      assert.match(await refusal(page), /cannot check.*at the moment/);
      const other = await visit(server, browser, "/");
      await logIn(other, "local");
      await other.waitForSelector("main.wall");
    } finally {
      await browser.close();
    }
  });
});

for (const engine of engines) {
  describe(`logging in elsewhere, ${engine}`, () => {
    let browser;
    before(async () => {
      if (engine === engines[0]) await provider.start();
      browser = await launch(engine, { authorities: [server.ca, ca] });
      // The server asks a provider that was away again after five seconds.
      await eventually("the provider is known", async () => {
        await setTimeout(1_000); // more would be a flood, which is folded on the record
        return (await server.request("GET", "/oidc/login")).status === 303;
      }, 15_000);
    });
    after(() => browser?.close());

    test("somebody with a role sees the streams of that role, and no others; logging out ends it", async () => {
      const page = await visit(server, browser, "/");
      const record = await recorded(async () => {
        await atProvider(page, "ann");
        await page.waitForSelector("main.wall");
      });
      assert.deepEqual(record, ["granted", "", "people:ann", "oidc"]);
      assert.equal(page.url(), `${server.origin}/`, "no code stays in the address");
      const ask = (path) => page.evaluate(async (path) => (await fetch(path)).json(), path);
      assert.deepEqual((await ask("/api/v1/streams")).streams.map((s) => s.id), ["site/door"]);
      assert.equal((await ask("/api/v1/session")).subject, "people:ann");
      assert.equal((await ask("/api/v1/admin/streams")).error.code, "not-allowed");
      await page.click(".person");
      await eventually("the menu says who is logged in", async () => /people:ann/.test(await textOf(page, ".menu .who")));
      await press(page, ".menu", "Log out");
      await page.waitForSelector("main.door");
      assert.equal((await ask("/api/v1/session")).error.code, "missing");
    });

    test("an administrator by role administers", async () => {
      const page = await visit(server, browser, "/");
      await atProvider(page, "bob");
      await page.waitForSelector("main.wall");
      await page.goto(`${server.origin}/admin`);
      await eventually("the streams", async () => (await texts(page, ".board td")).some((t) => t.includes("vault")));
    });

    for (const [what, { name = "ann", button, wrong = {} }, reason, sentence] of [
      ["somebody without a role", { name: "eve" }, "not-allowed", /not allowed/],
      ["who cancels", { button: "cancel" }, "bad-login", /wrong|may not/],
      ["a token of another login (nonce)", { wrong: { nonce: "of-somebody-else" } }, "used", /unknown or was used/],
      ["an answer to another login (state)", { wrong: { state: "of-somebody-else" } }, "used", /unknown or was used/],
      ["a provider that fails in the midst of it", { wrong: { token: 503 } }, "unavailable", /at the moment/],
    ]) {
      test(`${what} is refused, with a sentence and a record`, async () => {
        provider.wrong = wrong;
        try {
          const page = await visit(server, browser, "/");
          const record = await recorded(() => atProvider(page, name, button));
          assert.deepEqual(record, ["refused", reason, "", "oidc"]);
          assert.match(await refusal(page), sentence);
          assert.equal(await page.evaluate(async () => (await fetch("/api/v1/session")).status), 401, "there is no session");
        } finally {
          provider.wrong = {};
        }
      });
    }

    test("a callback that another browser began is refused", async () => {
      const page = await visit(server, browser, "/");
      const record = await recorded(() => page.goto(`${server.origin}/oidc/callback?code=x&state=y`));
      assert.deepEqual(record, ["refused", "missing", "", "oidc"]);
    });
  });
}

test("the client's secret is in no log and no record", () => {
  assert.ok(!server.running.output.includes("canary-of-the-client"));
  assert.ok(!server.auditText().includes("canary-of-the-client"));
});
