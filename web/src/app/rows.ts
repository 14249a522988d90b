// A list on the screen kept in step with one of the server's. What stays is left where it is, with its focus.

import { el, setText } from "./dom.ts";

export interface Row<T> {
  readonly element: HTMLElement;
  update(item: T): void;
}

export class Rows<T> {
  readonly #parent: HTMLElement;
  readonly #key: (item: T) => string;
  readonly #make: (item: T) => Row<T>;
  readonly #rows = new Map<string, Row<T>>();

  constructor(parent: HTMLElement, key: (item: T) => string, make: (item: T) => Row<T>) {
    this.#parent = parent;
    this.#key = key;
    this.#make = make;
  }

  update(items: readonly T[]): void {
    const keys = new Set(items.map(this.#key));
    for (const [key, row] of this.#rows) {
      if (keys.has(key)) continue;
      const focused = row.element.contains(document.activeElement);
      row.element.remove();
      this.#rows.delete(key);
      // Whoever was there stays near.
      if (focused) this.#parent.closest<HTMLElement>("[tabindex='-1']")?.focus({ preventScroll: true });
    }
    let next = this.#parent.firstElementChild;
    for (const item of items) {
      const key = this.#key(item);
      let row = this.#rows.get(key);
      if (row === undefined) {
        row = this.#make(item);
        this.#rows.set(key, row);
      }
      row.update(item);
      if (row.element === next) next = next.nextElementSibling;
      else this.#parent.insertBefore(row.element, next);
    }
  }
}

export interface Column<T> {
  readonly name: string;
  readonly text: (item: T) => string;
  /** What is said when the pointer rests on it. */
  readonly title?: (item: T) => string;
  /** A word by which the style tells cells apart. */
  readonly tone?: (item: T) => string;
  /** It is long: it breaks into lines, and on a narrow screen has the whole width. */
  readonly long?: true;
}

/** A table of rows, with buttons at the end of each. On a narrow screen each cell stands under its column's name. */
export class Table<T> {
  readonly element: HTMLTableElement;
  readonly #rows: Rows<T>;

  constructor(name: string, columns: readonly Column<T>[], key: (item: T) => string, buttons?: (item: T) => HTMLElement[]) {
    const head = el("tr", "", ...columns.map((c) => as("columnheader", el("th", "", c.name))));
    if (buttons !== undefined) head.append(as("columnheader", el("th", "", el("span", "unseen", "What to do"))));
    const body = as("rowgroup", el("tbody", ""));
    // The roles are said, because the style of a narrow screen would take them away.
    this.element = as("table", el("table", "", as("rowgroup", el("thead", "", as("row", head))), body));
    this.element.setAttribute("aria-label", name);
    this.#rows = new Rows(body, key, (item) => {
      const cells = columns.map((c) => {
        const cell = as("cell", el("td", c.long ? "long" : ""));
        cell.dataset["name"] = c.name;
        return cell;
      });
      const row = as("row", el("tr", "", ...cells));
      if (buttons !== undefined) row.append(as("cell", el("td", "buttons", ...buttons(item))));
      const update = (to: T): void =>
        cells.forEach((cell, i) => {
          const column = columns[i];
          if (column === undefined) return;
          setText(cell, column.text(to));
          if (column.title !== undefined) cell.title = column.title(to);
          if (column.tone !== undefined) cell.dataset["tone"] = column.tone(to);
        });
      return { element: row, update };
    });
  }

  update(items: readonly T[]): void {
    this.#rows.update(items);
    this.element.hidden = items.length === 0;
  }
}

function as<E extends HTMLElement>(role: string, element: E): E {
  element.setAttribute("role", role);
  return element;
}

const two = (n: number): string => String(n).padStart(2, "0");
const day = (t: Date): string => `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;

/** A time in this device's zone, with its day if that is not today. */
export function timeWords(t: Date, now = new Date()): string {
  const clock = `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
  return day(t) === day(now) ? clock : `${day(t)} ${clock}`;
}
