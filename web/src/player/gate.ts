// Lets only decodable access units through. Decoders do not report a missing reference, they smear; so the gate keeps
// count of what the decoder was given. Pure.

import type { AccessUnit } from "./assemble.ts";

type Head = Pick<AccessUnit, "key" | "rendition" | "generation" | "seq" | "depDelta">;

/** How far back a reference may lie. Encoders here refer to the access unit before; 64 leaves room for layers. */
const memory = 64;

export class Gate {
  #rendition = -1;
  #generation = -1;
  #given = new Set<number>();
  #lastGood = 0;

  /** The seq last let through, for a KEYREQ. */
  get lastGood(): number {
    return this.#lastGood;
  }

  /** Whether nothing but a key can pass. */
  get needsKey(): boolean {
    return this.#given.size === 0;
  }

  /** Says whether u can be decoded, and if so counts it as decoded. */
  admit(u: Head): boolean {
    if (u.key) {
      this.#rendition = u.rendition;
      this.#generation = u.generation;
      this.#given.clear();
    } else if (u.rendition !== this.#rendition || u.generation !== this.#generation || !this.#given.has((u.seq - u.depDelta) >>> 0)) {
      return false;
    }
    this.#given.add(u.seq);
    this.#lastGood = u.seq;
    if (this.#given.size > memory) {
      for (const oldest of this.#given) {
        this.#given.delete(oldest);
        break;
      }
    }
    return true;
  }

  /** From now on only a key passes: the decoder lost what it had. */
  reset(): void {
    this.#given.clear();
  }
}
