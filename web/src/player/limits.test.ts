import assert from "node:assert/strict";
import { test } from "node:test";
import { limiting, limitWords, rate, type Limits } from "./limits.ts";
import { stringsIn } from "./strings.ts";

const well: Limits = {
  hidden: false, overloaded: false, decodedFps: 30, paintedFps: 30, encoding: 5_000, interval: 33_333, quality: "auto",
  server: { limit: "", carriesBps: 0, stills: false },
};
const network = { limit: "network" as const, carriesBps: 1_200_000, stills: false };

const cases: readonly { name: string; known: Partial<Limits>; want: string; words: RegExp }[] = [
  { name: "nothing", known: {}, want: "", words: /^$/ },
  { name: "no status yet", known: { server: undefined }, want: "", words: /^$/ },
  { name: "a network, as far as it is known", known: { server: network }, want: "network", words: /carries 1\.2 Mbit\/s\.$/ },
  { name: "a network of which no rate is known", known: { server: { ...network, carriesBps: 0 } }, want: "network", words: /carries no more\.$/ },
  { name: "still pictures", known: { server: { limit: "network", carriesBps: 64_000, stills: true } }, want: "network", words: /64 kbit\/s: too little for a moving picture/ },
  { name: "others", known: { server: { limit: "shared", carriesBps: 0, stills: false } }, want: "shared", words: /Others watch/ },
  { name: "the size", known: { server: { limit: "size", carriesBps: 0, stills: false } }, want: "size", words: /at this size/ },
  { name: "a choice", known: { quality: "low", server: { limit: "size", carriesBps: 0, stills: false } }, want: "size", words: /You chose/ },
  { name: "a hidden tab, whatever else", known: { hidden: true, overloaded: true, server: network }, want: "tab", words: /out of sight/ },
  { name: "the decoder before the network", known: { overloaded: true, server: network }, want: "decoder", words: /This device/ },
  { name: "a tab that paints little", known: { paintedFps: 4 }, want: "tab", words: /browser paints fewer/ },
  { name: "a screen of half the rate", known: { decodedFps: 120, paintedFps: 59 }, want: "", words: /^$/ },
  { name: "the encoder", known: { encoding: 40_000 }, want: "encoder", words: /encodes more slowly/ },
];

for (const c of cases) {
  test(`what limits: ${c.name}`, () => {
    const found = limiting({ ...well, ...c.known });
    assert.equal(found.name, c.want);
    assert.match(limitWords(stringsIn.en, found), c.words);
  });
}

test("bit rates in words", () => {
  assert.deepEqual([64_000, 999_000, 1_000_000, 12_340_000].map(rate), ["64 kbit/s", "999 kbit/s", "1.0 Mbit/s", "12.3 Mbit/s"]);
});
