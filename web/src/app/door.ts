// The page of those who are not logged in: says so, and how to get in.

import { brand, el, setText } from "./dom.ts";
import type { Page } from "./page.ts";
import { codeIn } from "./route.ts";

export class Door implements Page {
  readonly title = "Log in · Sightline";
  readonly element: HTMLElement;
  readonly #enter: (code: string) => Promise<string>;
  readonly #field = el("input", "");
  readonly #button = el("button", "primary", "Continue");
  readonly #problem = el("p", "problem");

  /** enter tries a code and gives the sentence why it did not work, or nothing because another page is shown by then. */
  constructor(reason: string, enter: (code: string) => Promise<string>) {
    this.#enter = enter;
    const form = el("form", "");
    const label = el("label", "", "Link or code");
    this.#field.id = "code";
    label.htmlFor = this.#field.id;
    // Not a password field: browsers would offer to keep what works only once.
    this.#field.type = "text";
    this.#field.autocomplete = "off";
    this.#field.autocapitalize = "none";
    this.#field.spellcheck = false;
    this.#field.placeholder = "https://…/#code";
    this.#button.type = "submit";
    form.append(label, el("div", "row", this.#field, this.#button));
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      void this.#submit();
    });
    this.#problem.setAttribute("role", "alert");
    this.#say(reason);
    this.element = el(
      "main",
      "door",
      el(
        "div",
        "card",
        brand(),
        el("h1", "", "You are not logged in"),
        el("p", "lead", "Open the link that the server printed when it started, or one that somebody with access made for you. Each link works once."),
        this.#problem,
        form,
      ),
    );
  }

  shown(): void {
    this.#field.focus();
  }

  key(): boolean {
    return false;
  }

  close(): void {
    // Nothing runs.
  }

  async #submit(): Promise<void> {
    const code = codeIn(this.#field.value);
    if (code === "") {
      this.#say("Paste the whole link, or the part of it after the # sign.");
      this.#field.focus();
      return;
    }
    this.#button.disabled = true;
    const problem = await this.#enter(code);
    this.#button.disabled = false;
    this.#say(problem);
    this.#field.select();
  }

  #say(text: string): void {
    setText(this.#problem, text);
    this.#problem.hidden = text === "";
  }
}
