// One stream, as large as the window.

import type { SightlinePlayer } from "../player/element.ts";
import { account } from "./account.ts";
import { el, link } from "./dom.ts";
import type { Navigation, Page } from "./page.ts";
import { socketPath } from "./route.ts";
import { t } from "./strings.ts";

const quietAfter = 2_500; // ms without a movement

export class Watch implements Page {
  readonly title: string;
  readonly element: HTMLElement;
  readonly #navigation: Navigation;
  readonly #player = document.createElement("sightline-player") as SightlinePlayer;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(navigation: Navigation, stream: string) {
    this.#navigation = navigation;
    this.title = `${stream} · Sightline`;
    const back = link(navigation, "back", t.cameras, "/");
    this.#player.setAttribute("controls", "");
    this.#player.setAttribute("stats", "");
    const forced = new URLSearchParams(location.search).get("renderer");
    if (forced !== null) this.#player.setAttribute("renderer", forced);
    this.#player.addEventListener("statechange", (e) => {
      if (e instanceof CustomEvent && e.detail.login === true) navigation.loggedOut(this.#player.reason);
    });
    this.#player.setAttribute("src", socketPath(stream));
    this.#player.setAttribute("aria-label", t.watch.label(stream));
    this.#player.addEventListener("dblclick", () => this.#player.toggleFullScreen());
    this.element = el("main", "watch", this.#player, el("header", "over", back, el("h1", "", stream), account(navigation)));
    this.element.addEventListener("pointermove", () => this.#stir());
    this.element.addEventListener("pointerdown", () => this.#stir());
  }

  shown(): void {
    this.#stir();
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  key(e: KeyboardEvent): boolean {
    this.#stir();
    switch (e.key) {
      case "i":
        this.#player.toggleAttribute("stats");
        return true;
      case "q":
        this.#player.toggleSettings();
        return true;
      case "f":
        this.#player.toggleFullScreen();
        return true;
      case "Escape":
        // In full screen the browser takes it, to leave that first.
        if (document.fullscreenElement === null) this.#navigation.go("/");
        return true;
      default:
        return false;
    }
  }

  /** Shows what is laid over the picture, until nobody has moved for a while. */
  #stir(): void {
    clearTimeout(this.#timer);
    this.#quiet(false);
    this.#timer = setTimeout(() => this.#quiet(true), quietAfter);
  }

  #quiet(quiet: boolean): void {
    this.element.classList.toggle("quiet", quiet);
    this.#player.toggleAttribute("quiet", quiet);
  }
}
