// Fragmented MP4 (ISO/IEC 14496-12 and 14496-15) with one H.264 track and one access unit in each fragment, for browsers that
// decode video from such files alone. No duration is written anywhere but in the fragments: a browser that finds one takes the
// stream for a recording, and holds pictures back. Pure.

import { delimiterType, nalType, ppsType, spsType, units, type Sets } from "./annexb.ts";

/** Units of time in a second: those of the wire. */
export const timescale = 1_000_000;

export interface Fragment {
  /** Counts up from 1. */
  readonly sequence: number;
  /** In microseconds from the beginning of the track. */
  readonly at: number;
  readonly duration: number;
  readonly key: boolean;
  /** As sample() gives it. */
  readonly sample: Uint8Array;
}

const track = 1;
const matrix = [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000];

/** What comes before all fragments of pictures with these parameter sets, which are displayed in that size. */
export function header({ sps, pps }: Sets, width: number, height: number): Uint8Array<ArrayBuffer> {
  const avcC = box("avcC", u8(1, ...sps.subarray(1, 4), 0xff, 0xe1), u16(sps.length), sps, u8(1), u16(pps.length), pps);
  const inDots = u32(0x480000, 0x480000); // 72 dots an inch, which nobody reads
  const avc1 = box("avc1", zeros(6), u16(1), zeros(16), u16(width, height), inDots, zeros(4), u16(1), zeros(32), u16(24, 0xffff), avcC);
  const table = box("stbl", full("stsd", 0, u32(1), avc1), full("stts", 0, u32(0)), full("stsc", 0, u32(0)), full("stsz", 0, u32(0, 0)), full("stco", 0, u32(0)));
  const here = box("dinf", full("dref", 0, u32(1), full("url ", 1)));
  const media = box(
    "mdia",
    full("mdhd", 0, u32(0, 0, timescale, 0), u16(0x55c4, 0)), // no language
    full("hdlr", 0, u32(0), ascii("vide"), zeros(12), ascii("Sightline\0")),
    box("minf", full("vmhd", 1, zeros(8)), here, table),
  );
  const shown = full("tkhd", 3, u32(0, 0, track, 0, 0, 0, 0), zeros(8), u32(...matrix, width * 0x10000, height * 0x10000));
  const movie = full("mvhd", 0, u32(0, 0, timescale, 0, 0x10000), u16(0x100, 0), zeros(8), u32(...matrix), zeros(24), u32(track + 1));
  const fragmented = box("mvex", full("trex", 0, u32(track, 1, 0, 0, 0)));
  return joined([box("ftyp", ascii("iso5"), u32(1), ascii("iso5avc1")), box("moov", movie, box("trak", shown, media), fragmented)]);
}

/** One access unit as a file's fragment. */
export function fragment(f: Fragment): Uint8Array<ArrayBuffer> {
  // sample_depends_on, and sample_is_non_sync_sample.
  const flags = f.key ? 0x2000000 : 0x1010000;
  const moof = (dataOffset: number) =>
    box(
      "moof",
      full("mfhd", 0, u32(f.sequence)),
      // Offsets count from the moof; then the defaults of this fragment: duration, size and flags of its sample.
      box("traf", full("tfhd", 0x20038, u32(track, f.duration, f.sample.length, flags)), full("tfdt", 0x1000000, u64(f.at)), full("trun", 1, u32(1, dataOffset))),
    );
  const data = box("mdat", f.sample);
  return joined([moof(moof(0).length + boxHead), data]);
}

/** An access unit of Annex B as a sample: each NAL unit behind its length, without delimiters and what the header has. */
export function sample(au: Uint8Array): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  for (const nal of units(au)) {
    const type = nalType(nal);
    if (type !== spsType && type !== ppsType && type !== delimiterType) parts.push(u32(nal.length), nal);
  }
  return joined(parts);
}

// --- boxes ---

const boxHead = 8;

function box(type: string, ...content: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = content.reduce((sum, c) => sum + c.length, boxHead);
  return joined([u32(length), ascii(type), ...content]);
}

/** A box with version and flags. */
const full = (type: string, versionAndFlags: number, ...content: readonly Uint8Array[]) => box(type, u32(versionAndFlags), ...content);

const zeros = (n: number) => new Uint8Array(n);
const u8 = (...values: number[]) => Uint8Array.from(values);
const u16 = (...values: number[]) => u8(...values.flatMap((v) => [v >>> 8, v & 0xff]));
const u32 = (...values: number[]) => u8(...values.flatMap((v) => [(v >>> 24) & 0xff, (v >>> 16) & 0xff, (v >>> 8) & 0xff, v & 0xff]));
const u64 = (value: number) => u32(Math.floor(value / 2 ** 32), value % 2 ** 32);
const ascii = (s: string) => Uint8Array.from(s, (c) => c.charCodeAt(0));

export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const b = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const p of parts) {
    b.set(p, at);
    at += p.length;
  }
  return b;
}
