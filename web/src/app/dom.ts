// The helpers that all pages build with. Text goes in as text.

import type { Navigation } from "./page.ts";

export function el<K extends keyof HTMLElementTagNameMap>(tag: K, className: string, ...content: (Node | string)[]): HTMLElementTagNameMap[K] {
  const e = document.createElement(tag);
  if (className !== "") e.className = className;
  e.append(...content);
  return e;
}

/** Leaves the text alone when it is the same, so that it is not read aloud again. */
export function setText(e: HTMLElement, text: string): void {
  if (e.textContent !== text) e.textContent = text;
}

/** A link to a page of this application, which is shown without loading anything anew. */
export function link(navigation: Navigation, className: string, text: string, path: string): HTMLAnchorElement {
  const a = el("a", className, text);
  a.href = path;
  a.addEventListener("click", (e) => {
    if (e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0) return;
    e.preventDefault();
    navigation.go(path);
  });
  return a;
}

/** A button that does something; what it shows is its name, unless label says it. */
export function button(className: string, action: () => void, content: string | Node, label?: string): HTMLButtonElement {
  const b = el("button", className, content);
  b.type = "button";
  if (label !== undefined) {
    b.title = label;
    b.setAttribute("aria-label", label);
  }
  b.addEventListener("click", action);
  return b;
}

/** Has a button open a panel below it, or above where it stands low; opening is called before. */
export function dropdown(opener: HTMLButtonElement, panel: HTMLElement, opening: () => void): void {
  panel.popover = "auto";
  panel.classList.add("menu");
  opener.popoverTargetElement = panel;
  panel.addEventListener("beforetoggle", (e) => {
    if (e.newState !== "open") return;
    const at = opener.getBoundingClientRect();
    const below = at.top < innerHeight / 2;
    panel.style.setProperty("--right", `${at.right}px`);
    panel.style.top = below ? `${at.bottom + 8}px` : "auto";
    panel.style.bottom = below ? "auto" : `${innerHeight - at.top + 8}px`;
    opening();
  });
}

/** Moves an element without ending what runs in it, where the browser can do that. */
export function place(parent: Element, element: Element, before: Element | null): void {
  if (element.parentElement === parent && element.nextElementSibling === before) return;
  if (element.parentElement === parent && "moveBefore" in parent) parent.moveBefore(element, before);
  else parent.insertBefore(element, before);
}

export function brand(): HTMLElement {
  const mark = el("img", "mark");
  mark.src = "/assets/favicon.svg";
  mark.alt = "";
  mark.width = mark.height = 28;
  return el("span", "brand", mark, "Sightline");
}

/** A line drawing of 24 by 24. */
export function icon(path: string): SVGElement {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(namespace, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}
