// The part of the attack that needs a real browser: `node browser.mjs ORIGIN CA COOKIE`, started by the Go program beside it.
// Each line of its standard input names what a hostile publisher calls itself now; the answer says what came of showing it. When the input ends, a hostile
// page of another site tries each way to the server that a page has. Lines of output: {case, miss?}, at the end {said}.

import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { launch } from "../e2e/lib/browser.mjs";

const [origin, ca, cookie] = process.argv.slice(2);
const { hostname } = new URL(origin);
const tell = (line) => console.log(JSON.stringify(line));
const patience = 10_000;

const engine = await launch("chromium", { authorities: [ca] });
const [name, value] = cookie.split("=");
await engine.setCookie({ name, value, domain: hostname, path: "/", secure: true, httpOnly: true, sameSite: "Strict" });

// What ran, and what the page's own policy had to stop, on each page that is watched.
const events = [];
async function watched(url) {
  const page = await engine.newPage();
  await page.exposeFunction("hit", () => void events.push("a script ran"));
  await page.evaluateOnNewDocument(() => {
    addEventListener("securitypolicyviolation", (e) => console.error(`CSP ${e.violatedDirective} ${e.blockedURI}`));
  });
  page.on("console", (m) => {
    if (/^CSP |Content Security Policy/.test(m.text())) events.push(m.text());
  });
  page.on("dialog", (d) => {
    events.push(`a dialog: ${d.message()}`);
    void d.dismiss();
  });
  page.on("request", (r) => {
    if (!r.url().startsWith(origin) && !/^(blob|data|about):/.test(r.url())) events.push(`it asked for ${r.url()}`);
  });
  await page.goto(url, { waitUntil: "domcontentloaded" });
  return page;
}

const wall = await watched(`${origin}/`);
const watch = await watched(`${origin}/watch/pub/hostile`);
for await (const line of createInterface({ input: process.stdin })) {
  const { name } = JSON.parse(line);
  events.length = 0;
  // It is shown as text: a page that showed nothing would prove nothing.
  const shown = (page) => page.waitForFunction((n) => {
    const text = (root) => [...root.querySelectorAll("*")].reduce((all, e) => all + (e.shadowRoot ? text(e.shadowRoot) : ""), root.textContent ?? "");
    return text(document.body).includes(n);
  }, { timeout: patience, polling: 100 }, name).then(() => true, () => false);
  const [onWall, onWatch] = await Promise.all([shown(wall), shown(watch)]);
  if (!onWall && !onWatch) events.push("it was not shown at all");
  tell(events.length === 0 ? { case: name } : { case: name, miss: events.join("; ") });
}

// The hostile page is of another site: localhost, and without TLS. A browser trusts it with much, but not with this.
const evil = createServer((_, answer) => answer.setHeader("Content-Type", "text/html").end("<!doctype html><title>evil</title>"));
await new Promise((ready) => evil.listen(0, "127.0.0.1", ready));
const hostile = await engine.newPage();
await hostile.goto(`http://localhost:${evil.address().port}/`);
const attempts = await hostile.evaluate(async (origin) => {
  const url = (path) => origin + path;
  const wss = (path) => origin.replace("https:", "wss:") + path;
  const limit = (promise) => Promise.race([promise, new Promise((_, late) => setTimeout(() => late(new Error("nothing came")), 4000))]);
  const read = (path, options) => async () => {
    const response = await fetch(url(path), { credentials: "include", ...options });
    return response.type === "opaque" ? undefined : `status ${response.status}: ${(await response.text()).slice(0, 40)}`;
  };
  const socket = (path, protocols) => () => new Promise((got, failed) => {
    const s = new WebSocket(wss(path), protocols);
    s.onopen = () => got("a WebSocket opened");
    s.onerror = s.onclose = () => failed(new Error("refused"));
  });
  const element = (tag, set, loaded) => () => new Promise((got, failed) => {
    const e = Object.assign(document.createElement(tag), set);
    e.onload = e.onloadeddata = () => { const what = loaded(e); what === undefined ? failed(new Error("nothing")) : got(what); };
    e.onerror = () => failed(new Error("refused"));
    document.body.append(e);
  });
  const picture = (e) => (e.naturalWidth > 0 ? `a picture ${e.naturalWidth} wide` : undefined);
  const tries = {};
  for (const path of ["/api/v1/session", "/api/v1/streams", "/api/v1/streams/door/snapshot.jpg", "/mjpeg/door"]) {
    tries[`fetch ${path}`] = read(path);
    tries[`fetch ${path} without CORS`] = read(path, { mode: "no-cors" });
    tries[`fetch ${path} with the header`] = read(path, { headers: { "X-Sightline": "1" } });
    tries[`image ${path}`] = element("img", { src: url(path) }, picture);
    tries[`script ${path}`] = element("script", { src: url(path) }, () => "a script was loaded");
    tries[`style ${path}`] = element("link", { rel: "stylesheet", href: url(path) }, () => "a style sheet was loaded");
    tries[`video ${path}`] = element("video", { src: url(path) }, () => "a video was loaded");
  }
  for (const path of ["/api/v1/tickets", "/api/v1/codes", "/api/v1/logout", "/api/v1/login"]) {
    const body = JSON.stringify({ stream: "door", action: "view" });
    tries[`POST ${path}`] = read(path, { method: "POST", body });
    tries[`POST ${path} with the header`] = read(path, { method: "POST", body, headers: { "X-Sightline": "1" } });
    tries[`POST ${path} as JSON`] = read(path, { method: "POST", body, headers: { "Content-Type": "application/json" } });
    tries[`POST ${path} without CORS`] = read(path, { method: "POST", body, mode: "no-cors" });
  }
  for (const path of ["/ws/watch/door", "/ws/watch/site/door", "/ws/publish/pub/evil"]) tries[`WebSocket ${path}`] = socket(path, ["sightline.v1"]);
  for (const path of ["/", "/watch/door", "/api/v1/session"]) {
    tries[`frame ${path}`] = element("iframe", { src: url(path) }, (e) => {
      try {
        return e.contentDocument?.body?.textContent ? "a frame could be read" : undefined;
      } catch {
        return undefined; // of another origin, as it must be
      }
    });
  }
  tries["window"] = () => new Promise((got, failed) => {
    const w = open(url("/"));
    setTimeout(() => { 
      try {
        const { title } = w.document; // an empty one is that of the blank page it begins with
        if (title) got(`a window could be read: ${title}`);
      } catch {}
      failed(new Error("refused"));
      w?.close();
    }, 2000);
  });
  return Promise.all(Object.entries(tries).map(async ([name, attempt]) => {
    try {
      return { case: name, miss: await limit(attempt()) };
    } catch {
      return { case: name };
    }
  }));
}, origin);
for (const attempt of attempts) tell(attempt);
// None of it may have ended the session either.
const own = await engine.newPage();
await own.goto(`${origin}/`);
const status = await own.evaluate(() => fetch("/api/v1/session").then((r) => r.status));
tell(status === 200 ? { case: "the session is as it was" } : { case: "the session is as it was", miss: `status ${status}` });
tell({ said: `${await engine.browser.version()}: pages watched for scripts, dialogs, reports of their policy and requests to others` });
evil.closeAllConnections();
evil.close();
await engine.close();
process.exit(0);
