// The file that is made is read by FFmpeg, which must find in it what the encoder wrote, picture for picture.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { sets } from "./annexb.ts";
import { fragment, header, sample } from "./fmp4.ts";

const pictures = 30;
const interval = 33_333;
const ffmpeg = (args: string, input?: Uint8Array): Buffer => execFileSync("ffmpeg", ["-v", "error", ...args.split(" ")], { input, maxBuffer: 64 << 20 });

/** Access units, each with its delimiter first, as cameras and libx264 write them. */
function encoded(profile: string): Uint8Array[] {
  const stream = ffmpeg(
    `-f lavfi -i testsrc2=size=322x180:rate=30 -frames:v ${pictures} -c:v libx264 -profile:v ${profile} -pix_fmt yuv420p -tune zerolatency -g 10 -bsf:v h264_metadata=aud=insert -f h264 -`,
  );
  const starts: number[] = [];
  for (let at = stream.indexOf("0000000109", 0, "hex"); at >= 0; at = stream.indexOf("0000000109", at + 1, "hex")) starts.push(at);
  return starts.map((from, i) => stream.subarray(from, starts[i + 1]));
}

function file(units: readonly Uint8Array[]): Buffer {
  const first = units[0] === undefined ? undefined : sets(units[0]);
  assert.ok(first !== undefined, "the first unit has parameter sets");
  const fragments = units.map((u, i) => fragment({ sequence: i + 1, at: i * interval, duration: interval, key: sets(u) !== undefined, sample: sample(u) }));
  return Buffer.concat([header(first, 322, 180), ...fragments]);
}

for (const profile of ["baseline", "high"]) {
  test(`FFmpeg reads each picture of a ${profile} stream, at its time, as it was`, () => {
    const units = encoded(profile);
    assert.equal(units.length, pictures);
    const mp4 = file(units);
    const probed = JSON.parse(
      execFileSync("ffprobe", ["-v", "error", "-show_streams", "-show_format", "-show_packets", "-of", "json", "-"], { input: mp4 }).toString(),
    ) as { streams: Record<string, unknown>[]; packets: Record<string, string | number>[] };
    const [stream] = probed.streams;
    assert.deepEqual([probed.streams.length, stream?.["codec_name"], stream?.["codec_tag_string"], stream?.["width"], stream?.["height"], stream?.["time_base"]], [1, "h264", "avc1", 322, 180, "1/1000000"]);
    assert.equal(stream?.["nal_length_size"], "4");
    assert.deepEqual(probed.packets.map((p) => [p["pts"], p["dts"], p["duration"]]), units.map((_, i) => [i * interval, i * interval, interval]));
    assert.deepEqual(probed.packets.flatMap((p, i) => (String(p["flags"]).startsWith("K") ? [i] : [])), [0, 10, 20]);
    const digests = (format: string, input: Uint8Array) => ffmpeg(`-f ${format} -i - -f framemd5 -`, input).toString().split("\n").filter((l) => !l.startsWith("#")).map((l) => l.split(",").at(-1));
    assert.deepEqual(digests("mp4", mp4), digests("h264", Buffer.concat(units)));
  });
}

test("times beyond 32 bits are written whole", () => {
  const units = encoded("baseline").slice(0, 1);
  const [unit] = units;
  assert.ok(unit !== undefined);
  const found = sets(unit);
  assert.ok(found !== undefined);
  const at = 9_007_199_254_000_001;
  const mp4 = Buffer.concat([header(found, 322, 180), fragment({ sequence: 7, at, duration: interval, key: true, sample: sample(unit) })]);
  const packets = execFileSync("ffprobe", ["-v", "error", "-show_entries", "packet=pts", "-of", "csv=p=0", "-"], { input: mp4 }).toString();
  assert.equal(packets.trim().replace(/,$/, ""), String(at));
});

test("a sample has the picture and what describes it, each behind its length", () => {
  const au = Buffer.from("0000000109f0 00000001674201 0000000168ce 000001060502ffff80 00000165b80004 00000141 9a".replace(/ /g, ""), "hex");
  assert.equal(Buffer.from(sample(au)).toString("hex"), "00000006060502ffff80" + "0000000465b80004" + "00000002419a");
});
