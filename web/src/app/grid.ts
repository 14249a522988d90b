// Which tile an arrow key leads to. Pure.

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
