// Network cameras that are none: GStreamer's RTSP server with a login, and ONVIF's services before it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:http";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { repository } from "./server.mjs";
import { within } from "./wait.mjs";

const clip = join(repository, "internal/demo/street.mp4");
export const [user, password] = ["watcher", "canary-Secret-4711"];

/** An address of this machine that is not its loopback's; undefined where it has none. */
export const ownAddress = () => Object.values(networkInterfaces()).flat().find((a) => a.family === "IPv4" && !a.internal && !a.address.startsWith("169.254."))?.address;

export class Camera {
  /** With the files of a certificate and its key it speaks TLS. */
  static async start({ host = "127.0.0.1", port = 0, files = [] } = {}) {
    const camera = new Camera();
    camera.host = host;
    // Debian's own Python has the bindings (python3-gi, gir1.2-gst-rtsp-server-1.0).
    const args = [fileURLToPath(new URL("rtsp-camera.py", import.meta.url)), clip, host, String(port), user, password, ...files];
    camera.child = spawn("/usr/bin/python3", args, { stdio: ["ignore", "pipe", "inherit"] });
    camera.exit = once(camera.child, "exit");
    const [line] = await within("an RTSP camera", 10_000, Promise.race([once(createInterface(camera.child.stdout), "line"), camera.exit]));
    camera.port = Number(/^ready (\d+)$/.exec(String(line))?.[1]);
    assert.ok(camera.port > 0, `the camera did not start: ${line}`);
    return camera;
  }

  address(path, { scheme = "rtsp", secret = password } = {}) {
    return `${scheme}://${user}:${secret}@${this.host}:${this.port}${path}`;
  }

  async stop() {
    this.child.kill("SIGKILL");
    await this.exit;
  }
}

const soap = (head, body) =>
  `<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" ` +
  `xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl" xmlns:tt="http://www.onvif.org/ver10/schema">` +
  `<s:Header>${head}</s:Header><s:Body>${body}</s:Body></s:Envelope>`;
const match = (name, service) =>
  `<d:ProbeMatch><d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>onvif://www.onvif.org/name/${encodeURIComponent(name)} onvif://www.onvif.org/hardware/DX-4</d:Scopes><d:XAddrs>${service}</d:XAddrs></d:ProbeMatch>`;
const answers = (id, name, service) => soap(`<a:RelatesTo>${id}</a:RelatesTo>`, `<d:ProbeMatches>${match(name, service)}</d:ProbeMatches>`);

/** ONVIF's services before an RTSP camera at an address of this machine: what answers probes there, among it much that lies. Its clock is of the year 2001. */
export class OnvifDevice {
  /** The questions that it was asked, as they came. */
  asked = [];

  static async start(name, camera) {
    const device = new OnvifDevice();
    device.name = name;
    device.camera = camera;
    device.http = createServer((request, response) => void device.#answer(request, response));
    device.http.listen(0, camera.host);
    await once(device.http, "listening");
    const service = `http://${camera.host}:${device.http.address().port}/onvif/device_service`;
    device.udp = createSocket({ type: "udp4", reuseAddr: true });
    device.udp.on("message", (message, peer) => {
      const id = /MessageID>([^<]+)</.exec(String(message))?.[1] ?? "";
      for (const text of [
        "x".repeat(60_000),
        `<!DOCTYPE x [<!ENTITY a "lie">]>${answers(id, "Liar &a;", service)}`,
        answers("uuid:0", "Liar of another probe", `${service}?1`),
        answers(id, "Liar elsewhere", "http://169.254.169.254/latest/meta-data"),
        answers(id, "Liar by name", "http://localhost/onvif"),
        answers(id, name, service),
      ])
        device.udp.send(text, peer.port, peer.address);
    });
    device.udp.bind(3702, "0.0.0.0");
    await once(device.udp, "listening");
    device.udp.addMembership("239.255.255.250", camera.host);
    return device;
  }

  async #answer(request, response) {
    let question = "";
    for await (const part of request.setEncoding("utf8")) question += part;
    this.asked.push(question);
    const say = (status, body) => response.writeHead(status, { "Content-Type": "application/soap+xml" }).end(soap("", body));
    const port = this.http.address().port;
    if (question.includes("<GetSystemDateAndTime ")) {
      return say(200, `<GetSystemDateAndTimeResponse><SystemDateAndTime><tt:UTCDateTime><tt:Time><tt:Hour>4</tt:Hour><tt:Minute>5</tt:Minute><tt:Second>6</tt:Second></tt:Time>` +
        `<tt:Date><tt:Year>2001</tt:Year><tt:Month>2</tt:Month><tt:Day>3</tt:Day></tt:Date></tt:UTCDateTime></SystemDateAndTime></GetSystemDateAndTimeResponse>`);
    }
    if (!knows(question)) return say(400, `<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized</s:Value></s:Subcode></s:Code></s:Fault>`);
    if (question.includes("<GetCapabilities ")) return say(200, `<GetCapabilitiesResponse><Capabilities><tt:Media><tt:XAddr>http://${this.camera.host}:${port}/onvif/media</tt:XAddr></tt:Media></Capabilities></GetCapabilitiesResponse>`);
    const profile = (token, name, width, height) =>
      `<Profiles token="${token}"><tt:Name>${name}</tt:Name><tt:VideoEncoderConfiguration><tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>${width}</tt:Width><tt:Height>${height}</tt:Height></tt:Resolution>` +
      `<tt:RateControl><tt:FrameRateLimit>30</tt:FrameRateLimit></tt:RateControl></tt:VideoEncoderConfiguration></Profiles>`;
    if (question.includes("<GetProfiles ")) return say(200, `<GetProfilesResponse>${profile("main", "Main stream", 1280, 720)}${profile("sub", "Sub stream", 640, 360)}</GetProfilesResponse>`);
    const path = { main: "/street", sub: "/datagrams" }[/ProfileToken>(\w+)</.exec(question)?.[1]];
    return say(200, `<GetStreamUriResponse><MediaUri><tt:Uri>rtsp://${this.camera.host}:${this.camera.port}${path}</tt:Uri></MediaUri></GetStreamUriResponse>`);
  }

  async stop() {
    this.udp.close();
    this.http.closeAllConnections();
    this.http.close();
    await once(this.http, "close");
  }
}

/** Whether a question has a digest of the password, made in the year of the device's clock. */
function knows(question) {
  const part = (name) => new RegExp(`:${name}(?: [^>]*)?>([^<]*)<`).exec(question)?.[1] ?? "";
  const created = part("Created");
  const digest = createHash("sha1").update(Buffer.from(part("Nonce"), "base64")).update(created + password).digest("base64");
  return created.startsWith("2001-02-03T") && part("Username") === user && part("Password") === digest;
}
