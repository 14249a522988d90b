// The administrator's page: what runs, what deserves attention, and who did what. A file of its own, loaded only here.

import { account, doing } from "./account.ts";
import {
  alerts, APIError, auditTrail, endSession, mute, revoke, sessions, streams, verifyAudit,
  type Alert, type AuditFilter, type AuditRecord, type AuditReport, type AuditTrail, type Session, type Stream,
} from "./api.ts";
import { el, link, setText } from "./dom.ts";
import type { Navigation, Page } from "./page.ts";
import { Rows, Table, timeWords, type Row } from "./rows.ts";

const lookEvery = 5_000; // ms
const typedFor = 250; // ms after the last letter of a filter

export class Admin implements Page {
  readonly title = "Administration · Sightline";
  readonly element: HTMLElement;
  readonly #navigation: Navigation;
  readonly #status = el("p", "count");
  readonly #problem = el("p", "problem");
  readonly #board = el("div", "board");

  readonly #muted = el("p", "hint");
  readonly #noAlerts = el("p", "hint", "Nothing needs attention.");
  readonly #alertList = el("ul", "alerts");
  readonly #alerts: Rows<Alert>;
  /** What has been answered here, by alert: an answer is given once. */
  readonly #answered = new Set<number>();

  readonly #nothingRuns = el("p", "hint", "Nobody watches and nobody publishes over the network.");
  readonly #sessions: Table<Session>;
  readonly #noStreams = el("p", "hint", "There are no streams that you may watch.");
  readonly #streams: Table<Stream>;

  readonly #filter: AuditForm;
  readonly #reach = el("p", "hint");
  readonly #records: Table<AuditRecord>;
  readonly #verify = el("button", "plain", "Verify");
  readonly #verdict = el("p", "hint");
  readonly #findings = el("ul", "findings");

  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Rises with each look, so that a late answer is not shown over a newer one. */
  #looks = 0;
  #closed = false;

  constructor(navigation: Navigation) {
    this.#navigation = navigation;
    this.#status.setAttribute("role", "status");
    this.#problem.setAttribute("role", "alert");
    this.#problem.hidden = true;
    this.#board.hidden = true; // until it is known that one may see it

    this.#alerts = new Rows(this.#alertList, (a) => String(a.id), (a) => this.#alertRow(a));
    this.#sessions = new Table<Session>(
      "Running now",
      [
        { name: "Stream", text: (s) => s.stream },
        { name: "Does", text: (s) => doing(s.kind) },
        { name: "Who", text: (s) => s.subject },
        { name: "From", text: (s) => s.remote },
        { name: "Since", text: (s) => timeWords(s.since) },
      ],
      (s) => s.id,
      (s) => [this.#button("End", `End: ${s.subject}, ${doing(s.kind)} ${s.stream}`, () => this.#end(s))],
    );
    this.#streams = new Table<Stream>(
      "Streams",
      [
        { name: "Stream", text: (s) => s.id },
        { name: "State", text: (s) => s.state, title: (s) => s.detail, tone: (s) => (s.state === "live" ? "good" : s.state === "idle" ? "" : "warn") },
        { name: "Source", text: (s) => s.source },
        { name: "Encoder", text: (s) => [...new Set(s.renditions.map((r) => r.encoder).filter((e) => e !== ""))].join(", ") },
        { name: "Watching", text: (s) => String(s.viewers) },
        { name: "Sandbox", text: (s) => s.sandbox, title: (s) => s.sandbox },
      ],
      (s) => s.id,
    );
    this.#records = new Table<AuditRecord>(
      "Audit trail",
      [
        { name: "No.", text: (r) => String(r.seq) },
        { name: "Time", text: (r) => timeWords(r.time), title: (r) => r.time.toISOString() },
        { name: "Event", text: (r) => (r.count > 0 ? `${r.event} × ${r.count}` : r.event) },
        { name: "Verdict", text: (r) => r.verdict, tone: (r) => (r.verdict === "refused" ? "warn" : r.verdict === "granted" ? "good" : "") },
        { name: "Reason", text: (r) => r.reason, title: (r) => r.reason },
        { name: "Who", text: (r) => r.subject, title: (r) => r.subject },
        { name: "Stream", text: (r) => r.stream, title: (r) => r.stream },
        { name: "From", text: (r) => r.remote },
      ],
      (r) => String(r.seq),
    );
    this.#filter = new AuditForm(() => void this.#look());
    this.#verify.type = "button";
    this.#verify.addEventListener("click", () => void this.#check());
    this.#verdict.setAttribute("role", "status");

    this.#board.append(
      section("Alerts", this.#muted, this.#noAlerts, this.#alertList),
      section("Running now", this.#nothingRuns, this.#sessions.element),
      section("Streams", this.#noStreams, this.#streams.element),
      section("Audit trail", el("div", "tools", this.#filter.element, this.#verify), this.#verdict, this.#findings, this.#records.element, this.#reach),
    );
    const back = link(navigation, "back", "Cameras", "/");
    const header = el("header", "bar", back, el("h1", "", "Administration"), this.#status, account(navigation));
    this.element = el("main", "admin", header, this.#problem, this.#board);
  }

  shown(): void {
    document.addEventListener("visibilitychange", this.#onVisibility);
    void this.#look();
  }

  key(): boolean {
    return false;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#onVisibility);
  }

  /** A page that nobody sees asks for nothing. */
  readonly #onVisibility = (): void => {
    clearTimeout(this.#timer);
    if (!document.hidden) void this.#look();
  };

  async #look(): Promise<void> {
    clearTimeout(this.#timer);
    const look = ++this.#looks;
    try {
      const found = await alerts(); // first and alone: who may not is told so, and on record, once
      const [running, all, trail] = await Promise.all([sessions(), streams(), auditTrail(this.#filter.value)]);
      if (this.#closed || look !== this.#looks) return;
      this.#say("");
      this.#board.hidden = false;
      this.#alerts.update(found.alerts);
      this.#noAlerts.hidden = found.alerts.length > 0;
      setText(this.#muted, [...found.muted].map(([rule, until]) => `${rule} is mute until ${timeWords(until)}.`).join(" "));
      this.#muted.hidden = found.muted.size === 0;
      this.#sessions.update(running);
      this.#nothingRuns.hidden = running.length > 0;
      this.#streams.update(all);
      this.#noStreams.hidden = all.length > 0;
      this.#records.update(trail.records);
      setText(this.#reach, reachWords(trail));
    } catch (cause) {
      if (this.#closed || look !== this.#looks) return;
      if (!(cause instanceof APIError)) throw cause;
      if (cause.status === 401) return this.#navigation.loggedOut("");
      if (cause.status === 403) return this.#deny();
      this.#say(cause.message);
    }
    if (!document.hidden) this.#timer = setTimeout(() => void this.#look(), lookEvery);
  }

  /** Says that this page is not for the one who opened it, and forgets what was on it. */
  #deny(): void {
    this.close();
    this.#board.remove();
    this.#say("This page is for administrators of the whole server, and you are logged in as somebody who is none. Ask the operator for the role, or log in as one who has it.");
  }

  #alertRow(a: Alert): Row<Alert> {
    const records = a.evidence.length === 0 ? "" : `${a.evidence.length === 1 ? "Record" : "Records"} ${a.evidence.join(", ")}`;
    const facts = el("p", "hint", [`Told at: ${a.threshold}`, records].filter((t) => t !== "").join(" · "));
    const answer = this.#answer(a);
    const actions = el("div", "buttons", ...(answer === undefined ? [] : [answer]));
    for (const hours of [1, 24]) actions.append(this.#button(`Mute ${hours} h`, `Mute rule ${a.rule} for ${hours} h`, () => this.#mute(a.rule, hours)));
    const level = el("span", "level", a.level);
    const head = el("h3", "", level, a.title, el("span", "rule", `${a.rule} · ${timeWords(a.at)}`));
    const element = el("li", "", el("div", "", head, el("p", "", a.detail), facts), actions);
    element.dataset["level"] = a.level;
    return { element, update: () => undefined };
  }

  /** The button that does what the rule proposes. */
  #answer(a: Alert): HTMLButtonElement | undefined {
    const kind = a.answer === "revoke-token" ? "token" : a.answer === "revoke-subject" ? "subject" : undefined;
    const value = kind === "token" ? a.tokenID : a.subject;
    if (kind === undefined || value === "") return undefined;
    const whose = a.subject === "" ? "" : ` of ${a.subject}`;
    const b = this.#button(kind === "token" ? "Revoke token" : `Revoke ${a.subject}`, kind === "token" ? `Revoke the token${whose}` : `Revoke all${whose}`, async () => {
      await revoke(kind, value);
      this.#answered.add(a.id);
      b.disabled = true;
      setText(b, "Revoked");
      return kind === "token" ? `The token${whose} is revoked.` : `All that ${a.subject} had is revoked.`;
    });
    b.disabled = this.#answered.has(a.id);
    return b;
  }

  async #mute(rule: string, hours: number): Promise<string> {
    await mute(rule, hours);
    return `${rule} is mute for ${hours} h.`;
  }

  async #end(s: Session): Promise<string> {
    await endSession(s.id);
    return `Ended: ${s.subject}, ${doing(s.kind)} ${s.stream}.`;
  }

  /** A button that does something, says what it did, and looks what came of it. */
  #button(label: string, name: string, act: () => Promise<string>): HTMLButtonElement {
    const b = el("button", "plain", label);
    b.type = "button";
    b.setAttribute("aria-label", name);
    b.addEventListener("click", () => void this.#act(act));
    return b;
  }

  async #act(what: () => Promise<string>): Promise<void> {
    let problem = "";
    try {
      setText(this.#status, await what());
    } catch (cause) {
      if (!(cause instanceof APIError)) throw cause;
      if (cause.status === 401) return this.#navigation.loggedOut("");
      problem = cause.message;
    }
    await this.#look();
    if (problem !== "") this.#say(problem);
  }

  async #check(): Promise<void> {
    this.#verify.disabled = true;
    setText(this.#verdict, "Reading the whole record…");
    this.#findings.replaceChildren();
    try {
      const report = await verifyAudit();
      setText(this.#verdict, verdictWords(report));
      this.#verdict.dataset["tone"] = report.sound ? "good" : "warn";
      this.#findings.replaceChildren(...report.findings.map((f) => el("li", "", f)));
    } catch (cause) {
      if (!(cause instanceof APIError)) throw cause;
      setText(this.#verdict, cause.message);
      this.#verdict.dataset["tone"] = "warn";
    }
    this.#verify.disabled = false;
  }

  #say(problem: string): void {
    setText(this.#problem, problem);
    this.#problem.hidden = problem === "";
  }
}

/** What asks for some of the records. */
class AuditForm {
  readonly element = el("form", "");
  readonly #fields: Record<keyof AuditFilter, HTMLInputElement | HTMLSelectElement>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(changed: () => void) {
    const verdict = el("select", "");
    verdict.append(new Option("any", ""), ...["granted", "refused", "ended"].map((v) => new Option(v, v)));
    this.#fields = { stream: el("input", ""), subject: el("input", ""), event: el("input", ""), verdict };
    const names: Record<keyof AuditFilter, string> = { stream: "Stream", subject: "Who", event: "Event", verdict: "Verdict" };
    this.element.setAttribute("role", "search");
    this.element.setAttribute("aria-label", "Filter of the audit trail");
    for (const key of ["stream", "subject", "event", "verdict"] as const) {
      const field = this.#fields[key];
      field.id = `filter-${key}`;
      field.title = "A * at the end stands for any rest";
      if (field instanceof HTMLInputElement) {
        field.type = "text";
        field.autocomplete = "off";
        field.autocapitalize = "none";
        field.spellcheck = false;
        field.placeholder = "any";
      }
      const label = el("label", "", names[key]);
      label.htmlFor = field.id;
      this.element.append(el("div", "field", label, field));
    }
    this.element.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(changed, typedFor);
    });
    this.element.addEventListener("submit", (e) => {
      e.preventDefault();
      clearTimeout(this.#timer);
      changed();
    });
  }

  get value(): AuditFilter {
    const of = (key: keyof AuditFilter): string => this.#fields[key].value.trim();
    return { stream: of("stream"), subject: of("subject"), event: of("event"), verdict: of("verdict") };
  }
}

/** A part of the page. Focus that has lost its place comes back to it. */
function section(name: string, ...content: Node[]): HTMLElement {
  const title = el("h2", "", name);
  const s = el("section", "", title, ...content);
  s.tabIndex = -1;
  s.setAttribute("aria-label", name);
  return s;
}

function reachWords(trail: AuditTrail): string {
  const n = trail.records.length;
  const found = n === 0 ? "No such record" : n === 1 ? "1 record" : `${n} records`;
  return trail.all ? `${found}, of all there are.` : `${found}, back to number ${trail.from}. For older ones: sightline audit search.`;
}

function verdictWords(r: AuditReport): string {
  const range = `records ${r.first} to ${r.last}, signed to ${r.signed}`;
  if (r.sound) return `Sound: ${range}.`;
  const more = r.more > 0 ? `, and ${r.more} more` : "";
  return `Not sound (${range}): ${r.findings.length} findings${more}.`;
}
