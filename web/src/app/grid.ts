// How the tiles of the wall are laid out, and which of them an arrow key leads to. Pure.

export type Direction = "left" | "right" | "up" | "down";

interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/**
 * The index of the next tile from the current one, in reading order for left and right, and to the tile nearest in the next
 * row for up and down. It is the current one where there is none further, 0 where none is current, -1 where there are none.
 */
export function nextTile(boxes: readonly Box[], current: number, direction: Direction): number {
  const from = boxes[current];
  if (from === undefined) return boxes.length === 0 ? -1 : 0;
  if (direction === "left") return Math.max(current - 1, 0);
  if (direction === "right") return Math.min(current + 1, boxes.length - 1);
  const sign = direction === "down" ? 1 : -1;
  let best = current;
  let bestDistance = Number.POSITIVE_INFINITY;
  boxes.forEach((to, i) => {
    const rows = (to.top - from.top) * sign;
    if (rows < from.height / 2) return;
    // A nearer row always wins over a nearer column.
    const distance = rows * 1_000 + Math.abs(to.left + to.width / 2 - (from.left + from.width / 2));
    if (distance < bestDistance) {
      bestDistance = distance;
      best = i;
    }
  });
  return best;
}

const aspect = 16 / 9;
/** Narrower tiles tell nothing; the wall scrolls instead. In CSS pixels. */
const leastWidth = 300;
/** Whoever asks for a number of columns gets narrower ones, down to this. */
const leastWishedWidth = 150;

export const layouts = ["auto", "1+5", "2x2", "3x3", "4x4", "5x5"] as const;
export type LayoutName = (typeof layouts)[number];

/** A tile is at most so many cells wide and high. */
export const largestSpan = 4;

export interface Layout {
  /** Of cells: the shape of a picture each, of one size. */
  readonly columns: number;
  /** Of one row, in CSS pixels. */
  readonly row: number;
  /** Of all columns with the gaps between them. */
  readonly width: number;
  /** How many cells wide and high each tile is. */
  readonly spans: readonly number[];
}

/** The tiles from one to before another. */
export interface Page {
  readonly from: number;
  readonly to: number;
}

export interface Room {
  readonly width: number;
  readonly height: number;
  readonly gap: number;
}

/** A layout with more columns is preferred while its cells are at least this large beside the largest. */
const nearly = 0.9;

/** How many cells wide the tiles of a layout by name are, and how many columns it has; undefined where that follows from the room. */
function scheme(name: LayoutName, room: Room): { readonly columns: number; readonly spans: readonly number[] } | undefined {
  if (name === "auto") return undefined;
  const columns = name === "1+5" ? 3 : Number(name[0]);
  if ((room.width + room.gap) / columns - room.gap < leastWishedWidth) return undefined; // on a phone it is as if none was chosen
  return { columns, spans: name === "1+5" ? [2, 1, 1, 1, 1, 1] : Array.from({ length: columns * columns }, () => 1) };
}

/**
 * The layout of the tiles of one page; spans are those that somebody gave them, which hold where no layout is chosen by name. Without
 * one the tiles are about as large as they can be without the wall growing higher than the room, where that can be had.
 */
export function layout(name: LayoutName, spans: readonly number[], room: Room): Layout {
  const fixed = scheme(name, room);
  if (fixed !== undefined) return laid(fixed.columns, fixed.columns, fixed.spans.slice(0, spans.length), room);
  const most = Math.max(1, Math.floor((room.width + room.gap) / (leastWidth + room.gap)));
  const cells = spans.reduce((sum, s) => sum + s * s, 0);
  let best: Layout | undefined;
  let largest = 0;
  for (let columns = 1; columns <= Math.min(most, Math.max(cells, 1)); columns++) {
    const held = spans.map((s) => Math.min(s, columns));
    const to = laid(columns, rows(held, columns), held, room);
    largest = Math.max(largest, to.row);
    if (to.row >= largest * nearly) best = to;
  }
  if (best !== undefined && best.row * aspect >= Math.min(leastWidth, room.width) - 1) return best;
  // They do not all fit: as many columns as can be told apart, over the whole width.
  const columns = Math.min(most, Math.max(cells, 1));
  return laid(columns, 0, spans.map((s) => Math.min(s, columns)), room);
}

/** rows is 0 where the room's height does not matter. */
function laid(columns: number, rows: number, spans: readonly number[], { width, height, gap }: Room): Layout {
  const byWidth = (width - gap * (columns - 1)) / columns;
  const byHeight = rows === 0 ? byWidth : ((height - gap * (rows - 1)) / rows) * aspect;
  const cell = Math.max(Math.min(byWidth, byHeight), 1);
  return { columns, row: cell / aspect, width: cell === byWidth ? width : Math.floor(cell * columns + gap * (columns - 1)), spans };
}

/** The rows that squares take which are put one after the other where there is room first, as CSS does with grid-auto-flow: dense. */
export function rows(spans: readonly number[], columns: number): number {
  const taken: boolean[][] = [];
  const free = (row: number, column: number, span: number): boolean => {
    for (let r = row; r < row + span; r++) for (let c = column; c < column + span; c++) if (taken[r]?.[c] === true) return false;
    return true;
  };
  for (const span of spans) {
    let row = 0;
    let column = 0;
    while (!free(row, column, span)) {
      column++;
      if (column + span > columns) [row, column] = [row + 1, 0];
    }
    for (let r = row; r < row + span; r++) for (let c = column; c < column + span; c++) (taken[r] ??= [])[c] = true;
  }
  return taken.length;
}

/**
 * Parts the tiles into pages. A layout by name has places for so many; without one they are all on one page, which scrolls, unless
 * pages are turned: then on each are as many as the room shows at once.
 */
export function pages(name: LayoutName, spans: readonly number[], room: Room, turned: boolean): Page[] {
  const places = scheme(name, room)?.spans.length;
  if (places === undefined && !turned) return [{ from: 0, to: spans.length }];
  const list: Page[] = [];
  for (let from = 0; from < spans.length; ) {
    let to = places === undefined ? from + 1 : Math.min(from + places, spans.length);
    if (places === undefined) while (to < spans.length && fits(spans.slice(from, to + 1), room)) to++;
    list.push({ from, to });
    from = to;
  }
  return list.length === 0 ? [{ from: 0, to: 0 }] : list;
}

function fits(spans: readonly number[], room: Room): boolean {
  const { columns, row, spans: held } = layout("auto", spans, room);
  const n = rows(held, columns);
  return n * row + (n - 1) * room.gap <= room.height + 1;
}
