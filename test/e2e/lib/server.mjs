// The real programs, each server with a data directory of its own. SIGHTLINE_BIN names the folder that holds them (default: bin).

import { execFile, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { within } from "./wait.mjs";

export const repository = fileURLToPath(new URL("../../..", import.meta.url));
const bin = resolve(process.env.SIGHTLINE_BIN ?? join(repository, "bin"));
/** The path of one of them; a path stays. */
export const program = (name) => resolve(bin, name);

/** A folder that is gone after close(). */
export function scratch() {
  const dir = mkdtempSync(join(tmpdir(), "sightline-e2e-"));
  return { dir, close: () => rmSync(dir, { recursive: true, force: true, maxRetries: 12 }) };
}

/** Runs a program to its end: {code, stdout, stderr}. It is killed after limit ms. */
export async function run(name, args, options = {}) {
  try {
    const { stdout, stderr } = await promisify(execFile)(program(name), args, { timeout: 20_000, ...options });
    return { code: 0, stdout, stderr };
  } catch (cause) {
    if (typeof cause.code !== "number") throw cause;
    return { code: cause.code, stdout: cause.stdout, stderr: cause.stderr };
  }
}

/** A program that keeps running, with the lines it prints. Events: "line" with each of them. */
export class Running extends EventEmitter {
  lines = [];
  #child;
  #ended;

  constructor(name, args, env = {}) {
    super();
    this.setMaxListeners(0);
    this.#child = spawn(program(name), args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
    this.#ended = once(this.#child, "exit").then(([code, signal]) => ({ code, signal }));
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      let rest = "";
      stream.setEncoding("utf8").on("data", (text) => {
        const lines = (rest + text).split("\n");
        rest = lines.pop();
        for (const line of lines) {
          this.lines.push(line);
          this.emit("line", line);
        }
      });
    }
  }

  get pid() {
    return this.#child.pid;
  }

  /** Everything printed so far, on both streams. */
  get output() {
    return this.lines.join("\n");
  }

  /** The match of the first line, from the given one on, that matches. */
  async line(pattern, { from = 0, limit = 10_000 } = {}) {
    for (const line of this.lines.slice(from)) {
      const match = pattern.exec(line);
      if (match) return match;
    }
    let stop;
    const found = new Promise((found, failed) => {
      const listen = (line) => {
        const match = pattern.exec(line);
        if (match) found(match);
      };
      this.on("line", listen);
      stop = () => this.off("line", listen);
      void this.#ended.then(({ code, signal }) => failed(new Error(`ended (${code ?? signal}) without a line like ${pattern}:\n${this.output}`)));
    });
    try {
      return await within(`a line like ${pattern}`, limit, found);
    } finally {
      stop();
    }
  }

  /** Its exit code and signal, once it has ended. */
  ended(limit = 10_000) {
    return within("the end of the program", limit, this.#ended);
  }

  async stop(signal = "SIGTERM") {
    this.#child.kill(signal);
    try {
      return await this.ended();
    } catch (cause) {
      this.#child.kill("SIGKILL");
      throw cause;
    }
  }
}

/** One server on a free port of the loopback interface. */
export class Server {
  running;
  origin;
  #scratch;

  /** config is the text of a configuration file; without one the demonstration is served. */
  static async start({ config, demo = config === undefined, listen = "127.0.0.1:0", args = [], dataDir } = {}) {
    const server = new Server();
    server.#scratch = dataDir === undefined ? scratch() : { dir: dataDir, close() {} };
    server.dataDir = server.#scratch.dir;
    server.args = ["--data-dir", server.dataDir, ...args];
    if (demo) server.args.push("--demo");
    if (config !== undefined) {
      const file = join(server.dataDir, "sightline.yaml");
      writeFileSync(file, config, { mode: 0o600 });
      server.args.push("--config", file);
    }
    try {
      await server.#run(listen);
    } catch (cause) {
      server.#scratch.close();
      throw cause;
    }
    return server;
  }

  async #run(listen) {
    this.running = new Running("sightline", ["serve", "--listen", listen, ...this.args]);
    const [, link, origin] = await this.running.line(/^((https:\/\/127\.0\.0\.1:\d+)\/#\S+)$/);
    this.link = link;
    this.origin = origin;
  }

  get host() {
    return new URL(this.origin).host;
  }
  get code() {
    return new URL(this.link).hash.slice(1);
  }
  get ca() {
    return join(this.dataDir, "ca.pem");
  }

  /** Ends the server with a signal and starts it again on the same port. */
  async restart(signal = "SIGTERM") {
    await this.running.stop(signal);
    await this.#run(this.host);
  }

  async token({ stream = "**", action = "view", subject = "tester", ttl = "10m" } = {}) {
    const { code, stdout, stderr } = await run("sightline", ["token", "--stream", stream, "--action", action, "--sub", subject, "--ttl", ttl, "--data-dir", this.dataDir]);
    if (code !== 0) throw new Error(`sightline token: ${stderr}`);
    return stdout.trim();
  }

  /** Spends the printed link's code without opening a page: the session's cookie, as a browser takes it. */
  async logIn(code = this.code) {
    const { status, headers, body } = await this.request("POST", "/api/v1/login", { headers: { "Content-Type": "application/json" }, body: { code } });
    if (status !== 204) throw new Error(`login: ${status} ${body}`);
    const [name, value] = headers["set-cookie"][0].split(";")[0].split("=");
    return { name, value, domain: "127.0.0.1", path: "/", secure: true, httpOnly: true, sameSite: "Strict" };
  }

  /** The process id of the capture process of a stream: that of its latest start. */
  capturePid(stream) {
    const starts = this.running.lines.filter((l) => l.includes("capture process started") && l.includes(`stream=${stream} `));
    return Number(/pid=(\d+)/.exec(starts.at(-1) ?? "")?.[1]);
  }

  /** The record's current file, checkpoints and all. */
  auditText() {
    return readFileSync(join(this.dataDir, "audit.jsonl"), "utf8");
  }
  /** What somebody did or tried: without the checkpoints that sign the record. */
  auditRecords() {
    const lines = this.auditText().split("\n").filter((l) => l !== "");
    return lines.map((l) => JSON.parse(l)).filter((r) => r.event !== "checkpoint");
  }

  /** One request, its certificate checked against the server's own authority: {status, headers, body}. */
  request(method, path, { headers = {}, body } = {}) {
    return new Promise((answered, failed) => {
      const options = { method, headers, ca: readFileSync(this.ca), agent: false, timeout: 10_000 };
      const request = https.request(new URL(path, this.origin), options, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (t) => (text += t)).on("end", () => answered({ status: response.statusCode, headers: response.headers, body: text }));
      });
      request.on("error", failed).on("timeout", () => request.destroy(new Error(`no answer to ${method} ${path}`)));
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async stop() {
    try {
      const { code, signal } = await this.running.stop();
      if (code !== 0) throw new Error(`the server ended with ${code ?? signal}:\n${this.running.output}`);
    } finally {
      this.#scratch.close();
    }
  }
}
