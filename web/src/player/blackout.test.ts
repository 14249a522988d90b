import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Blackout, type Path } from "./blackout.ts";
import { micros } from "./units.ts";

/** What `note` says of testdata/blackout.json. */
interface Case {
  readonly name: string;
  readonly trips: number;
  readonly acts: readonly {
    readonly from: number;
    readonly to: number;
    readonly hears?: number;
    readonly answers?: boolean;
    readonly chance?: number;
    readonly path?: { readonly idle?: boolean; readonly rtt_ms?: number; readonly carries_bps?: number; readonly answered?: boolean };
    readonly asks?: readonly number[];
    readonly connects?: readonly number[];
  }[];
}

const ms = (n: number) => micros(n * 1_000);
const { cases } = JSON.parse(readFileSync("testdata/blackout.json", "utf8")) as { cases: readonly Case[] };

for (const c of cases) {
  test(c.name, () => {
    const b = new Blackout(c.trips);
    for (const act of c.acts) {
      const { idle = false, rtt_ms = 40, carries_bps = 0, answered = false } = act.path ?? {};
      const path: Path = { expects: !idle, rtt: ms(rtt_ms), carriesBps: carries_bps, answered };
      const asks: number[] = [];
      const connects: number[] = [];
      for (let t = act.from; t < act.to; t += 100) {
        if ((act.hears !== undefined && (t - act.from) % act.hears === 0) || (act.answers === true && asks.at(-1) === t - 100)) b.heard(ms(t));
        const advice = b.look(ms(t), path, act.chance ?? 0);
        if (advice === "ask") asks.push(t);
        if (advice === "connect") connects.push(t);
      }
      if (act.asks !== undefined) assert.deepEqual(asks, act.asks, `asks from ${act.from} on`);
      assert.deepEqual(connects, act.connects ?? [], `connects from ${act.from} on`);
    }
  });
}

test("there are cases", () => assert.ok(cases.length > 10));
