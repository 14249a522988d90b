// Who gets in, who does not, what they are told, and what is on record about it.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch } from "./lib/browser.mjs";
import { Player } from "./lib/page.mjs";
import { Server } from "./lib/server.mjs";
import { Refused, Socket, Viewer } from "./lib/socket.mjs";
import { eventually } from "./lib/wait.mjs";

const login = (server, code) => server.request("POST", "/api/v1/login", { headers: { "Content-Type": "application/json", Origin: server.origin, "X-Sightline": "1" }, body: { code } });
const refused = (status, pattern) => (cause) => cause instanceof Refused && cause.status === status && pattern.test(cause.body);

describe("in the browser", () => {
  let server, browser, page;
  const door = () => eventually("the page of those who are not logged in", () => page.$("main.door"));
  const problem = () => page.$eval("main.door [role=alert]", (e) => e.textContent);
  const noPicture = async () => assert.deepEqual(await page.$$("sightline-player"), [], "a player is on the page");

  before(async () => {
    server = await Server.start();
    browser = await launch("chromium", { authorities: [server.ca] });
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });
  // Each in a browser without cookies.
  const visit = async (path) => {
    const context = await browser.browser.createBrowserContext();
    page = await context.newPage();
    await page.goto(new URL(path, server.origin).href);
  };

  test("without a code: the door, and no picture", async () => {
    await visit("/");
    await door();
    await noPicture();
    assert.match(await page.$eval("main.door h1", (e) => e.textContent), /not logged in/);
  });

  test("without a code, on a camera's page: the door, and no picture", async () => {
    await visit("/watch/test");
    await door();
    await noPicture();
    assert.match(await problem(), /not logged in/i);
  });

  test("a wrong code: the door, with the reason", async () => {
    await visit("/#AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    await door();
    await noPicture();
    assert.match(await problem(), /used|expired|unknown/i);
    assert.equal(page.url(), `${server.origin}/`, "the code left the address bar");
  });

  test("the code works once, and the second time is told so", async () => {
    await visit(server.link);
    await new Player(page, "test").state("live");
    assert.deepEqual((await page.cookies()).map((c) => [c.name, c.httpOnly, c.secure, c.sameSite]), [["__Host-sightline", true, true, "Strict"]]);
    const joined = server.running.lines.filter((l) => l.includes("viewer joined")).length;
    await visit(server.link);
    await door();
    await noPicture();
    assert.match(await problem(), /used/i);
    assert.equal(server.running.lines.filter((l) => l.includes("viewer joined")).length, joined, "nobody more watches");
  });
});

describe("at the doors", () => {
  let server, token, cookie;
  before(async () => {
    server = await Server.start();
    token = await server.token({ stream: "test", subject: "alice" });
  });
  after(() => server?.stop());

  /** The records since the last call, as "event verdict reason stream". */
  let seen = 0;
  const records = (count) => eventually(`${count} more records`, () => {
    const fresh = server.auditRecords().slice(seen);
    if (fresh.length < count) return undefined;
    seen += fresh.length;
    return fresh.map((r) => [r.event, r.verdict, r.reason, r.stream].filter((v) => v !== "").join(" "));
  });

  test("login: once, and by its code only", async () => {
    const wrong = await login(server, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert.equal(wrong.status, 401);
    const right = await login(server, server.code);
    assert.equal(right.status, 204);
    cookie = right.headers["set-cookie"][0].split(";")[0];
    const again = await login(server, server.code);
    assert.equal(again.status, 401);
    assert.match(JSON.parse(again.body).error.message, /used/);
    assert.deepEqual(await records(3), ["login refused used", "login granted", "login refused used"]);
  });

  test("the API tells nothing without a credential", async () => {
    const { status, body } = await server.request("GET", "/api/v1/streams");
    assert.equal(status, 401);
    assert.doesNotMatch(body, /street/);
    assert.deepEqual(await records(1), ["api refused missing"]);
  });

  test("no WebSocket without a cookie, with a foreign page's origin, or with a token in the address", async () => {
    await assert.rejects(Socket.open(server, "/ws/watch/test", { origin: server.origin }), refused(401, /./));
    await assert.rejects(Socket.open(server, "/ws/watch/test", { origin: "https://evil.example", cookie }), refused(403, /origin/));
    await assert.rejects(Socket.open(server, "/ws/watch/test", { cookie }), refused(403, /origin/));
    await assert.rejects(Socket.open(server, `/ws/watch/test?token=${token}`, {}), refused(400, /address/));
    await assert.rejects(Socket.open(server, "/ws/watch/test", { token: `${token.slice(0, -4)}AAAA` }), refused(401, /./));
    await assert.rejects(Socket.open(server, "/ws/watch/street", { token }), refused(403, /not allowed/));
    await assert.rejects(Socket.open(server, "/ws/publish/test", { token }), refused(401, /./));
    assert.deepEqual(await records(7), [
      "watch refused missing test",
      "watch refused wrong-origin test",
      "watch refused wrong-origin test",
      "watch refused credential-in-url test",
      "watch refused bad-signature test",
      "watch refused not-allowed street",
      "publish refused wrong-kind test",
    ]);
  });

  test("a cookie from the own page opens, and its end is on record", async () => {
    const viewer = await Viewer.join(server, "test", { origin: server.origin, cookie });
    await viewer.nextKey();
    assert.deepEqual(await records(1), ["watch granted test"]);
    await viewer.leave();
    assert.deepEqual(await records(1), ["watch-end ended left test"]);
  });

  test("a ticket opens its stream once", async () => {
    const ask = async (stream, action = "view") => {
      const { status, body } = await server.request("POST", "/api/v1/tickets", {
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" }, body: { stream, action },
      });
      return { status, ...JSON.parse(body) };
    };
    const first = await ask("test");
    assert.equal(first.status, 200);
    const viewer = await Viewer.join(server, "test", { ticket: first.ticket });
    assert.equal(viewer.socket.subprotocol, "sightline.v1", "the ticket is not echoed");
    await viewer.nextKey();
    await viewer.leave();
    await assert.rejects(Socket.open(server, "/ws/watch/test", { ticket: first.ticket }), refused(401, /used/));
    const other = await ask("test");
    await assert.rejects(Socket.open(server, "/ws/watch/street", { ticket: other.ticket }), refused(403, /./));
    assert.equal((await ask("street")).status, 403);
    assert.equal((await ask("test", "publish")).status, 403);
    assert.deepEqual(await records(8), [
      "ticket granted test", "watch granted test", "watch-end ended left test", "watch refused used test",
      "ticket granted test", "watch refused not-allowed street", "ticket refused not-allowed street", "ticket refused not-allowed test",
    ]);
  });

  test("no secret is on record or in the log", async () => {
    const secrets = [server.code, token, token.split(".")[2], cookie.split("=")[1]];
    for (const text of [server.auditText(), server.running.lines.filter((l) => l !== server.link).join("\n")]) {
      assert.ok(text.length > 500);
      for (const secret of secrets) assert.ok(!text.includes(secret), `found ${secret.slice(0, 6)}…`);
    }
    assert.ok(server.auditRecords().every((r, i) => r.seq === i + 1), "the records are numbered without a gap");
  });

  test("there is no door without TLS", async () => {
    const answer = await fetch(`http://${server.host}/`, { redirect: "manual" });
    assert.equal(answer.status, 400);
    assert.match(await answer.text(), /HTTPS/);
  });
});
