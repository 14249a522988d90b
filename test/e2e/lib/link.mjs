// A link to a server that can be made slow, or go dead for the connections there are: browsers connect to origin.

import { once } from "node:events";
import net from "node:net";

const tick = 20; // ms

export class Link {
  origin;
  #listener;
  /** Of each connection: { client, server, muted, waiting: what the client is still to get }. */
  #pairs = new Set();
  #bitsPerSecond = Infinity;
  /** While it is out: what is to happen once it is back. */
  #held;
  #timer;

  static async start(server) {
    const link = new Link();
    const to = new URL(server.origin);
    link.#listener = net.createServer((client) => link.#accept(client, to));
    link.#listener.listen(0, "127.0.0.1");
    await once(link.#listener, "listening");
    link.origin = `https://127.0.0.1:${link.#listener.address().port}`;
    link.#timer = setInterval(() => link.#forward(), tick);
    return link;
  }

  /** What each connection carries towards the browser. */
  set bitsPerSecond(rate) {
    this.#bitsPerSecond = rate;
  }

  /** The connections there are carry nothing any more, in either direction, and do not end. New ones work. */
  mute() {
    for (const pair of this.#pairs) pair.muted = true;
  }

  /** Nothing passes any more, in either direction and on no connection, until restore(): the kernels hold what they can, as TCP does. */
  interrupt() {
    this.#held = [];
    for (const pair of this.#pairs) this.#hold(pair);
  }

  restore() {
    const held = this.#held;
    this.#held = undefined;
    for (const again of held) again();
  }

  #hold({ client, server }) {
    for (const socket of [client, server]) {
      socket.pause();
      this.#held.push(() => socket.resume());
    }
  }

  /** How much came from the server: bytes, and how often. */
  bytes = 0;
  deliveries = 0;
  /** How many connections were ever made. */
  connections = 0;

  #accept(client, to) {
    this.connections++;
    const server = net.connect(to.port, to.hostname);
    const pair = { client, server, muted: false, waiting: [] };
    this.#pairs.add(pair);
    client.on("data", (data) => pair.muted || server.write(data));
    server.on("data", (data) => {
      if (pair.muted) return;
      this.bytes += data.length;
      this.deliveries++;
      if (this.#bitsPerSecond === Infinity && pair.waiting.length === 0) return client.write(data);
      pair.waiting.push(data);
      server.pause(); // until there is room: the kernels hold the rest, as a slow path does
    });
    const end = () => {
      if (pair.muted) return;
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) socket.on("error", end).on("close", end);
    if (this.#held !== undefined) this.#hold(pair);
  }

  #forward() {
    if (this.#held !== undefined) return;
    for (const pair of this.#pairs) {
      let budget = Math.max(1, Math.floor((this.#bitsPerSecond / 8 / 1000) * tick));
      while (budget > 0 && pair.waiting.length > 0) {
        const next = pair.waiting.shift();
        const part = next.subarray(0, Math.min(budget, next.length));
        if (part.length < next.length) pair.waiting.unshift(next.subarray(part.length));
        budget -= part.length;
        if (!pair.muted) pair.client.write(part);
      }
      if (pair.waiting.length === 0) pair.server.resume();
    }
  }

  close() {
    clearInterval(this.#timer);
    this.#listener.close();
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }
}
