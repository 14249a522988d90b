// Cameras that the server finds on its networks: one is chosen, asked for its video with its login, and handed on to be tried.

import { el, setText } from "../dom.ts";
import { Table } from "../rows.ts";
import { cameraProfiles, findCameras, type FoundCamera, type Profile } from "./api.ts";
import { streamName } from "./address.ts";
import { field, form, section, textInput, type Desk } from "./part.ts";
import { words } from "./strings.ts";

/** A camera's video with its login, and what its stream might be called. */
export interface Found {
  readonly source: string;
  readonly login: string;
  readonly password: string;
  readonly name: string;
}

export class Finding {
  readonly element: HTMLElement;
  readonly #said = el("p", "hint");
  readonly #cameras: Table<FoundCamera>;
  readonly #asking = el("div", "asking");
  readonly #heading = el("h3", "");
  readonly #login = textInput();
  readonly #password = el("input", "");
  readonly #profiles: Table<Profile>;
  #chosen: FoundCamera | undefined;

  /** take tries what was chosen. */
  constructor(desk: Desk, take: (found: Found) => Promise<string>) {
    this.#said.setAttribute("role", "status");
    this.#cameras = new Table<FoundCamera>(
      words.foundCameras,
      [
        { name: words.name, text: (c) => c.name || words.unnamed },
        { name: words.model, text: (c) => c.model },
        { name: words.address, text: (c) => c.address },
      ],
      (c) => `${c.service} ${c.name} ${c.model}`,
      (c) => [desk.button(words.choose, words.chooseOf(calls(c), c.address), () => this.#choose(c))],
    );
    this.#profiles = new Table<Profile>(
      words.profiles,
      [
        { name: words.name, text: (p) => p.name || words.unnamed },
        { name: words.size, text: (p) => (p.height === 0 ? "" : `${p.width}×${p.height}${p.fps === 0 ? "" : `, ${p.fps} fps`}`) },
        { name: words.coding, text: (p) => p.coding },
        { name: words.cameraAddress, text: (p) => p.source },
      ],
      (p) => JSON.stringify(p),
      (p) => [
        desk.button(words.tryOut, words.tryProfile(p.name || p.source), () =>
          take({ source: p.source, login: this.#login.value.trim(), password: this.#password.value, name: streamName(this.#chosen === undefined ? "" : calls(this.#chosen)) }),
        ),
      ],
    );
    this.#login.name = "found-login";
    this.#password.type = "password";
    this.#password.name = "found-password";
    this.#password.autocomplete = "new-password";
    const ask = form(words.showVideo, [el("div", "fields", field(words.cameraLogin, this.#login), field(words.cameraPassword, this.#password))], async () => {
      await desk.act(() => this.#ask());
      return false;
    });
    this.#asking.append(this.#heading, ask, this.#profiles.element);
    this.#show(undefined);
    this.#cameras.update([]);
    const find = form(words.findCameras, [], async () => {
      await desk.act(() => this.#find());
      return false;
    });
    this.element = section(words.findCameras, el("p", "hint", words.findHint), find, this.#said, this.#cameras.element, this.#asking);
  }

  async #find(): Promise<string> {
    this.#show(undefined);
    this.#cameras.update([]);
    setText(this.#said, words.looking);
    let said = "";
    try {
      const all = await findCameras();
      this.#cameras.update(all);
      said = words.foundSome(all.length);
    } finally {
      setText(this.#said, said);
    }
    return "";
  }

  #choose(c: FoundCamera): Promise<string> {
    this.#show(c);
    this.#login.focus();
    return Promise.resolve("");
  }

  async #ask(): Promise<string> {
    this.#profiles.update([]);
    if (this.#chosen !== undefined) this.#profiles.update(await cameraProfiles(this.#chosen.service, this.#login.value.trim(), this.#password.value));
    return "";
  }

  #show(c: FoundCamera | undefined): void {
    this.#chosen = c;
    this.#asking.hidden = c === undefined;
    this.#password.value = "";
    this.#profiles.update([]);
    if (c !== undefined) setText(this.#heading, words.videoOf(calls(c), c.address));
  }
}

const calls = (c: FoundCamera): string => c.name || c.model || words.unnamed;
