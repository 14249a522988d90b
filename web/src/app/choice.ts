// What a person chose for their wall, as the server keeps it for them, and what the page's address says instead. Pure.

import { largestSpan, layouts, type LayoutName } from "./grid.ts";

export interface Choice {
  readonly layout: LayoutName;
  /** Streams in the order of their tiles; those that are not in it come after, by name. */
  readonly order: readonly string[];
  /** How many cells wide tiles are; 1 where nothing is said. */
  readonly spans: Readonly<Record<string, number>>;
  /** Seconds until the next page is shown; 0: pages are not turned. */
  readonly turn: number;
}

export const untouched: Choice = { layout: "auto", order: [], spans: {}, turn: 0 };

/** Seconds that can be chosen. */
export const turns = [0, 5, 10, 20, 60] as const;
const longestTurn = 3600;

/** The choice in what the server keeps, which an older or a newer build of the pages may have written. */
export function choiceIn(kept: unknown): Choice {
  const wall = member(kept, "wall");
  const order = member(wall, "order");
  const spans = member(wall, "spans");
  return {
    layout: layoutNamed(member(wall, "layout")) ?? "auto",
    order: Array.isArray(order) ? order.filter((s) => typeof s === "string") : [],
    spans: typeof spans === "object" && spans !== null ? Object.fromEntries(Object.entries(spans).filter((e): e is [string, number] => isSpan(e[1]))) : {},
    turn: turnOf(member(wall, "turn")) ?? 0,
  };
}

/** What the address asks for comes before what was kept. */
export function choiceBy(parameters: URLSearchParams, kept: Choice): Choice {
  const turn = parameters.get("turn");
  const tiles = parameters.get("tiles");
  return {
    ...kept,
    ...(tiles === null ? {} : tilesIn(tiles)),
    layout: layoutNamed(parameters.get("layout")?.replace(" ", "+")) ?? kept.layout, // a bare + in an address is a space
    turn: (turn === null ? undefined : turnOf(Number(turn))) ?? kept.turn,
  };
}

/** The tiles of an address: streams in their order, those that are larger with how many cells wide they are, as in gate*2,road. */
function tilesIn(text: string): Pick<Choice, "order" | "spans"> {
  const tiles = text.split(",").map((tile): [string, number] => {
    const [stream = "", span = "1"] = tile.split("*");
    return [stream, Number(span)];
  });
  return { order: tiles.map(([stream]) => stream), spans: Object.fromEntries(tiles.filter(([, span]) => span > 1 && isSpan(span))) };
}

/** The streams in the order that was chosen. */
export function inOrder(streams: readonly string[], order: readonly string[]): string[] {
  const place = new Map(order.map((s, i) => [s, i]));
  return [...streams].sort((a, b) => (place.get(a) ?? order.length) - (place.get(b) ?? order.length) || (a < b ? -1 : 1));
}

/** The list with one thing moved to another's place. */
export function moved<T>(list: readonly T[], what: T, to: number): T[] {
  const rest = list.filter((x) => x !== what);
  return [...rest.slice(0, to), what, ...rest.slice(to)];
}

const isSpan = (n: unknown): boolean => typeof n === "number" && Number.isInteger(n) && n >= 1 && n <= largestSpan;
const layoutNamed = (name: unknown): LayoutName | undefined => layouts.find((l) => l === name);
const turnOf = (n: unknown): number | undefined => (typeof n === "number" && n >= 0 && n <= longestTurn ? Math.round(n) : undefined);

function member(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}
