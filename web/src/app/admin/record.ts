// Who did what, and whether the record of it is whole.

import { APIError, auditTrail, verifyAudit, type AuditFilter, type AuditRecord, type AuditReport, type AuditTrail } from "../api.ts";
import { el, setText } from "../dom.ts";
import { Table, timeWords } from "../rows.ts";
import { choice, field, section, textInput, type Desk, type Part } from "./part.ts";
import { words } from "./strings.ts";

const typedFor = 250; // ms after the last letter of a filter

export class Trail implements Part {
  readonly element: HTMLElement;
  readonly #filter: Filter;
  readonly #reach = el("p", "hint");
  readonly #records: Table<AuditRecord>;
  readonly #verify = el("button", "plain", words.verify);
  readonly #verdict = el("p", "hint");
  readonly #findings = el("ul", "findings");

  constructor(desk: Desk) {
    this.#records = new Table<AuditRecord>(
      words.audit,
      [
        { name: words.number, text: (r) => String(r.seq) },
        { name: words.time, text: (r) => timeWords(r.time), title: (r) => r.time.toISOString() },
        { name: words.event, text: (r) => (r.count > 0 ? `${r.event} × ${r.count}` : r.event) },
        { name: words.verdict, text: (r) => r.verdict, tone: (r) => (r.verdict === "refused" ? "warn" : r.verdict === "granted" ? "good" : "") },
        { name: words.reason, text: (r) => r.reason, title: (r) => r.reason },
        { name: words.who, text: (r) => r.subject, title: (r) => r.subject },
        { name: words.stream, text: (r) => r.stream, title: (r) => r.stream },
        { name: words.from, text: (r) => r.remote },
      ],
      (r) => String(r.seq),
    );
    this.#filter = new Filter(() => void desk.look());
    this.#verify.type = "button";
    this.#verify.addEventListener("click", () => void this.#check());
    this.#verdict.setAttribute("role", "status");
    const tools = el("div", "tools", this.#filter.element, this.#verify);
    this.element = el("div", "board", section(words.audit, tools, this.#verdict, this.#findings, this.#records.element, this.#reach));
  }

  async look(): Promise<void> {
    const trail = await auditTrail(this.#filter.value);
    this.#records.update(trail.records);
    setText(this.#reach, reachWords(trail));
  }

  close(): void {
    this.#filter.close();
  }

  async #check(): Promise<void> {
    this.#verify.disabled = true;
    setText(this.#verdict, words.reading);
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
}

/** What asks for some of the records. */
class Filter {
  readonly element = el("form", "");
  readonly #fields: Record<keyof AuditFilter, HTMLInputElement | HTMLSelectElement>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(changed: () => void) {
    const verdict = choice([["", words.any], ...Object.entries(words.verdicts)]);
    this.#fields = { stream: textInput(words.any), subject: textInput(words.any), event: textInput(words.any), verdict };
    const names: Record<keyof AuditFilter, string> = { stream: words.stream, subject: words.who, event: words.event, verdict: words.verdict };
    this.element.setAttribute("role", "search");
    this.element.setAttribute("aria-label", words.filter);
    for (const key of ["stream", "subject", "event", "verdict"] as const) {
      const input = this.#fields[key];
      this.element.append(field(names[key], input));
      input.name = key;
      if (input !== verdict) input.title = words.anyRest;
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

  close(): void {
    clearTimeout(this.#timer);
  }

  get value(): AuditFilter {
    const of = (key: keyof AuditFilter): string => this.#fields[key].value.trim();
    return { stream: of("stream"), subject: of("subject"), event: of("event"), verdict: of("verdict") };
  }
}

function reachWords(trail: AuditTrail): string {
  const found = words.found(trail.records.length);
  return trail.all ? words.ofAll(found) : words.backTo(found, trail.from);
}

function verdictWords(r: AuditReport): string {
  const range = words.range(r.first, r.last, r.signed);
  return r.sound ? words.sound(range) : words.unsound(range, r.findings.length, r.more);
}
