// A day of figures as charts, and as a table for those who do not see charts.

import { field as member, list, number, read } from "../api.ts";
import { el, setText } from "../dom.ts";
import { language } from "../../language.ts";
import { Table } from "../rows.ts";
import { height, hours, last, mean, path, scale, width, type Values } from "./day.ts";
import { historyWords as words } from "./history-words.ts";
import { choice, field, section, type Part } from "./part.ts";

const every = 60_000; // ms between two questions: there is a value more a minute

/** A day of the server, or of a stream. */
interface Day {
  readonly from: Date;
  readonly step: number; // s
  readonly streams: readonly string[];
  readonly values: (name: string) => Values;
}

async function day(stream: string): Promise<Day> {
  const answer = await read(`/api/v1/admin/history${stream === "" ? "" : `?stream=${encodeURIComponent(stream)}`}`);
  const series = member(answer, "series");
  return {
    from: new Date(number(answer, "from") * 1000),
    step: number(answer, "step_s"),
    streams: list(answer, "streams").map(String),
    values: (name) => list(series, name).map((v) => (typeof v === "number" ? v : null)),
  };
}

/** One chart: the names of its series, the first of which is told in words. */
interface Kind {
  readonly name: string;
  readonly series: readonly string[];
  readonly hint?: string;
  /** What the bottom and the top stand for, where that is not 0 and what the values ask for. */
  readonly range?: readonly [least: number, most: number];
  readonly say: (v: number) => string;
}

const format = (digits: number, unit = ""): ((v: number) => string) => {
  const f = new Intl.NumberFormat(language, { maximumFractionDigits: digits });
  return (v) => `${f.format(v)}${unit === "" ? "" : ` ${unit}`}`;
};
const bits = (v: number): string => (v < 1e6 ? format(0, "kbit/s")(v / 1e3) : format(1, "Mbit/s")(v / 1e6));

const ofStream: readonly Kind[] = [
  { name: words.viewers, series: ["viewers"], say: format(1) },
  { name: words.latency, series: ["latency_p50_ms", "latency_p95_ms"], hint: words.latencyHint, say: format(1, "ms") },
  { name: words.frameRate, series: ["frame_rate"], say: format(1, "fps") },
  { name: words.bitrate, series: ["bitrate_bps"], say: bits },
  { name: words.dropped, series: ["dropped"], say: format(1) },
  { name: words.psnr, series: ["psnr_db"], range: [20, 60], say: format(1, "dB") },
  { name: words.ssim, series: ["ssim"], range: [0.8, 1], say: format(3) },
];
const ofServer: readonly Kind[] = [
  { name: words.viewers, series: ["viewers"], say: format(1) },
  { name: words.sent, series: ["sent_bps"], say: bits },
  { name: words.refused, series: ["refused"], say: format(1) },
  { name: words.memory, series: ["memory_bytes"], say: (v) => format(0, "MB")(v / 1e6) },
];

export class History implements Part {
  readonly element: HTMLElement;
  readonly #of = choice([["", words.server]]);
  readonly #charts = el("div", "charts");
  readonly #rows = el("details", "add", el("summary", "", words.table));
  #streams: readonly string[] = [];
  #shown = ""; // the stream that is shown
  #due = 0; // when to ask again, on the clock of performance.now

  constructor() {
    this.#of.addEventListener("change", () => {
      this.#due = 0;
      void this.look();
    });
    const tools = el("div", "tools", el("form", "", field(words.of, this.#of)));
    this.element = el("div", "board", section(words.title, tools, el("p", "hint", words.hint), this.#charts, this.#rows));
  }

  async look(): Promise<void> {
    const stream = this.#of.value;
    if (performance.now() < this.#due && stream === this.#shown) return;
    const d = await day(stream);
    if (stream !== this.#of.value) return; // another was chosen meanwhile, and is on its way
    this.#due = performance.now() + every;
    this.#shown = stream;
    this.#offer(d.streams, stream);
    const kinds = stream === "" ? ofServer : ofStream;
    this.#charts.replaceChildren(...kinds.map((kind) => chart(kind, d)));
    const table = this.#rows.querySelector("table");
    if (table === null) this.#rows.append(tableOf(kinds, d));
    else table.replaceWith(tableOf(kinds, d));
  }

  close(): void {
    // Nothing runs.
  }

  /** Offers the streams of the day, and leaves the choice alone where it is the same. */
  #offer(streams: readonly string[], chosen: string): void {
    const all = chosen === "" || streams.includes(chosen) ? streams : [...streams, chosen];
    if (all.join("\n") === this.#streams.join("\n")) return;
    this.#streams = all;
    this.#of.replaceChildren(new Option(words.server, ""), ...all.map((s) => new Option(s, s)));
    this.#of.value = chosen;
  }
}

const svg = <K extends keyof SVGElementTagNameMap>(tag: K, attributes: Readonly<Record<string, string>>, ...content: Node[]): SVGElementTagNameMap[K] => {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...content);
  return e;
};

const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

function chart(kind: Kind, d: Day): HTMLElement {
  const lines = kind.series.map(d.values);
  const [first = []] = lines;
  const [least, most] = kind.range ?? [0, scale(...lines)];
  const known = lines.flat().filter((v) => v !== null);
  const now = last(first);
  const head = el("figcaption", "", el("h3", "", kind.name));
  if (kind.hint !== undefined) head.title = kind.hint;
  if (known.length === 0 || now === undefined) {
    return el("figure", "chart", head, el("p", "hint", words.nothing));
  }
  const highest = kind.say(known.reduce((a, b) => Math.max(a, b), 0));
  const told = el("span", "reading", `${words.now} ${kind.say(now)} · ${words.most} ${highest}`);
  head.append(told);
  const every6h = hours(d.from, d.step, first.length).filter((h) => h.time.getHours() % 6 === 0 && h.at > 0);
  const x = (at: number): number => (at / Math.max(1, first.length - 1)) * width;
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": words.chart(kind.name, kind.say(now), highest) },
    ...every6h.map((h) => svg("path", { class: "grid", d: `M${x(h.at).toFixed(1)} 0V${height}` })),
    svg("path", { class: "grid", d: `M0 ${height / 2}H${width}M0 ${height}H${width}M0 0H${width}` }),
    ...lines.map((values, i) => svg("path", { class: `line line-${i}`, d: path(values, most, least) })).reverse(),
  );
  const plot = el("div", "plot", picture, el("span", "most", kind.say(most)), el("span", "least", least === 0 ? "" : kind.say(least)));
  const mark = el("span", "mark-at");
  mark.hidden = true;
  plot.append(mark);
  plot.addEventListener("pointermove", (e) => {
    const box = plot.getBoundingClientRect();
    const at = Math.round(((e.clientX - box.left) / box.width) * (first.length - 1));
    const v = first[at];
    if (v === undefined) return;
    mark.hidden = false;
    mark.style.left = `${(at / Math.max(1, first.length - 1)) * 100}%`;
    const time = words.at(clock.format(new Date(d.from.getTime() + at * d.step * 1000)));
    setText(told, `${lines.map((l) => l[at] ?? null).map((n) => (n === null ? "–" : kind.say(n))).join(" / ")} ${time}`);
  });
  plot.addEventListener("pointerleave", () => {
    mark.hidden = true;
    setText(told, `${words.now} ${kind.say(now)} · ${words.most} ${highest}`);
  });
  const axis = el("div", "axis", ...every6h.map((h) => {
    const label = el("span", "", clock.format(h.time));
    label.style.left = `${(h.at / first.length) * 100}%`;
    return label;
  }));
  axis.setAttribute("aria-hidden", "true"); // the table tells the hours
  return el("figure", "chart", head, plot, axis);
}

function tableOf(kinds: readonly Kind[], d: Day): HTMLTableElement {
  type Hour = ReturnType<typeof hours>[number];
  const all = kinds.map((kind) => d.values(kind.series[0] ?? ""));
  const columns = kinds.map((kind, i) => {
    const values = all[i] ?? [];
    return {
      name: kind.name,
      text: (h: Hour): string => {
        const m = mean(values, h.at, h.to);
        return m === undefined ? "–" : kind.say(m);
      },
    };
  });
  const table = new Table<Hour>(words.tableName, [{ name: words.hour, text: (h) => clock.format(h.time) }, ...columns], (h) => h.time.toISOString());
  const measured = (h: Hour): boolean => all.some((values) => mean(values, h.at, h.to) !== undefined);
  table.update(hours(d.from, d.step, all[0]?.length ?? 0).reverse().filter(measured));
  return table.element;
}
