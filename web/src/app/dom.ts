// The two helpers that all pages build with. Text goes in as text.

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

export function brand(): HTMLElement {
  const mark = el("img", "mark");
  mark.src = "/assets/favicon.svg";
  mark.alt = "";
  mark.width = mark.height = 28;
  return el("span", "brand", mark, "Sightline");
}
