// Certificates from an ACME authority: pebble, Let's Encrypt's own for tests, with its name server. PEBBLE names the folder of both programs.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import https from "node:https";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import tls from "node:tls";
import { repository, Running, scratch, Server } from "./lib/server.mjs";
import { eventually } from "./lib/wait.mjs";

const tools = resolve(process.env.PEBBLE ?? join(repository, "bin/pebble/v2.10.1"));
const domain = "cameras.example.org";
const given = /msg="certificate of the ACME authority"/;
/** The authority asks its clients to look again after some seconds, and a refused order is tried again after ten. */
const patience = 60_000;

let room, any, dns, pebble, sightline, root;
const ports = {};

/** As many free ports. Nobody holds them until they are used. */
async function free(names) {
  const servers = names.map(() => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((s) => once(s, "listening")));
  names.forEach((name, i) => (ports[name] = servers[i].address().port));
  await Promise.all(servers.map((s) => once(s.close(), "close")));
}

const get = (url, ca) =>
  new Promise((answered, failed) => {
    https.get(url, { ca, agent: false }, (r) => {
      let text = "";
      r.setEncoding("utf8").on("data", (t) => (text += t)).on("end", () => answered(text));
    }).on("error", failed);
  });

/** What the server shows a client that wants the name: its certificate, checked against the authority's root. */
async function handshake(servername, protocols = ["http/1.1"]) {
  const socket = tls.connect({ host: "127.0.0.1", port: ports.sightline, servername, ca: root, ALPNProtocols: protocols });
  try {
    await once(socket, "secureConnect");
    return socket.getPeerX509Certificate();
  } finally {
    socket.destroy();
  }
}

const serve = async () => {
  sightline = new Running("sightline", ["serve", "--demo", "--config", join(room.dir, "sightline.yaml")]);
  await sightline.line(new RegExp(`^https://${domain}:${ports.sightline}/#\\S+$`));
};

before(async () => {
  room = scratch();
  any = await Server.start(); // its own authority serves pebble's API
  await free(["dns", "dnsAdmin", "acme", "acmeAdmin", "sightline"]);
  const pem = join(any.dataDir, "cert.pem");
  writeFileSync(join(room.dir, "pebble.json"), JSON.stringify({
    pebble: {
      listenAddress: `127.0.0.1:${ports.acme}`, managementListenAddress: `127.0.0.1:${ports.acmeAdmin}`,
      certificate: pem, privateKey: pem, httpPort: ports.sightline, tlsPort: ports.sightline,
    },
  }));
  dns = new Running(join(tools, "pebble-challtestsrv"), [
    "-dnsserver", `127.0.0.1:${ports.dns}`, "-management", `127.0.0.1:${ports.dnsAdmin}`, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
    "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "",
  ]);
  pebble = new Running(join(tools, "pebble"), ["-config", join(room.dir, "pebble.json"), "-dnsserver", `127.0.0.1:${ports.dns}`], {
    PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "5",
  });
  const ca = readFileSync(any.ca);
  root = await eventually("pebble answers", () => get(`https://127.0.0.1:${ports.acmeAdmin}/roots/0`, ca));
  mkdirSync(join(room.dir, "data"));
  writeFileSync(join(room.dir, "sightline.yaml"), `listen: "127.0.0.1:${ports.sightline}"
data-dir: data
tls:
  acme: {domains: [${domain}], directory: "https://127.0.0.1:${ports.acme}/dir", ca: "${any.ca}", accept-terms: true}
`);
  await serve();
});
after(async () => {
  await sightline?.stop();
  await pebble?.stop();
  await dns?.stop();
  await any?.stop();
  room?.close();
});

test("a client that names the domain gets a certificate of the authority", async () => {
  await sightline.line(given, { limit: patience });
  const certificate = await handshake(domain);
  assert.equal(certificate.subjectAltName, `DNS:${domain}`);
  assert.match(certificate.issuer, /Pebble/);
});

test("other names, and none, get no certificate", async () => {
  await assert.rejects(handshake("evil.example.org"));
  await assert.rejects(handshake(""));
});

test("a restarted server goes on with the certificate it has, the authority being away", async () => {
  const before = await handshake(domain);
  await sightline.stop();
  await pebble.stop();
  pebble = undefined;
  await serve();
  await sightline.line(given, { limit: patience });
  assert.equal((await handshake(domain)).serialNumber, before.serialNumber);
});
