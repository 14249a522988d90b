// A field for a password, which can be shown.

import { el, setText } from "./dom.ts";
import { t } from "./strings.ts";

export class PasswordField {
  readonly element: HTMLElement;
  readonly input = el("input", "");
  readonly #toggle = el("button", "plain", t.door.show);

  /** autocomplete tells a password manager whether to fill one in or to offer a new one. */
  constructor(label: string, autocomplete: "current-password" | "new-password") {
    const caption = el("label", "", label);
    this.input.id = "password";
    caption.htmlFor = this.input.id;
    this.input.type = "password";
    this.input.autocomplete = autocomplete;
    this.input.autocapitalize = "none";
    this.input.spellcheck = false;
    this.input.required = true;
    this.#toggle.type = "button";
    this.#toggle.setAttribute("aria-controls", this.input.id);
    this.#toggle.addEventListener("click", () => {
      this.#show(this.input.type === "password");
      this.input.focus();
    });
    this.#show(false);
    this.element = el("div", "field", caption, el("div", "secret", this.input, this.#toggle));
  }

  /** Hides it again: password managers keep what was in such a field only. */
  hide(): void {
    this.#show(false);
  }

  #show(visible: boolean): void {
    this.input.type = visible ? "text" : "password";
    setText(this.#toggle, visible ? t.door.hide : t.door.show);
    this.#toggle.setAttribute("aria-label", visible ? t.door.hidePassword : t.door.showPassword);
  }
}
