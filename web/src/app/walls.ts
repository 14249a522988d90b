// The part of the view's menu that keeps walls by name and copies the link to one. Loaded when the menu is first opened.

import { language, type Language } from "../language.ts";
import { button, el, icon, setText } from "./dom.ts";
import { addressOf, savedIn, type SavedWall } from "./saved.ts";

const en = {
  title: "Saved walls",
  none: "Save this wall to come back to it: its group, layout and tiles.",
  name: "Name of this wall",
  example: "Name",
  save: "Save",
  remove: (name: string): string => `Remove ${name}`,
  link: "Copy link to this wall",
  copied: "Copied",
  copyHint: "Copy it from here:",
};

const de: typeof en = {
  title: "Gespeicherte Ansichten",
  none: "Speichern Sie diese Ansicht, um zu ihr zurückzukommen: Gruppe, Aufteilung und Kacheln.",
  name: "Name dieser Ansicht",
  example: "Name",
  save: "Speichern",
  remove: (name) => `${name} entfernen`,
  link: "Link zu dieser Ansicht kopieren",
  copied: "Kopiert",
  copyHint: "Von hier kopieren:",
};

const words = ({ en, de } satisfies Record<Language, typeof en>)[language];

/** Longer names do not fit into the menu. */
const longestName = 40;

/** What the wall knows and does for its menu. */
export interface WallsHost {
  /** All that the server keeps for this person. */
  kept(): unknown;
  /** The wall that is shown. */
  now(): SavedWall;
  open(wall: SavedWall): void;
  keep(walls: Readonly<Record<string, SavedWall>>): void;
}

export class Walls {
  readonly element = el("section", "saved", el("h2", "", words.title));
  readonly #host: WallsHost;
  readonly #list = el("ul", "");
  readonly #none = el("p", "hint", words.none);
  readonly #field = el("input", "");
  readonly #link: HTMLButtonElement;
  readonly #address = el("input", "");

  /** opened is called when a wall was chosen. */
  constructor(host: WallsHost, opened: () => void) {
    this.#host = host;
    this.#field.type = "text";
    this.#field.maxLength = longestName;
    this.#field.required = true;
    this.#field.autocomplete = "off";
    this.#field.placeholder = words.example;
    this.#field.setAttribute("aria-label", words.name);
    const save = el("button", "plain", words.save);
    save.type = "submit";
    const form = el("form", "", this.#field, save);
    form.addEventListener("submit", (e) => {
      e.preventDefault();
      const name = this.#field.value.trim();
      if (name === "") return;
      this.#field.value = "";
      this.#change((walls) => walls.set(name, host.now()));
    });
    this.#list.addEventListener("click", (e) => {
      const name = e.target instanceof Element ? e.target.closest<HTMLElement>("button[data-wall]")?.dataset["wall"] : undefined;
      const wall = name === undefined ? undefined : savedIn(host.kept()).get(name);
      if (wall === undefined) return;
      host.open(wall);
      opened();
    });
    this.#address.readOnly = true;
    this.#address.setAttribute("aria-label", words.copyHint);
    this.#link = button("entry", () => this.#copy(), words.link);
    this.element.append(this.#list, this.#none, form, this.#link, this.#address);
    this.show();
  }

  /** Shows the walls that there are now. */
  show(): void {
    const names = [...savedIn(this.#host.kept()).keys()].sort((a, b) => a.localeCompare(b));
    this.#list.replaceChildren(
      ...names.map((name) => {
        const open = el("button", "entry", name);
        open.type = "button";
        open.dataset["wall"] = name;
        const remove = button("plain round", () => this.#change((walls) => walls.delete(name)), icon("M7 7l10 10M17 7L7 17"), words.remove(name));
        return el("li", "", open, remove);
      }),
    );
    this.#none.hidden = names.length > 0;
    this.#address.hidden = true;
    setText(this.#link, words.link);
  }

  #change(how: (walls: Map<string, SavedWall>) => void): void {
    const walls = new Map(savedIn(this.#host.kept()));
    how(walls);
    this.#host.keep(Object.fromEntries(walls));
    this.show();
  }

  #copy(): void {
    const address = location.origin + addressOf(this.#host.now());
    navigator.clipboard.writeText(address).then(
      () => setText(this.#link, words.copied),
      () => {
        // Not allowed: it is marked, to be copied by hand.
        this.#address.value = address;
        this.#address.hidden = false;
        this.#address.select();
      },
    );
  }
}
