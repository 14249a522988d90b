// Lines and areas over the last minute, as SVG paths. Pure. A chart is a box of units in which now is the right edge.

import type { Sample } from "./history.ts";

export const width = 600;
export const height = 100;
const span = 60_000; // ms

/** One value of each sample; null leaves a gap. */
export type Series = readonly (number | null)[];

/** The areas of several series, each upon those before it. A sample counts when all are known. */
export function stacked(samples: readonly Sample[], series: readonly Series[], most: number): string[] {
  const below = samples.map(() => 0);
  return series.map((values) => {
    const lower = [...below];
    values.forEach((v, i) => (below[i] = (below[i] ?? 0) + (v ?? 0)));
    const known = (i: number) => series.every((s) => s[i] !== null && s[i] !== undefined);
    return runs(samples, known)
      .map((run) => {
        const edge = (at: readonly number[], i: number) => `${x(samples, i)} ${y(at[i] ?? 0, most)}`;
        const upper = run.map((i) => edge(below, i));
        return `M${upper.join("L")}L${run.map((i) => edge(lower, i)).reverse().join("L")}Z`;
      })
      .join("");
  });
}

/** A line through the values. */
export const line = (samples: readonly Sample[], values: Series, most: number): string =>
  runs(samples, (i) => values[i] !== null && values[i] !== undefined)
    .map((run) => `M${run.map((i) => `${x(samples, i)} ${y(values[i] ?? 0, most)}`).join("L")}`)
    .join("");

/** The end of a scale: the least of 1, 2 and 5 times a power of ten that holds the value. */
export function roundUp(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((n) => n * power >= value * 0.999) ?? 10) * power;
}

/** Indices that follow each other and are known. */
function runs(samples: readonly Sample[], known: (i: number) => boolean): number[][] {
  const found: number[][] = [];
  samples.forEach((_, i) => {
    if (!known(i)) return;
    const last = found.at(-1);
    if (last?.at(-1) === i - 1) last.push(i);
    else found.push([i]);
  });
  return found;
}

function x(samples: readonly Sample[], i: number): string {
  const end = samples.at(-1)?.at_ms ?? 0;
  return (width - ((end - (samples[i]?.at_ms ?? end)) / span) * width).toFixed(1);
}

const y = (value: number, most: number): string => (height - Math.min(value / most, 1) * height).toFixed(1);
