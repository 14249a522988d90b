// Tools to look closer: a frozen picture beside or over the live one, a ruler, brightness and contrast. Loaded when somebody wants
// them. What is not live says so.

import { adjust, filter, isAdjusted, unadjusted, type Adjustment } from "./adjust.ts";
import { el, setText } from "./dom.ts";
import type { ToolName } from "./face.ts";
import type { Still } from "./messages.ts";
import { recall, remember } from "./remembered.ts";
import * as ruler from "./ruler.ts";
import type { Overlay, Pane } from "./snapshot.ts";
import type { Stage } from "./stage.ts";
import type { Strings } from "./strings.ts";
import { toMillis, type Micros } from "./units.ts";
import { seen, toBox, toPicture, type Point } from "./view.ts";

/** What the tools need of the player. */
export interface Bench {
  readonly stage: Stage;
  readonly strings: Strings;
  stream(): string;
  still(): Promise<Still | undefined>;
  /** When a picture was taken, on the local clock. */
  taken(capture: Micros): Micros;
  /** Puts a tool away. */
  done(name: ToolName): void;
}

interface Tool {
  /** The row of the tool, to stand among the controls. */
  readonly row: HTMLElement;
  /** The view is another. */
  layOut(): void;
  close(): void;
}

export class Tools {
  readonly element = el("div", "tools");
  readonly #bench: Bench;
  #compare: Compare | undefined;
  #ruler: Ruler | undefined;
  #adjust: Adjust | undefined;

  constructor(bench: Bench) {
    this.#bench = bench;
  }

  /** Nothing that is live is seen. */
  get covered(): boolean {
    return this.#compare?.covers === true;
  }

  use(names: ReadonlySet<ToolName>): void {
    const b = this.#bench;
    this.#compare = this.#keep(this.#compare, names.has("compare"), () => new Compare(b));
    this.#ruler = this.#keep(this.#ruler, names.has("ruler"), () => new Ruler(b));
    this.#adjust = this.#keep(this.#adjust, names.has("adjust"), () => new Adjust(b));
  }

  layOut(): void {
    this.#compare?.layOut();
    this.#ruler?.layOut();
  }

  /** What a snapshot has in it, given the live picture. */
  panes(live: CanvasImageSource): readonly Pane[] {
    return this.#compare?.panes(live) ?? [{ image: live, left: 0, from: 0, to: 1 }];
  }

  get overlay(): Overlay {
    return (context) => {
      if (this.#adjust !== undefined && isAdjusted(this.#adjust.adjustment)) {
        const { width, height } = context.canvas;
        const data = context.getImageData(0, 0, width, height);
        adjust(data.data, this.#adjust.adjustment);
        context.putImageData(data, 0, 0);
      }
      this.#ruler?.draw(context);
      this.#compare?.draw(context);
    };
  }

  close(): void {
    this.use(new Set());
  }

  #keep<T extends Tool>(tool: T | undefined, wanted: boolean, make: () => T): T | undefined {
    if ((tool !== undefined) === wanted) return tool;
    if (tool !== undefined) {
      tool.close();
      tool.row.remove();
      return undefined;
    }
    const made = make();
    this.element.append(made.row);
    return made;
  }
}

/** In CSS pixels. */
const narrow = 600;

/** A picture that stays, over the live one or beside it. */
class Compare implements Tool {
  readonly row: HTMLElement;
  readonly #bench: Bench;
  readonly #frozen = el("div", "frozen");
  readonly #canvas = el("canvas", "surface");
  readonly #badge = el("p", "badge");
  readonly #divider = el("input", "divider");
  readonly #beside: HTMLButtonElement;
  #has = false;

  constructor(bench: Bench) {
    this.#bench = bench;
    const s = bench.strings.tools;
    this.#frozen.append(this.#canvas);
    this.#badge.setAttribute("role", "status");
    const d = this.#divider;
    [d.type, d.min, d.max, d.value] = ["range", "0", "100", "50"];
    d.setAttribute("aria-label", s.divider);
    d.addEventListener("input", () => this.layOut());
    this.#beside = textButton(s.beside, () => {
      bench.stage.split = !bench.stage.split;
    });
    this.row = newRow(s.compare, [d, this.#beside, textButton(s.again, () => void this.#freeze())], bench, "compare");
    bench.stage.element.append(this.#frozen, this.#badge);
    this.layOut();
    void this.#freeze();
  }

  get covers(): boolean {
    return this.#has && !this.#bench.stage.split && this.#shown === 1;
  }

  get #shown(): number {
    return Number(this.#divider.value) / 100;
  }

  layOut(): void {
    const { stage, strings } = this.#bench;
    setText(this.#beside, stage.split ? strings.tools.over : strings.tools.beside);
    this.#divider.hidden = stage.split;
    this.#frozen.style.clipPath = stage.split ? "none" : `inset(0 ${100 - this.#shown * 100}% 0 0)`;
    this.#frozen.classList.toggle("over", !stage.split);
    this.#frozen.style.setProperty("--divider", `${this.#shown * 100}%`);
    this.#badge.hidden = !this.#has || (!stage.split && this.#shown === 0);
    const { left, top } = this.#corner;
    this.#badge.style.translate = `${left}px ${top}px`;
  }

  /** Of the badge: in the lower left of the picture, above what pages lay over its edge, or in the upper left where the tools are as wide as that. */
  get #corner(): { readonly left: number; readonly top: number } {
    const { view, box, picture } = this.#bench.stage;
    const part = seen(view, box, picture);
    return { left: part.x + 12, top: box.width < narrow ? Math.max(part.y + 12, 64) : Math.min(part.y + part.height - 38, box.height - 96) };
  }

  panes(live: CanvasImageSource): readonly Pane[] {
    const { stage } = this.#bench;
    if (!this.#has) return [{ image: live, left: 0, from: 0, to: 1 }];
    if (stage.split) return [{ image: this.#canvas, left: 0, from: 0, to: 1 }, { image: live, left: stage.box.width, from: 0, to: 1 }];
    return [{ image: live, left: 0, from: 0, to: 1 }, { image: this.#canvas, left: 0, from: 0, to: this.#shown }];
  }

  draw(context: CanvasRenderingContext2D): void {
    if (!this.#badge.hidden) label(context, this.#badge.textContent ?? "", { x: this.#corner.left, y: this.#corner.top + 20 });
  }

  close(): void {
    this.#bench.stage.split = false;
    this.#frozen.remove();
    this.#badge.remove();
  }

  async #freeze(): Promise<void> {
    const still = await this.#bench.still();
    if (still === undefined) return;
    this.#canvas.width = still.image.width;
    this.#canvas.height = still.image.height;
    this.#canvas.getContext("2d", { alpha: false })?.drawImage(still.image, 0, 0);
    still.image.close();
    this.#has = true;
    const at = new Date(toMillis(this.#bench.taken(still.capture)));
    const s = this.#bench.strings.tools;
    setText(this.#badge, `${s.notLive} · ${s.frozenAt(clock(at))}`);
    this.layOut();
  }
}

/** A line between two ends that can be moved, and its length. */
class Ruler implements Tool {
  readonly row: HTMLElement;
  readonly #bench: Bench;
  readonly #layer = el("div", "ruler");
  readonly #line: SVGLineElement;
  readonly #ends: readonly [HTMLButtonElement, HTMLButtonElement];
  readonly #value = el("output", "value");
  readonly #hint = el("p", "hint");
  readonly #form = el("form", "calibration");
  readonly #length = el("input");
  readonly #forget: HTMLButtonElement;
  #at: [Point, Point];
  #calibration: ruler.Calibration | undefined;

  constructor(bench: Bench) {
    this.#bench = bench;
    const s = bench.strings.tools;
    const { box, matrix } = bench.stage;
    this.#at = [this.#parts(toPicture(matrix, { x: box.width * 0.3, y: box.height * 0.5 })), this.#parts(toPicture(matrix, { x: box.width * 0.7, y: box.height * 0.5 }))];
    this.#calibration = ruler.parseCalibration(recall(this.#key));

    const namespace = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(namespace, "svg");
    svg.setAttribute("aria-hidden", "true");
    this.#line = document.createElementNS(namespace, "line");
    svg.append(this.#line);
    this.#ends = [this.#end(0, s.from), this.#end(1, s.to)];
    this.#layer.append(svg, ...this.#ends);
    bench.stage.element.append(this.#layer);

    this.#value.setAttribute("aria-live", "polite");
    [this.#length.type, this.#length.min, this.#length.step, this.#length.inputMode] = ["number", "0", "any", "decimal"];
    const asked = el("label", "", s.calibration);
    asked.append(this.#length);
    const save = textButton(s.save, () => undefined);
    save.type = "submit";
    this.#form.append(asked, save);
    this.#form.hidden = true;
    this.#form.addEventListener("submit", (e) => {
      e.preventDefault();
      this.#calibrate(Number(this.#length.value));
    });
    const ask = textButton(s.calibrate, () => {
      this.#form.hidden = !this.#form.hidden;
      if (!this.#form.hidden) this.#length.focus();
    });
    this.#forget = textButton(s.forget, () => {
      this.#calibration = undefined;
      remember(this.#key, undefined);
      this.layOut();
    });
    this.row = newRow(s.ruler, [this.#value, this.#hint, ask, this.#forget, this.#form], bench, "ruler");
    this.layOut();
  }

  layOut(): void {
    const { stage, strings } = this.#bench;
    const [from, to] = this.#at.map((p) => this.#place(p)) as [Point, Point];
    for (const [name, value] of Object.entries({ x1: from.x, y1: from.y, x2: to.x, y2: to.y })) this.#line.setAttribute(name, String(value));
    this.#ends.forEach((end, i) => (end.style.translate = `${[from, to][i]?.x ?? 0}px ${[from, to][i]?.y ?? 0}px`));
    setText(this.#value, this.#words());
    setText(this.#hint, this.#calibration === undefined ? strings.tools.uncalibrated : strings.tools.calibrated);
    this.#forget.hidden = this.#calibration === undefined;
    this.#layer.style.width = `${stage.box.width}px`;
  }

  draw(context: CanvasRenderingContext2D): void {
    const [from, to] = this.#at.map((p) => this.#place(p)) as [Point, Point];
    for (const [colour, width] of [["#000", 4], ["#ffd54d", 2]] as const) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(from.x, from.y);
      context.lineTo(to.x, to.y);
      context.stroke();
    }
    label(context, this.#words(), { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 - 14 });
  }

  close(): void {
    this.#layer.remove();
  }

  get #key(): string {
    return `ruler.${this.#bench.stream()}`;
  }

  #words(): string {
    const line = { from: this.#at[0], to: this.#at[1] };
    const { picture } = this.#bench.stage;
    const px = this.#bench.strings.tools.pixels(ruler.pixels(line, picture).toFixed(1));
    if (this.#calibration === undefined) return px;
    return `${this.#bench.strings.tools.millimetres(ruler.millimetres(line, picture, this.#calibration).toFixed(1))} · ${px}`;
  }

  #calibrate(mm: number): void {
    const { picture } = this.#bench.stage;
    const c = ruler.calibrated({ from: this.#at[0], to: this.#at[1] }, picture, mm);
    if (c === undefined) return this.#length.focus();
    this.#calibration = c;
    remember(this.#key, ruler.calibrationText(c));
    this.#form.hidden = true;
    this.layOut();
  }

  #place(p: Point): Point {
    const { matrix, picture } = this.#bench.stage;
    return toBox(matrix, { x: p.x * picture.width, y: p.y * picture.height });
  }

  #parts(p: Point): Point {
    const { picture } = this.#bench.stage;
    return ruler.inside({ x: p.x / picture.width, y: p.y / picture.height });
  }

  #end(i: 0 | 1, name: string): HTMLButtonElement {
    const end = el("button", "end");
    end.type = "button";
    end.setAttribute("aria-label", name);
    const move = (to: Point) => {
      this.#at[i] = to;
      this.layOut();
    };
    end.addEventListener("pointerdown", (e) => {
      e.stopPropagation(); // the picture stays
      end.setPointerCapture(e.pointerId);
    });
    end.addEventListener("pointermove", (e) => {
      if (!end.hasPointerCapture(e.pointerId)) return;
      e.stopPropagation();
      const r = this.#layer.getBoundingClientRect();
      move(this.#parts(toPicture(this.#bench.stage.matrix, { x: e.clientX - r.left, y: e.clientY - r.top })));
    });
    end.addEventListener("dblclick", (e) => e.stopPropagation());
    end.addEventListener("keydown", (e) => {
      const way = steps[e.key];
      if (way === undefined) return;
      e.preventDefault();
      e.stopPropagation();
      const far = e.shiftKey ? 10 : 1;
      move(ruler.moved(this.#at[i], way[0] * far, way[1] * far, this.#bench.stage.picture));
    });
    return end;
  }
}

const steps: Readonly<Record<string, readonly [number, number]>> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

class Adjust implements Tool {
  readonly row: HTMLElement;
  readonly #bench: Bench;
  readonly #note = el("span", "value");
  #adjustment = unadjusted;

  constructor(bench: Bench) {
    this.#bench = bench;
    const s = bench.strings.tools;
    const brightness = slider(s.brightness, (v) => this.#set({ ...this.#adjustment, brightness: v }));
    const contrast = slider(s.contrast, (v) => this.#set({ ...this.#adjustment, contrast: v }));
    const reset = textButton(s.reset, () => {
      for (const { input } of [brightness, contrast]) input.value = "1";
      this.#set(unadjusted);
    });
    this.row = newRow(s.adjust, [brightness.label, contrast.label, this.#note, reset], bench, "adjust");
  }

  get adjustment(): Adjustment {
    return this.#adjustment;
  }

  layOut(): void {
    // It holds for every view.
  }

  close(): void {
    this.#set(unadjusted);
  }

  #set(a: Adjustment): void {
    this.#adjustment = a;
    setText(this.#note, isAdjusted(a) ? this.#bench.strings.tools.adjusted : "");
    this.#bench.stage.element.style.setProperty("--adjust", filter(a));
  }
}

/** The time of day, as cameras write it. */
const clock = (at: Date): string =>
  [at.getHours(), at.getMinutes(), at.getSeconds()].map((n) => String(n).padStart(2, "0")).join(":") + `.${String(at.getMilliseconds()).padStart(3, "0")}`;

function slider(name: string, changed: (value: number) => void): { readonly label: HTMLElement; readonly input: HTMLInputElement } {
  const label = el("label", "", name);
  const input = el("input");
  [input.type, input.min, input.max, input.step, input.value] = ["range", "0.2", "3", "0.05", "1"];
  input.addEventListener("input", () => changed(Number(input.value)));
  label.append(input);
  return { label, input };
}

function textButton(text: string, act: () => void): HTMLButtonElement {
  const b = el("button", "again", text);
  b.type = "button";
  b.addEventListener("click", act);
  return b;
}

function newRow(name: string, content: readonly HTMLElement[], bench: Bench, tool: ToolName): HTMLElement {
  const row = el("div", "tool");
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", name);
  const done = textButton(bench.strings.tools.done, () => bench.done(tool));
  done.classList.add("done");
  row.append(el("strong", "", name), ...content, done);
  return row;
}

function label(context: CanvasRenderingContext2D, text: string, at: Point): void {
  context.font = "600 14px system-ui, sans-serif";
  context.lineWidth = 4;
  context.strokeStyle = "#000";
  context.strokeText(text, at.x, at.y);
  context.fillStyle = "#ffd54d";
  context.fillText(text, at.x, at.y);
}
