// What must be known of an H.264 access unit in Annex B to send it on. Pure.

import { codecString, sets } from "../player/annexb.ts";

export interface ParameterSets {
  /** Both NAL units with their start codes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** RFC 6381, from the sequence parameter set. */
  readonly codecString: string;
}

/** The parameter sets of a keyframe; undefined when it does not carry both. */
export function parameterSets(au: Uint8Array): ParameterSets | undefined {
  const found = sets(au);
  if (found === undefined) return undefined;
  const startCode = [0, 0, 0, 1];
  return { bytes: Uint8Array.from([...startCode, ...found.sps, ...startCode, ...found.pps]), codecString: codecString(found.sps) };
}

/** au behind sets. */
export function withParameterSets(sets: ParameterSets, au: Uint8Array): Uint8Array<ArrayBuffer> {
  const b = new Uint8Array(sets.bytes.length + au.length);
  b.set(sets.bytes);
  b.set(au, sets.bytes.length);
  return b;
}
