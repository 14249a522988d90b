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

export interface Layout {
  readonly columns: number;
  /** Of all columns with the gaps between them. */
  readonly width: number;
}

/** A layout with more columns is preferred while its tiles are at least this large beside the largest. */
const nearly = 0.9;

/** The layout whose tiles are about the largest without the wall growing higher than the window, where that can be had. */
export function layout(count: number, width: number, height: number, gap: number): Layout {
  const most = Math.max(1, Math.floor((width + gap) / (leastWidth + gap)));
  let best = { columns: 1, tile: 0 };
  let largest = 0;
  for (let columns = 1; columns <= Math.min(most, Math.max(count, 1)); columns++) {
    const rows = Math.ceil(count / columns);
    const byWidth = (width - gap * (columns - 1)) / columns;
    const byHeight = ((height - gap * (rows - 1)) / rows) * aspect;
    const tile = Math.min(byWidth, byHeight);
    largest = Math.max(largest, tile);
    if (tile >= largest * nearly) best = { columns, tile };
  }
  if (best.tile < Math.min(leastWidth, width)) {
    // They do not all fit: as many columns as can be told apart, over the whole width.
    return { columns: Math.min(most, Math.max(count, 1)), width };
  }
  return { columns: best.columns, width: Math.floor(best.tile * best.columns + gap * (best.columns - 1)) };
}
