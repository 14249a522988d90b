// The walls that a person keeps by name, and the address that shows a wall to somebody else. Pure.

import { choiceIn, untouched, type Choice } from "./choice.ts";

/** All that is chosen for a wall: the group, too. */
export interface SavedWall extends Choice {
  /** Empty for all cameras. */
  readonly group: string;
}

/** The walls in what the server keeps, by name, which an older or a newer build of the pages may have written. */
export function savedIn(kept: unknown): ReadonlyMap<string, SavedWall> {
  const walls: unknown = typeof kept === "object" && kept !== null ? Reflect.get(kept, "walls") : undefined;
  if (typeof walls !== "object" || walls === null || Array.isArray(walls)) return new Map();
  return new Map(
    Object.entries(walls).map(([name, wall]: [string, unknown]) => {
      const group: unknown = typeof wall === "object" && wall !== null ? Reflect.get(wall, "group") : undefined;
      return [name, { ...choiceIn({ wall }), group: typeof group === "string" ? group : "" }];
    }),
  );
}

/** The path at which a wall looks like this one, for everybody who may see its cameras. */
export function addressOf(wall: SavedWall): string {
  const parameters = new URLSearchParams();
  if (wall.group !== "") parameters.set("group", wall.group);
  parameters.set("layout", wall.layout);
  if (wall.turn !== untouched.turn) parameters.set("turn", String(wall.turn));
  const placed = [...wall.order, ...Object.keys(wall.spans).filter((s) => !wall.order.includes(s))];
  // No stream's name has a comma or a star in it.
  if (placed.length > 0) parameters.set("tiles", placed.map((s) => ((wall.spans[s] ?? 1) === 1 ? s : `${s}*${wall.spans[s]}`)).join(","));
  return `/?${parameters}`;
}
