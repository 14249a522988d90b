// The last minute in pictures. Loaded when somebody wants to see it.

import { height, line, roundUp, stacked, width, type Series } from "./chart.ts";
import { el } from "./dom.ts";
import type { Sample } from "./history.ts";
import { stageNames } from "./stages.ts";
import type { Strings } from "./strings.ts";

const namespace = "http://www.w3.org/2000/svg";

export class Graphs {
  readonly element = el("div", "graphs");
  readonly #strings: Strings["statistics"];
  readonly #latency: Chart;
  readonly #rate: Chart;
  readonly #bits: Chart;
  readonly #lines: Chart;
  readonly #drops: Chart;

  constructor(s: Strings) {
    this.#strings = s.statistics;
    this.#latency = new Chart(s.statistics.latency, stageNames.map((n) => ({ colour: n, fills: true })));
    const key = el("ul", "key");
    for (const name of stageNames) {
      const entry = el("li", "", s.statistics.stages[name]);
      entry.dataset["colour"] = name;
      key.append(entry);
    }
    const one = (title: string) => new Chart(title, [{ colour: "line", fills: false }]);
    this.#rate = one(s.statistics.rate);
    this.#bits = one(s.statistics.bits);
    this.#lines = one(s.statistics.lines);
    this.#drops = one(s.statistics.drops);
    this.#latency.element.classList.add("wide");
    this.#latency.element.append(key);
    this.element.append(...[this.#latency, this.#rate, this.#bits, this.#lines, this.#drops].map((c) => c.element));
  }

  show(samples: readonly Sample[]): void {
    const of = (f: (s: Sample) => number | null): Series => samples.map(f);
    const last = samples.at(-1);
    const stages = stageNames.map((n) => of((s) => s[`${n}_ms`]));
    const sums = samples.map((_, i) => stages.reduce((sum, s) => sum + (s[i] ?? 0), 0));
    const now = (value: string) => this.#strings.now(value);
    const most = roundUp(Math.max(...sums, 0));
    this.#latency.show(stacked(samples, stages, most), most, now(last?.encode_ms === null ? "–" : (sums.at(-1) ?? 0).toFixed(0)));
    const plain = (chart: Chart, values: Series, digits: number) => {
      const top = roundUp(Math.max(...values.map((v) => v ?? 0), 0));
      chart.show([line(samples, values, top)], top, now(values.at(-1)?.toFixed(digits) ?? "–"));
    };
    plain(this.#rate, of((s) => s.painted_fps), 1);
    plain(this.#bits, of((s) => s.bitrate_bps / 1e6), 2);
    plain(this.#lines, of((s) => s.lines), 0);
    plain(this.#drops, of((s) => s.dropped), 0);
  }
}

class Chart {
  readonly element = el("figure");
  readonly #title: string;
  readonly #svg = document.createElementNS(namespace, "svg");
  readonly #paths: readonly SVGPathElement[];
  readonly #top = el("span", "top");
  readonly #now = el("span", "now");

  constructor(title: string, drawn: readonly { readonly colour: string; readonly fills: boolean }[]) {
    this.#title = title;
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#svg.setAttribute("preserveAspectRatio", "none");
    this.#svg.setAttribute("role", "img");
    this.#paths = drawn.map(({ colour, fills }) => {
      const p = document.createElementNS(namespace, "path");
      p.dataset["colour"] = colour;
      p.setAttribute("class", fills ? "area" : "line");
      this.#svg.append(p);
      return p;
    });
    const caption = el("figcaption", "", title);
    caption.append(this.#now);
    const plot = el("div", "plot");
    plot.append(this.#svg, this.#top);
    this.element.append(caption, plot);
  }

  show(paths: readonly string[], top: number, now: string): void {
    this.#paths.forEach((p, i) => p.setAttribute("d", paths[i] ?? ""));
    this.#top.textContent = String(top);
    this.#now.textContent = now;
    this.#svg.setAttribute("aria-label", `${this.#title}, ${now}`);
  }
}
