// Tiles dragged to their places, and by their corners to their sizes. What can be done by dragging can be done by buttons and keys too;
// those are the tiles' and the wall's.

export interface ArrangingEvents {
  /** A stream's tile is to stand where another's stands. */
  movedTo(stream: string, other: string): void;
  /** A stream's tile is to be so many cells wide. */
  sizedTo(stream: string, span: number): void;
}

export class Arranging {
  readonly #grid: HTMLElement;
  readonly #events: ArrangingEvents;
  readonly #listening = new AbortController();
  #held: { readonly cell: HTMLElement; readonly pointer: number; readonly sizing: boolean } | undefined;
  /** The cell that gave way last: it does so again only after the pointer was elsewhere. */
  #gaveWay: Element | undefined;

  /** grid holds cells with data-stream, of which some have a .corner. */
  constructor(grid: HTMLElement, events: ArrangingEvents) {
    this.#grid = grid;
    this.#events = events;
    const { signal } = this.#listening;
    grid.addEventListener("pointerdown", (e) => this.#down(e), { signal });
    addEventListener("pointermove", (e) => this.#move(e), { signal });
    for (const name of ["pointerup", "pointercancel"] as const) addEventListener(name, (e) => this.#up(e), { signal });
  }

  /** Safe to call twice. */
  close(): void {
    this.#listening.abort();
    this.#letGo();
  }

  #down(e: PointerEvent): void {
    const target = e.target;
    if (this.#held !== undefined || e.button !== 0 || !(target instanceof Element) || target.closest("button") !== null) return;
    const cell = target.closest<HTMLElement>(".cell");
    if (cell === null) return;
    e.preventDefault(); // no text is marked, no link dragged
    cell.querySelector("a")?.focus({ preventScroll: true });
    this.#held = { cell, pointer: e.pointerId, sizing: target.classList.contains("corner") };
    cell.classList.add("held");
  }

  #move(e: PointerEvent): void {
    const held = this.#held;
    if (held === undefined || e.pointerId !== held.pointer) return;
    const stream = held.cell.dataset["stream"] ?? "";
    if (held.sizing) {
      const { left, width } = held.cell.getBoundingClientRect();
      const span = Number(held.cell.style.getPropertyValue("--span")) || 1;
      const wanted = Math.max(1, Math.round((e.clientX - left) / (width / span)));
      if (wanted !== span) this.#events.sizedTo(stream, wanted);
      return;
    }
    const over = document.elementsFromPoint(e.clientX, e.clientY).find((x) => x.classList.contains("cell") && this.#grid.contains(x));
    if (!(over instanceof HTMLElement) || over === held.cell) {
      this.#gaveWay = undefined;
    } else if (over !== this.#gaveWay) {
      this.#gaveWay = over;
      this.#events.movedTo(stream, over.dataset["stream"] ?? "");
    }
  }

  #up(e: PointerEvent): void {
    if (e.pointerId === this.#held?.pointer) this.#letGo();
  }

  #letGo(): void {
    this.#held?.cell.classList.remove("held");
    this.#held = this.#gaveWay = undefined;
  }
}
