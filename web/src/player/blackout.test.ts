import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Blackout, type Advice, type Path } from "./blackout.ts";
import { micros } from "./units.ts";

/** What `note` says of testdata/blackout.json. */
interface Case {
  readonly name: string;
  readonly trips: number;
  readonly acts: readonly {
    readonly from: number;
    readonly to: number;
    readonly hears?: number;
    readonly deaf?: boolean;
    readonly answers?: boolean;
    readonly chance?: number;
    readonly path?: { readonly idle?: boolean; readonly rtt_ms?: number; readonly carries_bps?: number; readonly answered?: boolean };
    readonly asks?: readonly number[];
    readonly connects?: readonly number[];
    readonly stops?: readonly number[];
  }[];
}

const ms = (n: number) => micros(n * 1_000);
const { cases } = JSON.parse(readFileSync("testdata/blackout.json", "utf8")) as { cases: readonly Case[] };

for (const c of cases) {
  test(c.name, () => {
    const b = new Blackout(c.trips);
    let askedAt = ms(0);
    for (const act of c.acts) {
      const { idle = false, rtt_ms = 40, carries_bps = 0, answered = false } = act.path ?? {};
      const did: Record<Advice, number[]> = { wait: [], ask: [], connect: [], stop: [] };
      for (let t = act.from; t < act.to; t += 100) {
        const hears = act.hears !== undefined && (t - act.from) % act.hears === 0;
        const answers = act.answers === true && did.ask.at(-1) === t - 100;
        if ((hears && act.deaf !== true) || answers) askedAt = ms(t - 10);
        if (hears || answers) b.heard(ms(t));
        const path: Path = { expects: !idle, rtt: ms(rtt_ms), carriesBps: carries_bps, askedAt, answered };
        did[b.look(ms(t), path, act.chance ?? 0)].push(t);
      }
      if (act.asks !== undefined) assert.deepEqual(did.ask, act.asks, `asks from ${act.from} on`);
      if (act.stops !== undefined) assert.deepEqual(did.stop, act.stops, `stops from ${act.from} on`);
      assert.deepEqual(did.connect, act.connects ?? [], `connects from ${act.from} on`);
    }
  });
}

test("there are cases", () => assert.ok(cases.length > 10));
