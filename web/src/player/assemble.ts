// Puts the chunks of access units together again. Pure.

import { chunkOffset, type Abort, type Media, ProtocolError } from "./wire.ts";
import type { Micros } from "./units.ts";

/** One whole picture as it was encoded. */
export interface AccessUnit {
  readonly key: boolean;
  readonly discontinuity: boolean;
  readonly rendition: number;
  readonly generation: number;
  readonly seq: number;
  readonly depDelta: number;
  /** On the server's epoch. */
  readonly capture: Micros;
  /** From capture to the end of encoding. */
  readonly encodeDelay: Micros;
  readonly data: Uint8Array<ArrayBuffer>;
}

interface Partial {
  readonly head: Media;
  readonly data: Uint8Array<ArrayBuffer>;
  next: number;
}

/** Holds at most one unfinished access unit per rendition. */
export class Assembler {
  readonly #partial = new Map<number, Partial>();

  /** Takes a chunk; returns the access unit it completes, if it does. Throws ProtocolError for a chunk out of order. */
  push(m: Media): AccessUnit | undefined {
    if (m.chunkIndex === 0) {
      if (this.#partial.has(m.rendition)) throw new ProtocolError(`MEDIA: access unit ${m.seq} begins inside another`);
      if (m.chunkCount === 1) return unit(m, m.payload);
      this.#partial.set(m.rendition, { head: m, data: new Uint8Array(m.totalLen), next: 0 });
    }
    const p = this.#partial.get(m.rendition);
    if (p === undefined || p.head.seq !== m.seq || p.next !== m.chunkIndex || p.head.totalLen !== m.totalLen) {
      throw new ProtocolError(`MEDIA: chunk ${m.chunkIndex} of access unit ${m.seq} out of order`);
    }
    p.data.set(m.payload, chunkOffset(m));
    p.next++;
    if (p.next < m.chunkCount) return undefined;
    this.#partial.delete(m.rendition);
    return unit(p.head, p.data);
  }

  /** Forgets an access unit whose rest will not come. */
  abort(a: Abort): void {
    if (this.#partial.get(a.rendition)?.head.seq === a.seq) this.#partial.delete(a.rendition);
  }
}

const unit = (m: Media, data: Uint8Array<ArrayBuffer>): AccessUnit => ({
  key: m.key,
  discontinuity: m.discontinuity,
  rendition: m.rendition,
  generation: m.generation,
  seq: m.seq,
  depDelta: m.depDelta,
  capture: m.capture,
  encodeDelay: m.encodeDelay,
  data,
});
