// The page of those who are not logged in: says so, and how to get in.

import { APIError, loginWith, type Credentials } from "./api.ts";
import { brand, el, setText } from "./dom.ts";
import type { Page } from "./page.ts";
import { PasswordField } from "./password.ts";
import { codeIn } from "./route.ts";
import { t } from "./strings.ts";

/** Tries to get in; gives the sentence why that did not work, or nothing because another page is shown by then. */
export interface Entrance {
  enter(credentials: Credentials): Promise<string>;
  /** The same by a code that was pasted, of whichever kind. */
  enterByCode(code: string): Promise<string>;
}

export class Door implements Page {
  readonly title = `${t.door.page} · Sightline`;
  readonly element: HTMLElement;
  readonly #entrance: Entrance;
  readonly #name = el("input", "");
  readonly #password = new PasswordField(t.door.password, "current-password");
  readonly #code = el("input", "");
  readonly #elsewhere = el("a", "elsewhere");
  readonly #problem = el("p", "problem");

  constructor(reason: string, entrance: Entrance) {
    this.#entrance = entrance;
    this.#problem.setAttribute("role", "alert");
    this.#say(reason);
    this.#elsewhere.href = "/oidc/login";
    this.#elsewhere.hidden = true;
    const link = el("details", "", el("summary", "", t.door.haveLink), this.#codeForm());
    this.element = el(
      "main",
      "door",
      el("div", "card", brand(), el("h1", "", t.door.title), this.#problem, this.#passwordForm(), this.#elsewhere, link),
    );
  }

  shown(): void {
    this.#name.focus();
    void this.#offerElsewhere();
  }

  key(): boolean {
    return false;
  }

  close(): void {
    // Nothing runs.
  }

  #passwordForm(): HTMLFormElement {
    const label = el("label", "", t.name);
    this.#name.id = "username";
    label.htmlFor = this.#name.id;
    this.#name.type = "text";
    this.#name.autocomplete = "username";
    this.#name.autocapitalize = "none";
    this.#name.spellcheck = false;
    this.#name.required = true;
    return form([el("div", "field", label, this.#name), this.#password.element], t.door.logIn, async () => {
      this.#password.hide();
      this.#say(await this.#entrance.enter({ name: this.#name.value.trim(), password: this.#password.input.value }));
      this.#password.input.select();
    });
  }

  #codeForm(): HTMLFormElement {
    const label = el("label", "", t.door.code);
    this.#code.id = "code";
    label.htmlFor = this.#code.id;
    // Not a password field: browsers would offer to keep what works only once.
    this.#code.type = "text";
    this.#code.autocomplete = "off";
    this.#code.autocapitalize = "none";
    this.#code.spellcheck = false;
    this.#code.placeholder = t.door.codePlace;
    const hint = el("p", "hint", t.door.codeHint);
    return form([hint, el("div", "field", label, this.#code)], t.goOn, async () => {
      const code = codeIn(this.#code.value);
      this.#say(code === "" ? t.door.codeMissing : await this.#entrance.enterByCode(code));
      this.#code.select();
    });
  }

  async #offerElsewhere(): Promise<void> {
    try {
      const name = await loginWith();
      setText(this.#elsewhere, t.door.elsewhere(name));
      this.#elsewhere.hidden = name === "";
    } catch (cause) {
      if (!(cause instanceof APIError)) throw cause; // who tries to log in is told what is wrong
    }
  }

  #say(text: string): void {
    say(this.#problem, text);
  }
}

/** What is not of this length the server does not take (accounts.MinPassword). */
const shortest = 12;

/** The page behind the link that invites somebody: they choose their password, and are logged in. */
export class SetUp implements Page {
  readonly title = `${t.door.setUpTitle} · Sightline`;
  readonly element: HTMLElement;
  readonly #password = new PasswordField(t.door.password, "new-password");

  constructor(code: string, entrance: Entrance) {
    const problem = el("p", "problem");
    problem.setAttribute("role", "alert");
    say(problem, "");
    const hint = el("p", "hint", t.door.setUpHint(shortest));
    hint.id = "password-hint";
    this.#password.input.setAttribute("aria-describedby", hint.id);
    const choose = form([this.#password.element, hint], t.door.setUp, async () => {
      const password = this.#password.input.value;
      const short = new TextEncoder().encode(password).length < shortest;
      this.#password.hide();
      say(problem, short ? t.door.setUpShort(shortest) : await entrance.enter({ code, password }));
      this.#password.input.focus();
    });
    const lead = el("p", "lead", t.door.setUpLead);
    const instead = el("a", "hint", t.door.havePassword);
    instead.href = "/";
    this.element = el("main", "door", el("div", "card", brand(), el("h1", "", t.door.setUpTitle), lead, problem, choose, instead));
  }

  shown(): void {
    this.#password.input.focus();
  }

  key(): boolean {
    return false;
  }

  close(): void {
    // Nothing runs.
  }
}

/** A form that can be sent once at a time. */
function form(content: readonly Node[], action: string, send: () => Promise<void>): HTMLFormElement {
  const button = el("button", "primary", action);
  button.type = "submit";
  const f = el("form", "", ...content, button);
  f.addEventListener("submit", (e) => {
    e.preventDefault();
    button.disabled = true;
    void send().finally(() => (button.disabled = false));
  });
  return f;
}

function say(problem: HTMLElement, text: string): void {
  setText(problem, text);
  problem.hidden = text === "";
}
