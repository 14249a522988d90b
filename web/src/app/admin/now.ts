// What runs at the moment and what deserves attention.

import { language } from "../../language.ts";
import { causeWords } from "../../player/causes.ts";
import { doing } from "../account.ts";
import { alerts, endSession, endSessionsOf, mute, revoke, sessions, unmute, type Alert, type Session } from "../api.ts";
import { el, setText } from "../dom.ts";
import { Rows, Table, timeWords, type Row } from "../rows.ts";
import { streamReports, type RenditionReport, type StreamReport } from "./api.ts";
import { field, section, textInput, type Desk, type Part } from "./part.ts";
import { ruleWords } from "./rules.ts";
import { words } from "./strings.ts";
import { bitrate, decimal, duration, percentiles, similarity } from "./units.ts";

/** A stream with how the one of its viewers fares who sees it the latest. */
interface Watched {
  readonly report: StreamReport;
  readonly p50: number;
  readonly p95: number;
}

/** A rendition that is being encoded. */
interface Encoded {
  readonly stream: string;
  readonly rendition: RenditionReport;
}

/** From so many streams and sessions on there is a search, and no more sessions than that are shown before somebody asks. */
const many = 12;
const sessionsAtOnce = 50;

const total = (s: StreamReport): number => s.renditions.reduce((sum, r) => sum + r.bitrate, 0);

export class Now implements Part {
  readonly element: HTMLElement;
  readonly #desk: Desk;
  readonly #mutedList = el("div", "");
  readonly #muted: Rows<readonly [rule: string, until: Date]>;
  readonly #noAlerts = el("p", "hint", words.noAlerts);
  readonly #alertList = el("ul", "alerts");
  readonly #alerts: Rows<Alert>;
  /** What has been answered here, by alert: an answer is given once. */
  readonly #answered = new Set<number>();
  readonly #noStreams = el("p", "hint", words.noStreams);
  readonly #streams: Table<Watched>;
  readonly #nothingEncoded = el("p", "hint", words.nothingEncoded);
  readonly #encoded: Table<Encoded>;
  readonly #nothingRuns = el("p", "hint", words.nothingRuns);
  readonly #sessions: Table<Session>;
  readonly #sum = el("p", "hint");
  readonly #search = textInput();
  readonly #more = el("button", "plain");
  #all = false;
  #reports: readonly StreamReport[] = [];
  #running: readonly Session[] = [];

  constructor(desk: Desk) {
    this.#desk = desk;
    this.#muted = new Rows(this.#mutedList, ([rule, until]) => `${rule} ${until.getTime()}`, ([rule, until]) => this.#mutedRow(rule, until));
    this.#alerts = new Rows(this.#alertList, (a) => String(a.id), (a) => this.#alertRow(a));
    this.#streams = new Table<Watched>(
      words.streams,
      [
        { name: words.stream, text: (s) => s.report.id },
        {
          name: words.state,
          text: (s) => s.report.state,
          tone: (s) => (s.report.state === "live" ? "good" : trouble(s.report) ? "warn" : ""),
        },
        { name: words.why, text: (s) => (trouble(s.report) ? causeWords(language, s.report.cause, s.report.detail) : ""), long: true },
        { name: words.source, text: (s) => s.report.source },
        { name: words.since, text: (s) => duration(s.report.seconds) },
        { name: words.watching, text: (s) => String(s.report.viewers) },
        { name: words.bitrate, text: (s) => bitrate(total(s.report)) },
        { name: words.latency, text: (s) => percentiles(s.p50, s.p95), title: () => words.latencyOf },
        {
          name: words.restarts,
          text: (s) => restartWords(s.report),
          title: (s) => s.report.restarts?.why ?? "",
          tone: () => "warn",
        },
        { name: words.sandbox, text: (s) => s.report.sandbox, title: (s) => s.report.sandbox },
      ],
      (s) => s.report.id,
    );
    this.#encoded = new Table<Encoded>(
      words.encoding,
      [
        { name: words.stream, text: (e) => e.stream },
        { name: words.rendition, text: (e) => e.rendition.name },
        { name: words.size, text: ({ rendition: r }) => (r.height === 0 ? "" : `${r.width}×${r.height}, ${Math.round(r.frameRate * 100) / 100} fps`) },
        { name: words.encoder, text: (e) => e.rendition.encoder || e.rendition.codec },
        { name: words.watching, text: (e) => String(e.rendition.viewers) },
        { name: words.bitrate, text: (e) => bitrate(e.rendition.bitrate) },
        { name: words.encodeTime, text: (e) => percentiles(e.rendition.encodeP50, e.rendition.encodeP95), title: () => words.encodeTimeOf },
        { name: "PSNR", text: (e) => decimal(e.rendition.psnr, "dB"), title: () => words.psnrOf },
        { name: "SSIM", text: (e) => similarity(e.rendition.ssim), title: () => words.psnrOf },
      ],
      (e) => `${e.stream} ${e.rendition.name}`,
    );
    this.#sessions = new Table<Session>(
      words.running,
      [
        { name: words.stream, text: (s) => s.stream },
        { name: words.does, text: (s) => doing(s.kind) },
        { name: words.who, text: (s) => s.subject },
        { name: words.from, text: (s) => s.remote },
        { name: words.since, text: (s) => timeWords(s.since) },
        { name: words.rung, text: (s) => rungWords(s), title: (s) => rungWords(s), tone: (s) => (s.figures?.limit === "network" ? "warn" : "") },
        { name: words.latency, text: (s) => (s.figures === undefined ? "" : percentiles(s.figures.paintP50, s.figures.paintP95)) },
        { name: words.shown, text: (s) => (s.figures === undefined ? "" : decimal(s.figures.frameRate, "fps")) },
        { name: words.dropped, text: (s) => (s.figures === undefined ? "" : String(s.figures.dropped)) },
        { name: words.bitrate, text: (s) => (s.figures === undefined ? "" : bitrate(s.figures.bitrate)) },
      ],
      (s) => s.id,
      (s) => [desk.button(words.end, words.endOf(s.subject, doing(s.kind), s.stream), () => this.#end(s))],
    );
    this.#search.type = "search";
    this.#search.name = "search";
    this.#search.addEventListener("input", () => this.#show());
    this.#more.type = "button";
    this.#more.hidden = true;
    this.#more.addEventListener("click", () => {
      this.#all = true;
      this.#show();
    });
    this.element = el(
      "div",
      "board",
      section(words.alerts, this.#mutedList, this.#noAlerts, this.#alertList),
      section(words.streams, el("div", "tools", this.#sum, field(words.search, this.#search)), this.#noStreams, this.#streams.element),
      section(words.running, this.#nothingRuns, this.#sessions.element, el("div", "actions", this.#more)),
      section(words.encoding, this.#nothingEncoded, this.#encoded.element),
    );
  }

  async look(): Promise<void> {
    const found = await alerts(); // first and alone: who may not is told so, and on record, once
    const [running, all] = await Promise.all([sessions(), streamReports()]);
    this.#alerts.update(found.alerts);
    this.#noAlerts.hidden = found.alerts.length > 0;
    this.#muted.update([...found.muted]);
    [this.#running, this.#reports] = [running, all];
    this.#show();
  }

  /** Shows what the search finds. Streams that need somebody stand first. */
  #show(): void {
    const [running, all] = [this.#running, this.#reports];
    const terms = this.#search.value.toLowerCase().split(/\s+/);
    const found = (...texts: string[]): boolean => terms.every((t) => texts.some((text) => text.toLowerCase().includes(t)));
    const ill = all.filter((s) => trouble(s));
    setText(this.#sum, words.sum(all.length, ill.length, running.length));
    const search = this.#search.closest<HTMLElement>(".field");
    if (search !== null) search.hidden = all.length + running.length <= many && this.#search.value === "";

    const streams = [...ill, ...all.filter((s) => !trouble(s))].filter((s) => found(s.id, s.source, s.state));
    this.#streams.update(streams.map((report) => ({ report, ...latest(running, report.id) })));
    setText(this.#noStreams, all.length === 0 ? words.noStreams : words.nothingFound);
    this.#noStreams.hidden = streams.length > 0;

    const sessions = [...running].sort((a, b) => a.stream.localeCompare(b.stream) || a.since.getTime() - b.since.getTime()).filter((s) => found(s.stream, s.subject, s.remote, doing(s.kind)));
    this.#sessions.update(this.#all ? sessions : sessions.slice(0, sessionsAtOnce));
    setText(this.#nothingRuns, running.length === 0 ? words.nothingRuns : words.nothingFound);
    this.#nothingRuns.hidden = sessions.length > 0;
    this.#more.hidden = this.#all || sessions.length <= sessionsAtOnce;
    setText(this.#more, words.showAll(sessions.length));

    const encoded = all.flatMap((s) => s.renditions.filter((r) => r.active).map((rendition) => ({ stream: s.id, rendition })));
    const shown = encoded.filter((e) => found(e.stream, e.rendition.name, e.rendition.encoder));
    this.#encoded.update(shown);
    setText(this.#nothingEncoded, encoded.length === 0 ? words.nothingEncoded : words.nothingFound);
    this.#nothingEncoded.hidden = shown.length > 0;
  }

  close(): void {
    // Nothing runs.
  }

  #alertRow(a: Alert): Row<Alert> {
    const told = ruleWords(a);
    const evidence = a.evidence.length === 0 ? "" : words.records(a.evidence.join(", "), a.evidence.length > 1);
    const facts = el("p", "hint", [words.toldAt(told.threshold), evidence].filter((t) => t !== "").join(" · "));
    const answer = this.#answer(a);
    const end = a.ends === "" ? undefined : this.#desk.button(words.endSessions, words.endSessionsOf(a.rule), async () => words.sessionsEnded(await endSessionsOf(a.id)));
    const actions = el("div", "buttons", ...[answer, end].filter((b) => b !== undefined));
    for (const hours of [1, 24]) actions.append(this.#desk.button(words.muteFor(hours), words.muteRule(a.rule, hours), () => this.#mute(a.rule, hours)));
    const level = el("span", "level", told.level);
    const head = el("h3", "", level, told.title, el("span", "rule", `${a.rule} · ${timeWords(a.at)}`));
    const element = el("li", "", el("div", "", head, el("p", "", a.detail), facts), actions);
    element.dataset["level"] = a.level;
    return { element, update: () => undefined };
  }

  /** The button that does what the rule proposes. */
  #answer(a: Alert): HTMLButtonElement | undefined {
    const kind = a.answer === "revoke-token" ? "token" : a.answer === "revoke-subject" ? "subject" : undefined;
    const value = kind === "token" ? a.tokenID : a.subject;
    if (kind === undefined || value === "") return undefined;
    const label = kind === "token" ? words.revokeToken : words.revokeSubject(a.subject);
    const b = this.#desk.button(label, kind === "token" ? words.revokeTokenOf(a.subject) : words.revokeAllOf(a.subject), async () => {
      await revoke(kind, value);
      this.#answered.add(a.id);
      b.disabled = true;
      setText(b, words.revoked);
      b.removeAttribute("aria-label");
      return kind === "token" ? words.tokenRevoked(a.subject) : words.subjectRevoked(a.subject);
    });
    b.disabled = this.#answered.has(a.id);
    return b;
  }

  #mutedRow(rule: string, until: Date): Row<readonly [string, Date]> {
    const button = this.#desk.button(words.unmute, words.unmuteRule(rule), async () => {
      await unmute(rule);
      return words.isUnmuted(rule);
    });
    return { element: el("p", "hint", words.muteUntil(rule, timeWords(until)), " ", button), update: () => undefined };
  }

  async #mute(rule: string, hours: number): Promise<string> {
    await mute(rule, hours);
    return words.isMute(rule, hours);
  }

  async #end(s: Session): Promise<string> {
    await endSession(s.id);
    return words.ended(s.subject, doing(s.kind), s.stream);
  }
}

/** Whether a stream needs somebody: it has no pictures though they are wanted, or nobody knows. */
const trouble = (s: StreamReport): boolean => s.state !== "live" && s.state !== "idle";

/** How often a stream's process was started again, when last, and the reason where it is not said already. */
function restartWords({ restarts, detail }: StreamReport): string {
  if (restarts === undefined) return "";
  const last = timeWords(restarts.last);
  return `${restarts.count} · ${detail.includes(restarts.why) ? last : words.restartedAt(last, restarts.why)}`;
}

/** The rendition that a viewer gets, and what keeps it from more. */
function rungWords(s: Session): string {
  const f = s.figures;
  if (f === undefined) return "";
  return [f.rendition, f.stills ? words.stills : "", words.limits[f.limit] ?? ""].filter((w) => w !== "").join(", ");
}

/** The figures of the viewer who sees a stream the latest. */
function latest(running: readonly Session[], stream: string): { p50: number; p95: number } {
  let worst = { p50: 0, p95: 0 };
  for (const { stream: of, figures } of running) {
    if (of === stream && figures !== undefined && figures.paintP95 > worst.p95) worst = { p50: figures.paintP50, p95: figures.paintP95 };
  }
  return worst;
}
