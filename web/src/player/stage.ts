// The place in which pictures are seen: enlarged, moved, turned and mirrored by fingers, wheel and keys.

import { el } from "./dom.ts";
import * as view from "./view.ts";

/** A key's step in pixels, and its factor. */
const keyStep = 60;
const keyFactor = 1.25;
/** A notch of a wheel is some 100 pixels, and enlarges by about a fifth. */
const wheelFactor = 1.002;

export interface StageEvents {
  /** The view or the size of the place is another. */
  changed(): void;
}

export class Stage {
  readonly element = el("div", "stage");
  /** Where the live picture is. */
  readonly live = el("div", "live");
  readonly #events: StageEvents;
  #view = view.wholeView;
  #split = false;
  #picture: view.Size = { width: 16, height: 9 };
  /** Where each finger is, in CSS pixels of the window. */
  readonly #pointers = new Map<number, view.Point>();
  readonly #resize = new ResizeObserver(() => this.#set(this.#view));

  constructor(events: StageEvents) {
    this.#events = events;
    this.element.part.add("stage");
    this.element.append(this.live);
    this.#resize.observe(this.element);
  }

  /** Lets people move the picture. */
  listen(): void {
    const e = this.element;
    e.addEventListener("wheel", (w) => this.#wheel(w), { passive: false });
    e.addEventListener("pointerdown", (p) => this.#down(p));
    e.addEventListener("pointermove", (p) => this.#move(p));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"] as const) e.addEventListener(end, (p) => this.#pointers.delete(p.pointerId));
  }

  get view(): view.View {
    return this.#view;
  }

  get picture(): view.Size {
    return this.#picture;
  }

  set picture(size: view.Size) {
    if (size.width === this.#picture.width && size.height === this.#picture.height) return;
    this.#picture = size;
    this.#set(this.#view);
  }

  /** Two pictures stand side by side, the live one on the right. */
  get split(): boolean {
    return this.#split;
  }

  set split(split: boolean) {
    this.#split = split;
    this.element.classList.toggle("split", split);
    this.#set(this.#view);
  }

  /** What a picture is laid into. */
  get box(): view.Size {
    return { width: this.element.clientWidth / (this.#split ? 2 : 1), height: this.element.clientHeight };
  }

  get matrix(): view.Matrix {
    return view.matrix(this.#view, this.box, this.#picture);
  }

  show(v: view.View): void {
    this.#set(v);
  }

  turn(turns: view.Turns, mirrored: boolean): void {
    if (turns !== this.#view.turns || mirrored !== this.#view.mirrored) this.#set({ ...view.reset(this.#view), turns, mirrored });
  }

  zoom(factor: number, at: view.Point = { x: 0, y: 0 }): void {
    this.#set(view.zoomed(this.#view, factor, at, this.box, this.#picture));
  }

  pan(dx: number, dy: number): void {
    this.#set(view.panned(this.#view, dx, dy, this.box, this.#picture));
  }

  reset(): void {
    this.#set(view.reset(this.#view));
  }

  /** Takes a key for zoom and pan; says whether it did. */
  key(key: string): boolean {
    switch (key) {
      case "+":
      case "=":
        this.zoom(keyFactor);
        return true;
      case "-":
        this.zoom(1 / keyFactor);
        return true;
      case "0":
        this.reset();
        return true;
    }
    const way = arrows[key];
    if (way === undefined || this.#view.zoom === 1) return false;
    this.pan(way[0] * keyStep, way[1] * keyStep);
    return true;
  }

  #set(v: view.View): void {
    const { width, height } = this.box;
    if (width === 0 || height === 0) {
      this.#view = v;
      return;
    }
    this.#view = view.kept(v, this.box, this.#picture);
    this.element.style.setProperty("--view", view.transform(this.#view, this.box, this.#picture));
    this.element.classList.toggle("zoomed", this.#view.zoom > 1);
    this.#events.changed();
  }

  #wheel(e: WheelEvent): void {
    // A page that can be scrolled goes on scrolling, until the person asks for this picture.
    const root = document.documentElement;
    const asked = e.ctrlKey || e.metaKey || this.#view.zoom > 1 || document.fullscreenElement !== null || root.scrollHeight <= root.clientHeight;
    if (!asked) return;
    e.preventDefault();
    const pixels = e.deltaMode === WheelEvent.DOM_DELTA_LINE ? e.deltaY * 33 : e.deltaY;
    this.zoom(wheelFactor ** -(e.ctrlKey ? pixels * 4 : pixels), this.#fromMiddle({ x: e.clientX, y: e.clientY })); // a pinch on a touchpad comes in small steps
  }

  #down(e: PointerEvent): void {
    if (e.pointerType === "mouse" && e.button !== 0) return;
    this.#pointers.set(e.pointerId, { x: e.clientX, y: e.clientY });
    if (this.#view.zoom > 1 || this.#pointers.size > 1) this.element.setPointerCapture(e.pointerId);
  }

  #move(e: PointerEvent): void {
    const before = this.#pointers.get(e.pointerId);
    if (before === undefined) return;
    const now = { x: e.clientX, y: e.clientY };
    const other = [...this.#pointers].find(([id]) => id !== e.pointerId)?.[1];
    this.#pointers.set(e.pointerId, now);
    if (other === undefined) {
      if (this.#view.zoom > 1) this.pan(now.x - before.x, now.y - before.y);
      return;
    }
    // Two fingers: what is between them follows their middle and their distance.
    const distance = (p: view.Point) => Math.max(Math.hypot(p.x - other.x, p.y - other.y), 1);
    this.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    this.zoom(distance(now) / distance(before), this.#fromMiddle({ x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 }));
  }

  #fromMiddle(p: view.Point): view.Point {
    const r = this.element.getBoundingClientRect();
    const { width, height } = this.box;
    return { x: ((p.x - r.left) % width) - width / 2, y: p.y - r.top - height / 2 };
  }
}

const arrows: Readonly<Record<string, readonly [number, number]>> = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
