// H.264 access units in Annex B (ITU-T H.264, annex B). Pure.

/** nal_unit_type (table 7-1). */
export const nalType = (nal: Uint8Array): number => (nal[0] ?? 0) & 0x1f;
export const spsType = 7;
export const ppsType = 8;
export const delimiterType = 9;

/** The first sequence and picture parameter set of an access unit, without start codes. */
export interface Sets {
  readonly sps: Uint8Array;
  readonly pps: Uint8Array;
}

/** The parameter sets of a keyframe; undefined when it does not carry both before its picture. */
export function sets(au: Uint8Array): Sets | undefined {
  let sps: Uint8Array | undefined;
  let pps: Uint8Array | undefined;
  for (const nal of units(au)) {
    const type = nalType(nal);
    if (type === spsType) sps = nal;
    else if (type === ppsType) pps = nal;
    else if (type >= 1 && type <= 5) break; // the picture: nothing that describes it follows
  }
  return sps === undefined || pps === undefined || sps.length < 4 ? undefined : { sps, pps };
}

/** RFC 6381: profile, constraints and level of a sequence parameter set. */
export const codecString = (sps: Uint8Array): string => `avc1.${[...sps.subarray(1, 4)].map((b) => b.toString(16).padStart(2, "0")).join("")}`;

/** The NAL units of a byte stream, without start codes and the zeros before them. */
export function* units(au: Uint8Array): Generator<Uint8Array> {
  let begin = -1;
  for (let i = 0; i + 2 < au.length; i++) {
    if (au[i] !== 0 || au[i + 1] !== 0 || au[i + 2] !== 1) continue;
    if (begin >= 0) yield trimmed(au, begin, i);
    begin = i + 3;
    i += 2;
  }
  if (begin >= 0) yield trimmed(au, begin, au.length);
}

function trimmed(au: Uint8Array, from: number, to: number): Uint8Array {
  while (to > from && au[to - 1] === 0) to--;
  return au.subarray(from, to);
}
