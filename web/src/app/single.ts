// What is laid over a picture that fills the window: the way back, the stream's name, the account. It hides while nobody moves.

import type { SightlinePlayer } from "../player/element.ts";
import { account } from "./account.ts";
import { el, link } from "./dom.ts";
import type { Navigation } from "./page.ts";
import { t } from "./strings.ts";

const quietAfter = 2_500; // ms without a movement

export class Single {
  readonly element: HTMLElement;
  readonly #navigation: Navigation;
  readonly #player: SightlinePlayer;
  readonly #host: HTMLElement;
  readonly #listening = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** host is what the pointer moves over; the element stands in it. */
  constructor(navigation: Navigation, stream: string, player: SightlinePlayer, host: HTMLElement) {
    this.#navigation = navigation;
    this.#player = player;
    this.#host = host;
    this.element = el("header", "over", link(navigation, "back", t.cameras, "/"), el("h1", "", stream), account(navigation));
    player.setAttribute("controls", "");
    for (const name of ["pointermove", "pointerdown"]) host.addEventListener(name, () => this.stir(), { signal: this.#listening.signal });
  }

  /** Shows what is laid over the picture, until nobody has moved for a while. */
  stir(): void {
    clearTimeout(this.#timer);
    this.#quiet(false);
    this.#timer = setTimeout(() => this.#quiet(true), quietAfter);
  }

  key(e: KeyboardEvent): boolean {
    this.stir();
    if (this.#player.key(e)) return true;
    // In full screen the browser takes it, to leave that first.
    if (e.key !== "Escape" || document.fullscreenElement !== null) return false;
    this.#navigation.go("/");
    return true;
  }

  /** Leaves the player as it was. Safe to call twice. */
  close(): void {
    this.#listening.abort();
    clearTimeout(this.#timer);
    this.#quiet(false);
    // What was chosen for this picture alone does not hold for a tile.
    for (const name of ["controls", "quality", "mode", "rotate", "mirror"]) this.#player.removeAttribute(name);
    this.element.remove();
  }

  #quiet(quiet: boolean): void {
    this.#host.classList.toggle("quiet", quiet);
  }
}
