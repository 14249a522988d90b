import assert from "node:assert/strict";
import { test } from "node:test";
import { parameterSets, withParameterSets } from "./annexb.ts";

const hex = (s: string) => Uint8Array.from(Buffer.from(s.replace(/\s/g, ""), "hex"));

test("the codec string is that of the real parameter set", () => {
  // What Chromium's OpenH264 and Firefox's x264 begin a keyframe with.
  assert.equal(parameterSets(hex("000000016742c01f8c8d402802dd35060606078442350000000168ce3c800000000165b80004"))?.codecString, "avc1.42c01f");
  assert.equal(parameterSets(hex("000000016742c01fd9005005ba100000030010 01e84800f183248000 00000168cb8cb200 00010605ffff80"))?.codecString, "avc1.42c01f");
  assert.equal(parameterSets(hex("00000109f0 0000016764002a1122 00000168ee3c80 00000165aabb"))?.codecString, "avc1.64002a");
});

test("sets that are missing, cut short or behind the picture are not there", () => {
  for (const au of ["", "000001", "00000165b80004", "000000016742c01f8c00000165b800", "00000168ce3c80 00000165b8", "000001674200 00000168ce 00000165", "00000165b8 000001 6742c01f8c 00000168ce3c80"]) {
    assert.equal(parameterSets(hex(au)), undefined, au);
  }
});

test("sets put before a picture are found there again", () => {
  const sets = parameterSets(hex("000000016742c01f8c8d0000000168ce3c800000000165b8"));
  assert.ok(sets);
  const au = withParameterSets(sets, hex("0000000165b80004"));
  assert.equal(Buffer.from(au).toString("hex"), "000000016742c01f8c8d0000000168ce3c800000000165b80004");
  assert.deepEqual(parameterSets(au), sets);
});

test("random bytes are searched without harm", () => {
  let seed = 7;
  const next = () => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) >>> 16;
  for (let i = 0; i < 5_000; i++) {
    const au = Uint8Array.from({ length: next() % 60 }, () => [0, 0, 0, 1, 0x67, 0x68, 0x65, next() & 0xff][next() % 8] ?? 0);
    const sets = parameterSets(au);
    if (sets !== undefined) assert.match(sets.codecString, /^avc1\.[0-9a-f]{6}$/);
  }
});
