// One stream, as large as the window.

import type { SightlinePlayer } from "../player/element.ts";
import { el } from "./dom.ts";
import type { Navigation, Page } from "./page.ts";
import { socketPath } from "./route.ts";
import { Single } from "./single.ts";
import { t } from "./strings.ts";

export class Watch implements Page {
  readonly title: string;
  readonly element = el("main", "watch");
  readonly #single: Single;

  constructor(navigation: Navigation, stream: string) {
    this.title = `${stream} · Sightline`;
    const player = document.createElement("sightline-player") as SightlinePlayer;
    player.setAttribute("stats", "");
    for (const name of ["renderer", "decoder"]) {
      const forced = new URLSearchParams(location.search).get(name);
      if (forced !== null) player.setAttribute(name, forced);
    }
    player.addEventListener("statechange", (e) => {
      if (e instanceof CustomEvent && e.detail.login === true) navigation.loggedOut(player.reason);
    });
    player.setAttribute("src", socketPath(stream));
    player.setAttribute("aria-label", t.watch.label(stream));
    this.#single = new Single(navigation, stream, player, this.element);
    this.element.append(player, this.#single.element);
  }

  shown(): void {
    this.#single.stir();
  }

  close(): void {
    this.#single.close();
  }

  key(e: KeyboardEvent): boolean {
    return this.#single.key(e);
  }
}
