// Asks for the name under which this device's camera is published.

import { el, setText } from "./dom.ts";
import { nameProblem } from "./route.ts";
import { t } from "./strings.ts";

export class NameDialog {
  readonly element = el("dialog", "");
  readonly #field = el("input", "");
  readonly #problem = el("p", "problem");

  /** chosen gets a name that the grammar allows. */
  constructor(chosen: (name: string) => void) {
    const form = el("form", "");
    form.noValidate = true;
    const title = el("h2", "", t.naming.title);
    title.id = "name-title";
    this.element.setAttribute("aria-labelledby", title.id);
    const label = el("label", "", t.name);
    this.#field.id = "name";
    label.htmlFor = this.#field.id;
    this.#field.type = "text";
    this.#field.autocomplete = "off";
    this.#field.autocapitalize = "none";
    this.#field.spellcheck = false;
    this.#field.value = t.naming.suggestion;
    this.#field.setAttribute("aria-describedby", "name-problem");
    this.#problem.id = "name-problem";
    this.#problem.setAttribute("role", "alert");
    this.#problem.hidden = true;
    const cancel = el("button", "plain", t.cancel);
    cancel.type = "button";
    cancel.addEventListener("click", () => this.element.close());
    const go = el("button", "primary", t.goOn);
    go.type = "submit";
    form.append(
      title,
      el("p", "hint", t.naming.hint),
      el("div", "field", label, this.#field),
      this.#problem,
      el("div", "actions", cancel, go),
    );
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      const name = this.#field.value.trim();
      const problem = nameProblem(name);
      this.#say(problem);
      if (problem !== "") return this.#field.focus();
      this.element.close();
      chosen(name);
    });
    this.element.append(form);
  }

  ask(): void {
    this.#say("");
    this.element.showModal();
    this.#field.focus();
    this.#field.select();
  }

  #say(problem: string): void {
    setText(this.#problem, problem);
    this.#problem.hidden = problem === "";
    this.#field.setAttribute("aria-invalid", String(problem !== ""));
  }
}
