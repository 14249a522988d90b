// The cameras of the configuration: which there are, and how another one gets there.

import type { SightlinePlayer } from "../../player/element.ts";
import { APIError } from "../api.ts";
import { el, setText } from "../dom.ts";
import { nameProblem, socketPath } from "../route.ts";
import { Table } from "../rows.ts";
import { withLogin } from "./address.ts";
import { addCamera, cameras, endTrial, removeCamera, streamReports, tryCamera, type Camera } from "./api.ts";
import { ask } from "./dialog.ts";
import { Finding, type Found } from "./finding.ts";
import { field, form, section, textInput, type Desk, type Part } from "./part.ts";
import { words } from "./strings.ts";

export class Cameras implements Part {
  readonly element: HTMLElement;
  readonly #none = el("p", "hint", words.noCameras);
  readonly #table: Table<Camera>;
  readonly #address = textInput("rtsp://192.168.1.20/stream1");
  readonly #login = textInput();
  readonly #password = el("input", "");
  readonly #name = textInput("garden/door");
  readonly #trial: Trial;

  constructor(desk: Desk) {
    this.#table = new Table<Camera>(
      words.configured,
      [
        { name: words.stream, text: (c) => c.id },
        { name: words.source, text: (c) => (c.publish ? words.fromElsewhere : c.source), long: true },
        { name: words.from, text: (c) => words.origins[c.origin] ?? c.origin },
      ],
      (c) => `${c.id} ${c.origin}`,
      (c) => (c.origin === "page" ? [desk.button(words.remove, words.removeOf(c.id), () => this.#remove(c))] : []),
    );
    this.#address.name = "camera-address";
    this.#address.required = true;
    this.#login.name = "camera-login";
    this.#password.type = "password";
    this.#password.name = "camera-password";
    this.#password.autocomplete = "new-password";
    this.#name.name = "camera-name";
    this.#trial = new Trial();
    const fields = el(
      "div",
      "fields",
      field(words.cameraAddress, this.#address, words.addressHint),
      field(words.cameraLogin, this.#login),
      field(words.cameraPassword, this.#password),
    );
    const tryIt = form(words.tryIt, [fields], async () => {
      await desk.act(() => this.#try());
      return false; // what was typed stays, to be corrected or added
    });
    const add = form(words.addCamera, [el("div", "fields", field(words.cameraName, this.#name, words.nameHint))], () => desk.act(() => this.#add()));
    this.element = el(
      "div",
      "board",
      new Finding(desk, (found) => this.#take(found)).element,
      section(words.newCamera, el("p", "hint", words.newCameraHint), tryIt, this.#trial.element, add),
      section(words.configured, this.#none, this.#table.element),
    );
  }

  async look(): Promise<void> {
    const all = await cameras();
    this.#table.update(all);
    this.#none.hidden = all.length > 0;
    await this.#trial.look();
  }

  close(): void {
    this.#trial.close();
  }

  get #source(): string {
    return withLogin(this.#address.value, this.#login.value.trim(), this.#password.value);
  }

  async #try(): Promise<string> {
    this.#trial.close();
    this.#trial.show(await tryCamera(this.#source));
    return "";
  }

  /** Tries a camera that was found. What was typed is replaced. */
  async #take(found: Found): Promise<string> {
    this.#address.value = found.source;
    this.#login.value = found.login;
    this.#password.value = found.password;
    this.#name.value = found.name;
    const said = await this.#try();
    this.#trial.element.scrollIntoView({ block: "center" });
    return said;
  }

  async #add(): Promise<string> {
    const name = this.#name.value.trim();
    const problem = nameProblem(name) || (this.#address.value.trim() === "" ? words.noAddress : "");
    if (problem !== "") throw new APIError(400, problem);
    await addCamera(name, this.#source);
    this.#trial.close();
    for (const input of [this.#address, this.#login, this.#password]) input.value = "";
    return words.added(name);
  }

  async #remove(c: Camera): Promise<string> {
    if (!(await ask(words.removeOf(c.id), [el("p", "hint", words.removeCameraHint)], words.remove))) return "";
    await removeCamera(c.id);
    return words.removed(c.id);
  }
}

/** A camera that is tried out: its picture, or why there is none. */
class Trial {
  readonly element = el("div", "trial");
  readonly #verdict = el("p", "hint");
  #stream = "";
  #player: SightlinePlayer | undefined;

  constructor() {
    this.element.hidden = true;
    this.#verdict.setAttribute("role", "status");
  }

  show(stream: string): void {
    this.#stream = stream;
    const player = document.createElement("sightline-player") as SightlinePlayer;
    player.setAttribute("src", socketPath(stream));
    player.setAttribute("aria-label", words.preview);
    player.addEventListener("statechange", () => this.#say());
    this.#player = player;
    this.element.replaceChildren(player, this.#verdict);
    this.element.hidden = false;
    this.#say();
  }

  /** What the server knows of the pictures. */
  async look(): Promise<void> {
    if (this.#player?.stats().state !== "live") return;
    const report = (await streamReports()).find((s) => s.id === this.#stream);
    const best = report?.renditions.reduce((a, b) => (b.height > a.height ? b : a));
    if (best !== undefined) setText(this.#verdict, words.works(`${best.width}×${best.height}, ${best.codec}`));
  }

  close(): void {
    const stream = this.#stream;
    this.#stream = "";
    this.#player?.remove();
    this.#player = undefined;
    this.element.hidden = true;
    if (stream !== "") endTrial(stream).catch(() => undefined); // it ends by itself then
  }

  #say(): void {
    const player = this.#player;
    if (player === undefined) return;
    const live = player.stats().state === "live";
    this.#verdict.dataset["tone"] = live ? "good" : "warn";
    setText(this.#verdict, live ? words.works("") : player.reason || words.trying);
  }
}
