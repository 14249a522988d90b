// Access units for a <video> in the page that decodes by itself (Media Source Extensions): written as a file, fragment by fragment.

import { codecString, sets, type Sets } from "./annexb.ts";
import type { AccessUnit } from "./assemble.ts";
import { fragment, header, joined, sample } from "./fmp4.ts";
import type { Fragment, Played } from "./messages.ts";
import { Timeline } from "./timeline.ts";
import type { Micros } from "./units.ts";

export interface FileSinkEvents {
  /** So many pictures were decoded, of which so many were dropped. */
  decoded(pictures: number, dropped: number): void;
  keyWanted(): void;
  /** The <video> is of no more use. */
  failed(cause: Error): void;
}

/** The worker's end of the <video>. What is given begins with a keyframe. */
export class FileSink {
  readonly name = "mse";
  readonly #port: MessagePort;
  readonly #timeline = new Timeline();
  #sequence = 0;
  #sets: Sets | undefined;

  constructor(port: MessagePort, events: FileSinkEvents) {
    this.#port = port;
    port.onmessage = (e: MessageEvent<Played>) => {
      const m = e.data;
      switch (m.type) {
        case "decoded":
          return events.decoded(m.decoded, m.dropped);
        case "key-wanted":
          return events.keyWanted();
        case "failed":
          return events.failed(new Error(m.why));
        default:
          return unreachable(m);
      }
    };
  }

  /** interval is that between two pictures, which are displayed in that size. Throws for a first keyframe without parameter sets. */
  append(u: AccessUnit, interval: Micros, width: number, height: number): void {
    const parts: Uint8Array[] = [];
    const found = u.key ? sets(u.data) : undefined;
    const renewed = found !== undefined && !(this.#sets !== undefined && same(found.sps, this.#sets.sps) && same(found.pps, this.#sets.pps));
    if (renewed) {
      this.#sets = { sps: found.sps.slice(), pps: found.pps.slice() };
      parts.push(header(found, width, height));
    }
    if (this.#sets === undefined) throw new Error("a keyframe without parameter sets");
    const { at, duration } = this.#timeline.add(u.capture, interval);
    parts.push(fragment({ sequence: ++this.#sequence, at, duration, key: u.key, sample: sample(u.data) }));
    const m: Fragment = { bytes: joined(parts), codec: renewed ? codecString(found.sps) : undefined, key: u.key, at, capture: u.capture };
    this.#port.postMessage(m, [m.bytes.buffer]);
  }

  async still(): Promise<undefined> {
    // The page knows what its <video> shows.
  }

  close(): void {
    this.#port.close();
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((v, i) => v === b[i]);

function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}
