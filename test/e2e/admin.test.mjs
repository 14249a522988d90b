// The administrator's page: what is seen of what runs, and what is done about it.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import jsQR from "jsqr";
import { engines, launch } from "./lib/browser.mjs";
import { Camera, OnvifDevice, ownAddress, password, user } from "./lib/camera.mjs";
import { Player } from "./lib/page.mjs";
import { addUser, logIn, press, problem, textOf, texts, visit } from "./lib/people.mjs";
import { Server } from "./lib/server.mjs";
import { Socket, Viewer } from "./lib/socket.mjs";
import { eventually } from "./lib/wait.mjs";

/** Reads the QR code that an image shows. */
async function decode(page, selector) {
  await page.waitForSelector(selector);
  const pixels = await page.$eval(selector, async (img) => {
    await img.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: 400, height: 400 });
    const context = canvas.getContext("2d");
    context.drawImage(img, 0, 0, 400, 400);
    return [...context.getImageData(0, 0, 400, 400).data];
  });
  return jsQR(new Uint8ClampedArray(pixels), 400, 400)?.data;
}

for (const engine of engines) {
  describe(`the administrator's page, ${engine}`, () => {
    let server, browser, theirs, admin, viewer;
    before(async () => {
      server = await Server.start();
      addUser(server, "root", "admin");
      addUser(server, "victor", "viewer");
      browser = await launch(engine, { authorities: [server.ca], height: 800 });
      theirs = await launch(engine, { authorities: [server.ca] }); // of whoever watches: a page that is not in front paints nothing
      viewer = await visit(server, theirs, "/watch/test");
      await logIn(viewer, "victor");
      await new Player(viewer).state("live");
      admin = await visit(server, browser, "/admin");
      await logIn(admin, "root");
      await admin.waitForSelector(".board:not([hidden])");
    });
    after(async () => {
      await browser?.close();
      await theirs?.close();
      await server?.stop();
    });
    /** Shows another part of the page, by its tab. */
    const go = async (path) => {
      await admin.bringToFront();
      await admin.click(`.tabs a[href="${path}"]`);
      await admin.waitForSelector(`.tabs a[href="${path}"][aria-current]`);
      await admin.waitForSelector(".board:not([hidden])");
    };
    /** The rows of a table: what stands under each column's name. */
    const rows = (label, page = admin) => page.$$eval(`table[aria-label="${label}"] tbody tr`, (list) => list.map((r) => Object.fromEntries([...r.cells].map((c) => [c.dataset.name ?? "", c.textContent]))));
    const trail = async () => (await rows("Audit trail")).map((r) => [r.Event, r.Verdict, r.Reason, r.Who, r.Stream]);
    /** Unfolds what has these words. */
    const open = async (words) => {
      for (const s of await admin.$$(".board summary")) if ((await s.evaluate((e) => e.textContent)) === words && !(await s.evaluate((e) => e.parentElement.open))) await s.click();
    };
    const fill = async (selector, text) => {
      await admin.waitForSelector(selector);
      await admin.$eval(selector, (e) => (e.value = ""));
      await admin.type(selector, text);
    };
    /** What a dialog shows once, to be copied. */
    const shown = async (name) => {
      const input = await admin.waitForSelector(`dialog input[aria-label="${name}"]`);
      return input.evaluate((e) => e.value);
    };
    const said = () => textOf(admin, ".admin .bar [role=status]");

    test("a viewer gets a sentence and no data, whichever part is asked for", async () => {
      for (const path of ["/admin", "/admin/cameras", "/admin/people", "/admin/keys", "/admin/configuration", "/admin/record"]) {
        const page = await viewer.browserContext().newPage();
        await page.goto(`${server.origin}${path}`);
        await problem(page, /administrators/);
        assert.deepEqual(await page.$$(".board"), []);
        await page.close();
      }
      assert.ok(server.auditRecords().some((r) => r.verdict === "refused" && r.reason === "not-allowed" && r.subject === "victor"));
    });

    test("streams, what is encoded of them, and how their viewers fare", async () => {
      await viewer.bringToFront();
      await new Player(viewer).state("live");
      await admin.bringToFront();
      await eventually("a viewer's figures", async () => {
        const [row] = (await rows("Running now")).filter((r) => r.Who === "victor");
        if (!/^\d/.test(row?.Latency ?? "")) throw new Error(JSON.stringify(row));
        assert.deepEqual([row.Stream, row.Does, row.From], ["test", "watching", "127.0.0.1"]);
        assert.match(row.Latency, /^[\d.]+ \/ [\d.]+ ms$/);
        assert.match(row.Gets, /\d+p/);
        return true;
      }, 20_000);
      await eventually("the stream", async () => {
        const row = (await rows("Streams")).find((r) => r.Stream === "test");
        assert.deepEqual([row.State, row.Source, row.Watching], ["live", "test", "1"]);
        assert.match(row.Bitrate, /bit\/s$/);
        assert.match(row.Latency, / ms$/);
        return true;
      });
      await eventually("what is encoded", async () => {
        const [row] = (await rows("Being encoded")).filter((r) => r.Stream === "test");
        assert.match(row?.Encoder ?? "", /264/);
        assert.match(row.Size, /^\d+×\d+, [\d.]+ fps$/);
        assert.match(row.Encoding, / ms$/);
        assert.ok(Number.parseFloat(row.PSNR) > 20, `PSNR ${row.PSNR}`);
        assert.ok(Number(row.SSIM) > 0.5 && Number(row.SSIM) <= 1, `SSIM ${row.SSIM}`);
        return true;
      }, 20_000);
    });

    test("a capture process that was killed is told, with the reason", async () => {
      process.kill(server.capturePid("test"), "SIGKILL");
      await eventually("the restart", async () => /^1 · .*killed/.test((await rows("Streams")).find((r) => r.Stream === "test").Restarts), 20_000);
      await viewer.bringToFront();
      await new Player(viewer).state("live", 20_000);
    });

    test("an alert appears, is muted, and says so after a reload", async () => {
      await admin.bringToFront();
      const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
      const forged = `${part({ alg: "none", typ: "JWT" })}.${part({})}.`;
      assert.equal((await server.request("GET", "/api/v1/streams", { headers: { Authorization: `Bearer ${forged}` } })).status, 401);
      await eventually("the alert", async () => (await texts(admin, ".alerts h3")).some((t) => /Impossible token/.test(t)), 15_000);
      await press(admin, ".alerts", "Mute 24 h");
      const mute = async () => (await texts(admin, ".board section .hint:not([hidden])")).some((t) => /^D01 is mute until /.test(t));
      await eventually("it is mute", mute);
      await admin.reload();
      await eventually("it is still mute", mute);
      await press(admin, ".board", "Unmute");
      await eventually("it is mute no longer", async () => !(await mute()));
      assert.deepEqual(server.auditRecords().filter((r) => /mute$/.test(r.event)).map((r) => [r.event, r.action, r.verdict]), [["mute", "D01", "granted"], ["unmute", "D01", "granted"]]);
    });

    test("an alert's answer is one click", async () => {
      const token = await server.token({ stream: "test", subject: "eve" });
      const ask = (stream) => server.request("GET", `/api/v1/streams/${stream}/snapshot.jpg`, { headers: { Authorization: `Bearer ${token}` } });
      for (const n of [1, 2, 3, 4, 5, 6, 7, 8]) assert.equal((await ask(`cellar-${n}`)).status, 403);
      const watching = await Socket.open(server, "/ws/watch/test", { token });
      await press(admin, ".alerts", "End sessions");
      assert.equal((await watching.closed()).code, 4403);
      await eventually("that is said", async () => /1 session is ended/.test(await said()));
      assert.notEqual((await ask("test")).status, 401, "its leave is as it was");
      await press(admin, ".alerts", "Revoke token");
      await eventually("it is revoked", async () => (await ask("test")).status === 401);
      await eventually("that is said", async () => /token of eve is revoked/.test(await said()));
      assert.equal(await admin.$eval(".alerts button[disabled]", (e) => e.textContent), "Revoked");
    });

    test("a viewer's session is ended, and the viewer's page says so", async () => {
      const mine = async () => (await rows("Running now")).filter((r) => r.Who === "victor");
      await eventually("the viewer is listed", async () => (await mine()).length === 1);
      await admin.click('button[aria-label="End: victor, watching test"]');
      await eventually("it is listed no more", async () => (await mine()).length === 0);
      await viewer.bringToFront();
      const { reason } = await new Player(viewer).state("denied");
      assert.match(reason, /ended/);
    });

    test("records appear by themselves, are filtered, and focus stays", async () => {
      await go("/admin/record");
      await eventually("the forged token is on record", async () => (await trail()).some((r) => r[2] === "forged"));
      const subject = "<b>nobody</b>";
      await admin.type("[name=subject]", subject);
      await eventually("there are none of that subject", async () => (await trail()).length === 0);
      const token = await server.token({ stream: "test", subject });
      await server.request("GET", "/api/v1/streams/street/snapshot.jpg", { headers: { Authorization: `Bearer ${token}` } });
      await eventually("one came", async () => (await trail()).length === 1, 15_000);
      assert.deepEqual(await trail(), [["snapshot", "refused", "not-allowed", subject, "street"]]);
      assert.deepEqual(await admin.$$(".board b"), [], "what others wrote is text");
      assert.equal(await admin.evaluate(() => document.activeElement.name), "subject");
      await admin.$eval("[name=subject]", (e) => (e.value = ""));
      await admin.select("[name=verdict]", "granted");
      await eventually("only what was granted", async () => {
        const all = await trail();
        return all.length > 0 && all.every((r) => r[1] === "granted");
      });
    });

    test("what is being read stays where it is when records come", async () => {
      await admin.select("[name=verdict]", "");
      const token = await server.token({ stream: "test", subject: "reader" });
      const ask = () => server.request("GET", "/api/v1/streams/test/snapshot.jpg", { headers: { Authorization: `Bearer ${token}` } });
      const came = async (n) => eventually(`${n} of the reader's records`, async () => (await trail()).filter((r) => r[3] === "reader").length >= n, 15_000);
      for (let i = 0; i < 40; i++) await ask();
      await came(40);
      const row = await admin.$('table[aria-label="Audit trail"] tbody tr:nth-child(30)');
      await row.evaluate((e) => e.scrollIntoView({ block: "center" }));
      const top = () => row.evaluate((e) => e.getBoundingClientRect().top);
      const before = await top();
      for (let i = 0; i < 5; i++) await ask();
      await came(45);
      assert.ok(Math.abs((await top()) - before) <= 1, `it moved from ${before} to ${await top()}`);
    });

    test("an account is made, its link chooses a password, and it is changed, disabled and removed", async () => {
      await go("/admin/people");
      await open("Add an account");
      await admin.type("[name=account]", "Nobody Special");
      await press(admin, ".board", "Add an account");
      await problem(admin, /lower-case letters/);
      await fill("[name=account]", "carol");
      await fill("[name=account-streams]", "test");
      await press(admin, ".board", "Add an account");
      const link = await shown("Link");
      assert.equal(await decode(admin, "dialog .qr"), link, "the QR code says what the link says");
      await press(admin, "dialog[open]", "Done");
      const mine = async () => (await rows("Accounts")).find((r) => r.Account === "carol");
      await eventually("the account", async () => /^has a link until /.test((await mine())?.State ?? ""));

      const carol = await visit(server, browser, link);
      await carol.waitForSelector("main.door #password");
      await carol.type("#password", "correct horse battery");
      await carol.keyboard.press("Enter");
      await carol.waitForSelector('a.tile[href="/watch/test"]');
      assert.equal(await carol.$('a.tile[href="/watch/street"]'), null);
      await admin.bringToFront();
      await eventually("the account is in use", async () => (await mine()).State === "active");

      await admin.click('button[aria-label="Change carol"]');
      await admin.waitForSelector("dialog select");
      await admin.select("dialog select", "operator");
      await fill("dialog input", "test street");
      await press(admin, "dialog[open]", "Change");
      await eventually("it is changed", async () => (await mine()).Role === "operator" && (await mine()).Streams === "test street");
      await carol.bringToFront();
      await carol.reload();
      await carol.waitForSelector("main.door");
      await logIn(carol, "carol");
      await carol.waitForSelector('a.tile[href="/watch/street"]');

      await admin.bringToFront();
      await admin.click('button[aria-label="Disable carol"]');
      await eventually("it is disabled", async () => (await mine()).State === "disabled");
      await eventually("that is said", async () => /carol is disabled/.test(await said()));
      await admin.click('button[aria-label="Remove carol"]');
      await press(admin, "dialog[open]", "Cancel");
      assert.ok(await mine());
      await admin.click('button[aria-label="Remove carol"]');
      await press(admin, "dialog[open]", "Remove");
      await eventually("it is gone", async () => (await mine()) === undefined);
      const done = server.auditRecords().filter((r) => r.event === "user" && r.verdict === "granted").map((r) => r.action);
      assert.deepEqual(done, ["add", "change", "disable", "remove"]);
      await carol.close();
    });

    test("an invitation lets so many in, and is taken back", async () => {
      await go("/admin/people");
      await open("Invite");
      await fill("[name=invitation]", "visitors");
      await fill("[name=invitation-streams]", "test");
      await press(admin, ".board", "Invite");
      const link = await shown("Link");
      await press(admin, "dialog[open]", "Done");
      const guest = await visit(server, browser, link);
      await guest.waitForSelector('a.tile[href="/watch/test"]');
      assert.equal(new URL(guest.url()).hash, "", "the code left the address bar");
      const second = await visit(server, browser, link);
      await problem(second, /used/);
      await second.close();
      await guest.goto(`${server.origin}/watch/test`);
      await new Player(guest).state("live");
      await admin.bringToFront();
      await eventually("it is used", async () => (await rows("Invitations")).some((r) => r.Name === "visitors" && r.Used === "1 of 1"));
      await admin.click('button[aria-label="Take back visitors"]');
      await eventually("it is gone", async () => (await rows("Invitations")).length === 0);
      await guest.bringToFront();
      await guest.waitForFunction(() => document.querySelector("main.door") !== null || document.querySelector("sightline-player")?.stats?.().state === "denied");
      await guest.close();
    });

    test("a token is made and shown once, works, and is revoked", async () => {
      await go("/admin/keys");
      await fill("[name=token-subject]", "recorder");
      await fill("[name=token-streams]", "test");
      await press(admin, ".board", "Make a token");
      const token = await shown("Token");
      const id = /revoke (\S+)\./.exec(await textOf(admin, "dialog[open]"))[1];
      await press(admin, "dialog[open]", "Done");
      assert.ok(!(await admin.content()).includes(token));
      const ask = async () => (await server.request("GET", "/api/v1/streams", { headers: { Authorization: `Bearer ${token}` } })).status;
      assert.equal(await ask(), 200);
      await open("Revoke a token or all of a person");
      await fill("[name=revoke-value]", id);
      await press(admin, ".board", "Revoke");
      await eventually("it is revoked", async () => (await ask()) === 401);
    });

    test("the signing key is rotated, and the old one removed", async () => {
      await go("/admin/keys");
      const token = await server.token();
      const ask = async () => (await server.request("GET", "/api/v1/streams", { headers: { Authorization: `Bearer ${token}` } })).status;
      await eventually("one key", async () => (await rows("Signing keys")).length === 1);
      const [{ Key: old }] = await rows("Signing keys");
      await press(admin, ".board", "Make a new key");
      await eventually("two keys", async () => (await rows("Signing keys")).map((r) => r.State).join() === "signs,retired");
      assert.equal(await ask(), 200, "a token of the old key is good");
      await admin.click(`button[aria-label="Remove key ${old}"]`);
      await press(admin, "dialog[open]", "Remove");
      await admin.waitForSelector("main.door"); // it had signed this session too
      assert.equal(await ask(), 401);
      await logIn(admin, "root");
      await eventually("one key", async () => (await rows("Signing keys")).length === 1);
    });

    test("a camera is tried, which says what is wrong with it, and is added and removed", async (t) => {
      await go("/admin/cameras");
      const jpeg = Buffer.from(await admin.evaluate(() => {
        const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 176 });
        const context = canvas.getContext("2d");
        for (let x = 0; x < 320; x += 16) {
          context.fillStyle = `hsl(${x} 80% 50%)`;
          context.fillRect(x, 0, 16, 176);
        }
        return canvas.toDataURL("image/jpeg").split(",")[1];
      }), "base64");
      const address = ownAddress();
      if (address === undefined) return t.skip("this machine has no address but its own loopback's");
      const camera = createServer((request, response) => {
        const known = request.headers.authorization === `Basic ${Buffer.from("operator:p@ss/word").toString("base64")}`;
        if (known) response.writeHead(200, { "Content-Type": "image/jpeg" }).end(jpeg);
        else response.writeHead(401, { "WWW-Authenticate": 'Basic realm="camera"' }).end();
      });
      await new Promise((ready) => camera.listen(0, "0.0.0.0", ready));
      t.after(() => camera.close());
      const { port } = camera.address();
      const verdict = () => textOf(admin, ".trial [role=status]");
      const tryIt = async (at, login = "", secret = "") => {
        await fill("[name=camera-address]", at);
        await fill("[name=camera-login]", login);
        await fill("[name=camera-password]", secret);
        await press(admin, ".board", "Try it");
      };
      for (const [at, login, secret, want] of [
        [`http://127.0.0.1:${port}/snap.jpg`, "operator", "p@ss/word", /leads to this machine/],
        [`http://${address}:1/snap.jpg`, "", "", /does not accept connections/],
        [`http://${address}:${port}/snap.jpg`, "operator", "wrong", /refuse|credentials/],
        ["http://nobody.invalid/snap.jpg", "", "", /name that is not known|does not answer/],
      ]) {
        await tryIt(at, login, secret);
        await eventually(`${at}: ${want}`, async () => {
          const said = await verdict();
          assert.match(said, want);
          assert.ok(!said.includes("p@ss") && !said.includes("p%40ss"));
          return true;
        }, 20_000);
      }
      await tryIt("file:/etc/passwd");
      await problem(admin, /configuration file/);
      await tryIt("192.0.2.5");
      await problem(admin, /write rtsp:\/\/192\.0\.2\.5\/ and the path from its manual/);
      await fill("[name=camera-name]", "OP 1");
      await admin.evaluate(() => scrollTo(0, document.body.scrollHeight));
      await press(admin, ".board", "Add it");
      await problem(admin, /small letters/);
      await eventually("it to be seen, below the bar", () => admin.evaluate(() => document.querySelector(".admin > .problem").getBoundingClientRect().top >= document.querySelector(".admin .bar").getBoundingClientRect().bottom));
      await tryIt(`http://${address}:${port}/snap.jpg`, "operator", "p@ss/word");
      await eventually("it works", async () => /^It works/.test(await verdict()), 20_000);
      const token = await server.token();
      const listed = async () => JSON.parse((await server.request("GET", "/api/v1/streams", { headers: { Authorization: `Bearer ${token}` } })).body).streams.map((s) => s.id);
      assert.deepEqual(await listed(), ["street", "test"], "what is tried is on nobody's list");
      await fill("[name=camera-name]", "site/gate");
      await press(admin, ".board", "Add it");
      const row = async () => (await rows("Configured cameras")).find((r) => r.Stream === "site/gate");
      await eventually("it is configured", async () => (await row())?.From === "added here");
      assert.equal((await row()).Source, `http://***@${address}:${port}/snap.jpg`);
      assert.deepEqual(await listed(), ["site/gate", "street", "test"]);
      assert.equal((await rows("Configured cameras")).find((r) => r.Stream === "street").From, "demonstration");
      assert.ok(!server.auditText().includes("p%40ss"));
      await admin.click('button[aria-label="Remove site/gate"]');
      await press(admin, "dialog[open]", "Remove");
      await eventually("it is gone", async () => (await row()) === undefined);
      assert.deepEqual(await listed(), ["street", "test"]);
    });

    test("a camera is found on the network, asked for its video, tried and added", async (t) => {
      const host = ownAddress();
      if (host === undefined) return t.skip("this machine has no address but its own loopback's");
      const camera = await Camera.start({ host });
      t.after(() => camera.stop());
      const name = `Yard Cam ${camera.port}`;
      const device = await OnvifDevice.start(name, camera);
      t.after(() => device.stop());
      await go("/admin/cameras");
      await press(admin, ".board", "Find cameras");
      const found = async () => (await rows("Cameras that were found")).map((r) => r.Name);
      await eventually("the camera", async () => (await found()).includes(name), 20_000);
      assert.deepEqual((await found()).filter((n) => /Liar|without/.test(n)), [], "who lies is not listed");
      await admin.click(`button[aria-label="Choose ${name} at ${host}"]`);
      await fill("[name=found-login]", user);
      await fill("[name=found-password]", "not-it");
      await press(admin, ".asking", "Show its video");
      await problem(admin, /refuses this user name and password/);
      await fill("[name=found-password]", password);
      await press(admin, ".asking", "Show its video");
      await eventually("its video", async () => {
        const list = (await rows("Its video")).map((r) => [r.Name, r.Size, r.Coding, r.Address]);
        assert.deepEqual(list, [["Main stream", "1280×720, 30 fps", "H264", `rtsp://${host}:${camera.port}/street`], ["Sub stream", "640×360, 30 fps", "H264", `rtsp://${host}:${camera.port}/datagrams`]]);
        return true;
      }, 20_000);
      await admin.click('button[aria-label="Try Main stream"]');
      await eventually("it works", async () => /^It works/.test(await textOf(admin, ".trial [role=status]")), 30_000);
      assert.equal(await admin.$eval("[name=camera-name]", (e) => e.value), `yard-cam-${camera.port}`);
      await press(admin, ".board", "Add it");
      const row = async () => (await rows("Configured cameras")).find((r) => r.Stream === `yard-cam-${camera.port}`);
      await eventually("it is configured", async () => (await row())?.From === "added here");
      const page = await admin.browserContext().newPage();
      await page.goto(`${server.origin}/watch/yard-cam-${camera.port}`);
      await new Player(page).state("live", 30_000);
      await page.close();
      await admin.bringToFront();
      await admin.click(`button[aria-label="Remove yard-cam-${camera.port}"]`);
      await press(admin, "dialog[open]", "Remove");
      await eventually("it is gone", async () => (await row()) === undefined);
      const records = server.auditRecords().filter((r) => r.event === "camera").map((r) => [r.action, r.subject]);
      for (const action of ["find", "ask", "try", "add"]) assert.ok(records.some((r) => r[0] === action && r[1] === "root"), `${action} is on record`);
      for (const [where, text] of [["record", server.auditText()], ["log", server.running.output], ["question", device.asked.join()]]) assert.ok(!text.includes(password), `the password is in the ${where}`);
    });

    test("the configuration is shown with where it was said, checked and taken up, and a camera that was added outlives a restart", async (t) => {
      const own = await Server.start({ config: 'limits:\n  viewers: 17\nstreams:\n  hall: {source: "rtsp://boss:canary-Secret-0815@192.0.2.99/x"}\n' });
      t.after(() => own.stop());
      addUser(own, "root", "admin");
      const other = await launch(engine, { authorities: [own.ca] });
      t.after(() => other.close());
      const page = await visit(own, other, "/admin/configuration");
      await logIn(page, "root");
      await page.waitForSelector(".board:not([hidden])");
      const said = async (name) => (await rows("What is configured", page)).find((r) => r.Setting === name);
      assert.deepEqual(await said("limits.viewers"), { Setting: "limits.viewers", Value: "17", From: "configuration file · sightline.yaml:2" });
      assert.deepEqual(await said("streams.hall"), { Setting: "streams.hall", Value: "rtsp://***@192.0.2.99/x", From: "configuration file · sightline.yaml:4" });
      assert.equal((await said("data-dir")).From, "command line · --data-dir");
      assert.equal((await rows("All else, by default", page)).find((r) => r.Setting === "auth.session-ttl").Value, "12h");
      const verdict = (pattern) => eventually(`a verdict like ${pattern}`, async () => pattern.test(await textOf(page, ".verdict")));
      const write = (text) => writeFileSync(join(own.dataDir, "sightline.yaml"), text);
      await press(page, ".board", "Check");
      await verdict(/nothing would change/);
      write("limits:\n  viewrs: 18\n");
      await press(page, ".board", "Check");
      await verdict(/cannot be taken up/);
      assert.match((await texts(page, ".findings li")).join(), /sightline\.yaml:2:3: .*viewers/);
      write("limits:\n  viewers: 18\naudit: {keep: 3}\n");
      await press(page, ".board", "Reload");
      await eventually("what needs a new start", async () => /audit changed, which only a new start takes up/.test((await texts(page, ".findings li")).join()));
      assert.deepEqual(await rows("Changes", page), [
        { Setting: "limits.viewers", Is: "17", Becomes: "18" },
        { Setting: "audit.keep", Is: "32", Becomes: "3" },
        { Setting: "streams.hall", Is: "rtsp://***@192.0.2.99/x", Becomes: "–" },
      ]);
      write("# moved\nlimits:\n  viewers: 19\n");
      await press(page, ".board", "Reload");
      await verdict(/^Taken up/);
      await eventually("what holds", async () => (await said("limits.viewers")).Value === "19" && (await said("limits.viewers")).From.endsWith(":3") && (await said("streams.hall")) === undefined);
      assert.ok(own.auditRecords().some((r) => r.event === "config" && r.action === "reload" && r.subject === "root"));

      await page.click('.tabs a[href="/admin/cameras"]');
      await page.waitForSelector("[name=camera-address]", { visible: true });
      await page.type("[name=camera-address]", "test:?size=320x180&fps=10");
      await page.type("[name=camera-name]", "site/yard");
      await press(page, ".board", "Add it");
      const added = async () => (await rows("Configured cameras", page)).some((r) => r.Stream === "site/yard" && r.From === "added here");
      await eventually("it is added", added);
      await own.restart();
      await page.goto(`${own.origin}/admin/cameras`);
      await eventually("it is still there", added);
      await page.goto(`${own.origin}/watch/site/yard`);
      await new Player(page).state("live", 30_000);
      assert.ok(!(await page.content()).includes("canary-Secret-0815"));
    });

    test("among many streams and viewers, those who are searched for are found", async (t) => {
      const names = Array.from({ length: 20 }, (_, i) => `plant-${i % 4}/camera-${String(i).padStart(2, "0")}`);
      const own = await Server.start({ config: `streams:\n${names.map((n) => `  ${n}: {publish: true}\n`).join("")}  hall: {source: "test:?size=320x180&fps=5"}\n` });
      t.after(() => own.stop());
      addUser(own, "root", "admin");
      const tokens = await Promise.all(["ann", "bob"].map((subject) => own.token({ subject })));
      const viewers = await Promise.all(Array.from({ length: 60 }, (_, i) => Viewer.join(own, names[i % 20], { token: tokens[i % 2] })));
      t.after(() => Promise.all(viewers.map((v) => v.leave())));
      const other = await launch(engine, { authorities: [own.ca] });
      t.after(() => other.close());
      const page = await visit(own, other, "/admin");
      await logIn(page, "root");
      await page.waitForSelector("[name=search]", { visible: true });
      const ids = async (label) => (await rows(label, page)).map((r) => r.Stream);
      assert.match(await textOf(page, ".tools .hint"), /^21 streams, 20 without pictures\. 60 sessions\.$/);
      assert.equal((await ids("Streams")).at(-1), "hall", "what needs somebody stands first");
      assert.equal((await ids("Running now")).length, 50);
      await press(page, ".board", "Show all 60");
      assert.equal((await ids("Running now")).length, 60);
      await page.type("[name=search]", "plant-3 ann");
      assert.deepEqual(await ids("Running now"), []); // odd cameras are bob's
      await page.$eval("[name=search]", (e) => (e.value = ""));
      await page.type("[name=search]", "plant-3 bob");
      assert.equal((await ids("Running now")).length, 15);
      await page.$eval("[name=search]", (e) => (e.value = ""));
      await page.type("[name=search]", "camera-07");
      assert.deepEqual(await ids("Streams"), ["plant-3/camera-07"]);
      assert.deepEqual([...new Set(await ids("Running now"))], ["plant-3/camera-07"]);
    });

    test("the record is verified", async () => {
      await go("/admin/record");
      await press(admin, ".tools", "Verify");
      await eventually("the verdict", async () => /^Sound: records 1 to \d+/.test(await textOf(admin, '[role="status"].hint')));
    });
  });
}
