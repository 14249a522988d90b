// Bad input: each gets one sentence that says what, where and what to do, and nobody else notices.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { run, scratch, Server } from "./lib/server.mjs";
import { Socket, Viewer } from "./lib/socket.mjs";
import { eventually } from "./lib/wait.mjs";

describe("sightline serve", () => {
  let room, server;
  before(async () => {
    room = scratch();
    server = await Server.start();
  });
  after(async () => {
    await server?.stop();
    room?.close();
  });

  const file = (name, text) => {
    const path = join(room.dir, name);
    writeFileSync(path, text);
    return path;
  };
  const serve = (...args) => run("sightline", ["serve", ...args]);
  const oneSentence = (answer, pattern) => {
    assert.equal(answer.code, 1, answer.stderr);
    assert.match(answer.stderr, pattern);
    assert.equal(answer.stderr.trim().split("\n").length, 1, answer.stderr);
    assert.doesNotMatch(answer.stdout, /https:/);
  };

  test("a port in use", async () => {
    oneSentence(await serve("--listen", server.host, "--data-dir", join(room.dir, "port")), new RegExp(`${server.host}.*in use.*--listen`));
  });

  test("a data directory that cannot be made", async () => {
    const path = join(file("plain", "a file"), "data");
    oneSentence(await serve("--listen", "127.0.0.1:0", "--data-dir", path), /plain\/data/);
  });

  test("a data directory that another server uses", async () => {
    oneSentence(await serve("--listen", "127.0.0.1:0", "--data-dir", server.dataDir), /another|in use|already/);
  });

  test("a configuration file that is not there", async () => {
    oneSentence(await serve("--listen", "127.0.0.1:0", "--config", join(room.dir, "none.yaml"), "--data-dir", join(room.dir, "d")), /none\.yaml/);
  });

  test("a configuration with a wrong key: its line, its column and the nearest right one", async () => {
    const config = file("bad.yaml", 'streams:\n  door:\n    sorce: "test:"\n');
    const answer = await serve("--listen", "127.0.0.1:0", "--config", config, "--data-dir", join(room.dir, "d"));
    assert.equal(answer.code, 1);
    assert.match(answer.stderr, /bad\.yaml:3:5.*sorce.*source/);
    const checked = await run("sightline", ["config", "check", config]);
    assert.equal(checked.code, 1);
    assert.match(checked.stderr + checked.stdout, /bad\.yaml:3:5.*sorce.*source/);
  });

  test("an unknown flag is a mistake of use", async () => {
    assert.equal((await serve("--lisen", ":1")).code, 2);
  });
});

describe("sources", () => {
  let server, room, viewers;
  before(async () => {
    room = scratch();
    writeFileSync(join(room.dir, "notes.txt"), "This is no video.\n".repeat(200));
    mkdirSync(join(room.dir, "folder.mp4"));
    server = await Server.start({
      config: `streams:
  good: {source: "test:"}
  missing: {source: "file:${room.dir}/nothing.mp4"}
  text: {source: "file:${room.dir}/notes.txt"}
  folder: {source: "file:${room.dir}/folder.mp4"}
  closed: {source: "rtsp://127.0.0.1:1/camera"}
  unplugged: {source: "v4l2:/dev/video987"}
  option: {source: "rtsp://boss:canary-Secret-0815@127.0.0.1:1/camera#nonsense=1"}
  size: {source: "v4l2:/dev/video987?size=12345x7"}
  question: {source: "file:${room.dir}/notes.txt?nonsense=1"}
`,
    });
    const token = await server.token();
    viewers = {};
    for (const name of ["good", ...Object.keys(sentences)]) viewers[name] = await Viewer.join(server, name, { token });
  });
  after(async () => {
    for (const v of Object.values(viewers ?? {})) await v.leave();
    await server?.stop();
    room?.close();
  });

  const detail = async (name) => {
    const { body } = await server.request("GET", "/api/v1/streams", { headers: { Authorization: `Bearer ${await server.token()}` } });
    return JSON.parse(body).streams.find((s) => s.id === name);
  };
  const sentences = {
    missing: /nothing\.mp4 .*; check/,
    text: /notes\.txt is not video.*check/,
    folder: /folder\.mp4 is a directory; name a video file/,
    closed: /127\.0\.0\.1:1\/camera does not accept connections; check/,
    unplugged: /\/dev\/video987 is not there; plug/,
    option: /cannot be read: .*unknown option behind #, known are .*transport=udp/,
    size: /cannot be read: .*size "12345x7", want width x height/,
    question: /notes\.txt\?nonsense=1 does not exist; check/,
  };
  for (const [name, pattern] of Object.entries(sentences)) {
    test(`${name}: offline, with one sentence`, async () => {
      await eventually("the state offline", async () => (await detail(name)).state === "offline");
      const found = await detail(name);
      assert.match(found.detail, pattern);
      assert.equal(found.detail.split("\n").length, 1);
      assert.ok(found.detail.length < 300, found.detail);
    });
  }

  test("a program that refuses its source says why where an administrator looks, and not its login", async () => {
    const headers = { Authorization: `Bearer ${await server.token({ action: "admin" })}` };
    await eventually("another try", async () => {
      const { body } = await server.request("GET", "/api/v1/admin/streams", { headers });
      const { restarts, state, detail } = JSON.parse(body).streams.find((s) => s.id === "option");
      assert.ok(restarts.count > 1);
      assert.match(restarts.why, /^invalid source: rtsp: unknown option behind #/);
      assert.deepEqual([state, detail], ["offline", `This camera cannot be read: ${restarts.why}.`]);
      return true;
    });
    assert.doesNotMatch(server.running.output, /canary-Secret-0815/);
  });

  test("the good one does not notice", async () => {
    const good = viewers.good;
    await good.next();
    const from = good.units;
    await eventually("more pictures", () => good.units > from + 30);
    assert.equal(good.missing, 0);
    assert.equal((await detail("good")).state, "live");
    assert.ok(Object.values(viewers).every((v) => !v.socket.ended), "nobody was disconnected");
  });
});

describe("messages", () => {
  let server, honest, view, publish;
  before(async () => {
    server = await Server.start({ config: 'streams:\n  test: {source: "test:"}\n  open: {publish: true}\n' });
    view = await server.token({ stream: "test" });
    publish = await server.token({ stream: "open", action: "publish" });
    honest = await Viewer.join(server, "test", { token: view });
    await honest.nextKey();
  });
  after(async () => {
    await honest?.leave();
    await server?.stop();
  });

  const hello = (value) => Buffer.concat([Buffer.from([0x80]), Buffer.from(JSON.stringify(value))]);
  const viewerHello = hello({ player: "e2e/1", codecs: ["h264"], mode: "live" });
  const rendition = { id: 1, name: "720p", codec: "h264", width: 1280, height: 720, frame_rate_milli: 30000, min_bitrate_bps: 100000, max_bitrate_bps: 2000000 };
  const publisherHello = hello({ agent: "e2e/1", source: "test", renditions: [rendition] });
  const media = (change = () => undefined, payload = 8) => {
    const m = Buffer.alloc(32 + payload);
    m[0] = 0x01;
    m[1] = 0x01;
    m[2] = 1;
    m.writeUInt16BE(1, 12);
    m.writeUInt32BE(payload, 28);
    change(m);
    return m;
  };
  // A reserved bit of the frame header, with a mask as RFC 6455 wants one.
  const reserved = Buffer.from([0xf2, 0x81, 0, 0, 0, 0, 0x80]);
  const unmasked = Buffer.from([0x82, 0x01, 0x80]);
  const claims = (length) => {
    const b = Buffer.alloc(14);
    b[0] = 0x82;
    b[1] = 0xff;
    b.writeBigUInt64BE(length, 2);
    return b;
  };

  // What each door is sent, and the close code that follows.
  const cases = {
    watch: {
      "text": [(s) => s.send("hello"), 1003],
      "nothing at all": [(s) => s.send(Buffer.alloc(0)), 1007],
      "a HELLO that is no JSON": [(s) => s.send(Buffer.from([0x80, 0x7b, 0x00, 0xff])), 1007],
      "a HELLO with a duplicate key": [(s) => s.send(Buffer.concat([Buffer.from([0x80]), Buffer.from('{"player":"a","player":"b"}')])), 1007],
      "a TIME_REQ cut short": [(s) => [viewerHello, Buffer.from([0x81, 0, 0])].forEach((m) => s.send(m)), 1007],
      "a CTRL that does not exist": [(s) => [viewerHello, Buffer.from([0x84, 0x77, 0, 0])].forEach((m) => s.send(m)), 1007],
      "5 KiB where 4 is the limit": [(s) => s.send(Buffer.alloc(5 << 10, 0xf0)), 1009],
      "more messages than any player": [(s) => { for (let i = 0; i < 600; i++) s.send(Buffer.from([0xf1])); }, 1008],
      "a frame that claims 2^62 bytes": [(s) => s.raw.write(claims(1n << 62n)), 1009],
      "a reserved bit": [(s) => s.raw.write(reserved), 1002],
      "a frame without a mask": [(s) => s.raw.write(unmasked), 1002],
    },
    publish: {
      "text": [(s) => s.send("hello"), 1003],
      "nothing at all": [(s) => s.send(Buffer.alloc(0)), 1007],
      "a HELLO that is a list": [(s) => s.send(Buffer.concat([Buffer.from([0x80]), Buffer.from("[]")])), 1007],
      "a HELLO without renditions": [(s) => s.send(hello({ agent: "e2e/1", source: "test", renditions: [] })), 1007],
      "MEDIA cut short": [(s) => [publisherHello, media().subarray(0, 20)].forEach((m) => s.send(m)), 1007],
      "MEDIA of 0 chunks": [(s) => [publisherHello, media((m) => m.writeUInt16BE(0, 12))].forEach((m) => s.send(m)), 1007],
      "MEDIA that claims 4 GiB": [(s) => [publisherHello, media((m) => m.writeUInt32BE(0xffffffff, 28))].forEach((m) => s.send(m)), 1007],
      "MEDIA without a CONFIG": [(s) => [publisherHello, media()].forEach((m) => s.send(m)), 1007],
      "70 KiB where 64 is the limit": [(s) => s.send(Buffer.alloc(70 << 10, 0xf0)), 1009],
      "a frame that claims 2^62 bytes": [(s) => s.raw.write(claims(1n << 62n)), 1009],
      "a reserved bit": [(s) => s.raw.write(reserved), 1002],
    },
  };
  for (const [door, list] of Object.entries(cases)) {
    for (const [what, [send, code]] of Object.entries(list)) {
      test(`${door}: ${what} ends that connection with ${code}`, async () => {
        const path = door === "watch" ? "/ws/watch/test" : "/ws/publish/open";
        const socket = await Socket.open(server, path, { token: door === "watch" ? view : publish });
        send(socket);
        const closed = await socket.closed();
        assert.equal(closed.code, code, closed.reason);
        // "Too large" says it all; what else is wrong is put in words.
        if (code !== 1009) assert.match(closed.reason, /\w/);
      });
    }
  }

  test("types that nobody knows are skipped", async () => {
    const viewer = await Viewer.join(server, "test", { token: view });
    for (const type of [0x70, 0x7f, 0xf0, 0xff]) viewer.socket.send(Buffer.from([type, 1, 2, 3]));
    await viewer.nextKey();
    await viewer.next();
    assert.equal(viewer.socket.ended, false);
    await viewer.leave();
  });

  test("the honest viewer beside them lost nothing", async () => {
    const from = honest.units;
    await eventually("more pictures", () => honest.units > from + 30);
    assert.equal(honest.socket.ended, false);
    assert.equal(honest.missing, 0);
    assert.doesNotMatch(server.running.output, /panic/);
  });
});
