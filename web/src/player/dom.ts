// The helpers that the player's parts are built with. Text goes in as text.

export function el<K extends keyof HTMLElementTagNameMap>(tag: K, className = "", text = ""): HTMLElementTagNameMap[K] {
  const e = document.createElement(tag);
  if (className !== "") e.className = className;
  if (text !== "") e.textContent = text;
  return e;
}

/** A button that shows a line drawing of 24 by 24. */
export function iconButton(label: string, path: string): HTMLButtonElement {
  const b = el("button");
  b.type = "button";
  b.title = label;
  b.setAttribute("aria-label", label);
  const svgNamespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(svgNamespace, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(svgNamespace, "path");
  line.setAttribute("d", path);
  svg.append(line);
  b.append(svg);
  return b;
}

/** Leaves the text alone when it is the same, so that it is not read aloud again. */
export function setText(e: HTMLElement, text: string): void {
  if (e.textContent !== text) e.textContent = text;
}
