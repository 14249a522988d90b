// What must be known of an H.264 access unit in Annex B to send it on. Pure.

const spsType = 7;
const ppsType = 8;

export interface ParameterSets {
  /** Both NAL units with their start codes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** RFC 6381, from the sequence parameter set. */
  readonly codecString: string;
}

/** The parameter sets of a keyframe; undefined when it does not carry both. */
export function parameterSets(au: Uint8Array): ParameterSets | undefined {
  let sps: Uint8Array | undefined;
  let pps: Uint8Array | undefined;
  for (const nal of units(au)) {
    const type = (nal[0] ?? 0) & 0x1f;
    if (type === spsType) sps = nal;
    else if (type === ppsType) pps = nal;
    else if (type >= 1 && type <= 5) break; // the picture: nothing that describes it follows
  }
  if (sps === undefined || pps === undefined || sps.length < 4) return undefined;
  const hex = [...sps.subarray(1, 4)].map((b) => b.toString(16).padStart(2, "0")).join("");
  const startCode = [0, 0, 0, 1];
  return { bytes: Uint8Array.from([...startCode, ...sps, ...startCode, ...pps]), codecString: `avc1.${hex}` };
}

/** The NAL units of a byte stream, without start codes and the zeros before them. */
function* units(au: Uint8Array): Generator<Uint8Array> {
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

/** au behind sets. */
export function withParameterSets(sets: ParameterSets, au: Uint8Array): Uint8Array<ArrayBuffer> {
  const b = new Uint8Array(sets.bytes.length + au.length);
  b.set(sets.bytes);
  b.set(au, sets.bytes.length);
  return b;
}
