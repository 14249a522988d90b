// A day as a line: paths, scales and tables of the figures that the server keeps. Pure.

/** A value for each step; null where it is not known, as while the server was off. */
export type Values = readonly (number | null)[];

export const width = 960;
export const height = 120;

/** The end of a scale: the least of 1, 2 and 5 times a power of ten that holds all values. */
export function scale(...lines: readonly Values[]): number {
  let most = 0;
  for (const line of lines) for (const v of line) if (v !== null && v > most) most = v;
  if (most <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return ([1, 2, 5, 10].find((n) => n * power >= most * 0.999) ?? 10) * power;
}

/** A line through the values, from least at the bottom to most, with gaps where none are known. One that stands alone is a dot's length. */
export function path(values: Values, most: number, least = 0): string {
  const step = width / Math.max(1, values.length - 1);
  let d = "";
  let open = false;
  values.forEach((v, i) => {
    if (v === null) {
      open = false;
      return;
    }
    const at = `${(i * step).toFixed(1)} ${(height - Math.min(Math.max((v - least) / (most - least), 0), 1) * height).toFixed(1)}`;
    d += open ? `L${at}` : `M${at}`;
    if (!open && (values[i + 1] ?? null) === null) d += "h1";
    open = true;
  });
  return d;
}

/** The last value that is known; undefined where none is. */
export function last(values: Values): number | undefined {
  return values.findLast((v) => v !== null) ?? undefined;
}

/** The mean of those that are known in a part of the day; undefined where none is. */
export function mean(values: Values, from: number, to: number): number | undefined {
  let [sum, n] = [0, 0];
  for (const v of values.slice(from, to)) {
    if (v === null) continue;
    sum += v;
    n++;
  }
  return n === 0 ? undefined : sum / n;
}

/** Where the hours begin that a day is told by: index of the value, and the time of it. The last, not yet whole, is among them. */
export function hours(from: Date, step: number, count: number): { readonly at: number; readonly to: number; readonly time: Date }[] {
  const hour = 3_600_000;
  const list = [];
  for (let t = Math.floor(from.getTime() / hour) * hour; t < from.getTime() + count * step * 1000; t += hour) {
    const index = (time: number): number => Math.round((time - from.getTime()) / (step * 1000));
    list.push({ at: Math.max(0, index(t)), to: Math.min(count, index(t + hour)), time: new Date(t) });
  }
  return list;
}
