// The administrator's page: parts under tabs, each of which asks the server for what it shows as long as somebody looks. A file of
// its own, loaded only here.

import { account } from "./account.ts";
import { Cameras } from "./admin/cameras.ts";
import { History } from "./admin/history.ts";
import { historyWords } from "./admin/history-words.ts";
import { Configuration } from "./admin/configuration.ts";
import { Now } from "./admin/now.ts";
import { People } from "./admin/people.ts";
import { Keys } from "./admin/keys.ts";
import type { Desk, Part } from "./admin/part.ts";
import { Trail } from "./admin/record.ts";
import { words } from "./admin/strings.ts";
import { APIError } from "./api.ts";
import { el, link, setText } from "./dom.ts";
import type { Navigation, Page } from "./page.ts";

const lookEvery = 5_000; // ms

const parts: readonly { readonly path: string; readonly name: string; readonly make: (desk: Desk) => Part }[] = [
  { path: "/admin", name: words.tabs.now, make: (desk) => new Now(desk) },
  { path: "/admin/history", name: historyWords.tab, make: () => new History() },
  { path: "/admin/cameras", name: words.tabs.cameras, make: (desk) => new Cameras(desk) },
  { path: "/admin/people", name: words.tabs.people, make: (desk) => new People(desk) },
  { path: "/admin/keys", name: words.tabs.keys, make: (desk) => new Keys(desk) },
  { path: "/admin/configuration", name: words.tabs.configuration, make: (desk) => new Configuration(desk) },
  { path: "/admin/record", name: words.tabs.record, make: (desk) => new Trail(desk) },
];

export class Admin implements Page {
  readonly title = `${words.title} · Sightline`;
  readonly element: HTMLElement;
  readonly #navigation: Navigation;
  readonly #status = el("p", "count");
  readonly #problem = el("p", "problem");
  readonly #part: Part;

  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Rises with each look, so that a late answer is not taken for that of a newer one. */
  #looks = 0;
  #closed = false;

  /** Shows the part of that address; one that is unknown shows the first. */
  constructor(navigation: Navigation, path: string) {
    this.#navigation = navigation;
    this.#status.setAttribute("role", "status");
    this.#problem.setAttribute("role", "alert");
    this.#problem.hidden = true;
    const shown = parts.find((p) => p.path === path) ?? parts[0];
    if (shown === undefined) throw new Error("this page has no parts");
    this.#part = shown.make({
      navigation,
      button: (label, name, act) => this.#button(label, name, act),
      act: (what) => this.#act(what),
      look: () => this.#look(),
    });
    this.#part.element.hidden = true; // until it is known that one may see it
    const tabs = el("nav", "tabs", ...parts.map((p) => {
      const tab = link(navigation, "", p.name, p.path);
      if (p === shown) tab.setAttribute("aria-current", "page");
      return tab;
    }));
    tabs.setAttribute("aria-label", words.parts);
    const back = link(navigation, "back", words.cameras, "/");
    const header = el("header", "bar", back, el("h1", "", words.title), this.#status, account(navigation));
    this.element = el("main", "admin", header, tabs, this.#problem, this.#part.element);
  }

  shown(): void {
    document.addEventListener("visibilitychange", this.#onVisibility);
    this.element.querySelector('[aria-current="page"]')?.scrollIntoView({ block: "nearest", inline: "nearest" });
    void this.#look();
  }

  key(): boolean {
    return false;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    document.removeEventListener("visibilitychange", this.#onVisibility);
    this.#part.close();
  }

  /** A page that nobody sees asks for nothing. */
  readonly #onVisibility = (): void => {
    clearTimeout(this.#timer);
    if (!document.hidden) void this.#look();
  };

  async #look(): Promise<void> {
    clearTimeout(this.#timer);
    const look = ++this.#looks;
    try {
      await this.#part.look();
      if (this.#closed || look !== this.#looks) return;
      this.#say("");
      this.#part.element.hidden = false;
    } catch (cause) {
      if (this.#closed || look !== this.#looks) return;
      if (!(cause instanceof APIError)) throw cause;
      if (cause.status === 401) return this.#navigation.loggedOut("");
      if (cause.status === 403) return this.#deny();
      this.#say(cause.message);
    }
    if (!document.hidden) this.#timer = setTimeout(() => void this.#look(), lookEvery);
  }

  /** Says that this page is not for the one who opened it, and forgets what was on it. */
  #deny(): void {
    this.close();
    this.#part.element.remove();
    this.#say(words.denied);
  }

  #button(label: string, name: string, act: () => Promise<string>): HTMLButtonElement {
    const b = el("button", "plain", label);
    b.type = "button";
    b.setAttribute("aria-label", name);
    b.addEventListener("click", () => void this.#act(act));
    return b;
  }

  async #act(what: () => Promise<string>): Promise<boolean> {
    let problem = "";
    try {
      const done = await what();
      if (done !== "") setText(this.#status, done);
    } catch (cause) {
      if (!(cause instanceof APIError)) throw cause;
      if (cause.status === 401) {
        this.#navigation.loggedOut("");
        return false;
      }
      problem = cause.message;
    }
    await this.#look();
    if (problem !== "") {
      this.#say(problem);
      this.#problem.scrollIntoView({ block: "nearest" });
    }
    return problem === "";
  }

  #say(problem: string): void {
    setText(this.#problem, problem);
    this.#problem.hidden = problem === "";
  }
}
