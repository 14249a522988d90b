// A button with a panel that opens beside it. Escape and a click elsewhere close it; the focus goes in and comes back.

import { el, iconButton } from "./dom.ts";

let count = 0;

export class Popup {
  readonly button: HTMLButtonElement;
  readonly element = el("div", "panel");

  constructor(label: string, icon: string) {
    this.button = iconButton(label, icon);
    this.element.id = `panel-${++count}`;
    this.element.part.add("panel");
    this.element.setAttribute("role", "dialog");
    this.element.setAttribute("aria-label", label);
    this.element.hidden = true;
    this.button.setAttribute("aria-haspopup", "dialog");
    this.button.setAttribute("aria-controls", this.element.id);
    this.button.setAttribute("aria-expanded", "false");
    this.button.addEventListener("click", () => this.toggle());
    this.element.addEventListener("keydown", (e) => {
      if (e.key !== "Escape") return;
      e.stopPropagation(); // the page has its own use for it
      e.preventDefault();
      this.toggle(false);
      this.button.focus();
    });
  }

  get open(): boolean {
    return !this.element.hidden;
  }

  toggle(open = !this.open): void {
    if (open === this.open) return;
    this.element.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (open) this.focus();
  }

  /** What happened elsewhere closes it. */
  elsewhere(path: readonly EventTarget[]): void {
    if (!path.includes(this.element) && !path.includes(this.button)) this.toggle(false);
  }

  protected focus(): void {
    const first = (what: string): HTMLElement | null => this.element.querySelector<HTMLElement>(what);
    (first("input:checked") ?? first("input, button:not(:disabled)"))?.focus();
  }
}
