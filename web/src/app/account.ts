// The menu of who is logged in: who that is, what runs under their name, and the ways out. It asks the server nothing before it is
// opened.

import { APIError, endSession, logout, logoutEverywhere, self, sessions, type Session } from "./api.ts";
import { dropdown, el, icon, link, setText } from "./dom.ts";
import type { Navigation } from "./page.ts";
import { Rows, timeWords } from "./rows.ts";
import { t } from "./strings.ts";

/** The button with its menu, for a page's header. */
export function account(navigation: Navigation): HTMLElement {
  const panel = el("div", "");
  panel.id = "account";
  const button = el("button", "plain round person", icon("M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20c.6-3.6 3.6-6 7.5-6s6.9 2.4 7.5 6"));
  button.type = "button";
  button.title = t.account.label;
  button.setAttribute("aria-label", t.account.label);

  const who = el("p", "who");
  const until = el("p", "hint");
  const problem = el("p", "problem");
  problem.setAttribute("role", "alert");
  const tell = (text: string): void => {
    setText(problem, text);
    problem.hidden = text === "";
  };
  /** Does something and tells what went wrong. */
  const act = async (what: () => Promise<void>): Promise<void> => {
    tell("");
    try {
      await what();
    } catch (cause) {
      if (!(cause instanceof APIError)) throw cause;
      if (cause.status === 401) return navigation.loggedOut("");
      tell(cause.message);
    }
  };
  const entry = (label: string, what: () => Promise<void>): HTMLButtonElement => {
    const b = el("button", "entry", label);
    b.type = "button";
    b.addEventListener("click", () => void act(what));
    return b;
  };

  const admin = link(navigation, "entry", t.account.admin, "/admin");
  admin.hidden = true;
  const dialog = new OwnSessions(navigation);
  panel.append(
    who,
    until,
    problem,
    admin,
    entry(t.account.mine, async () => {
      panel.hidePopover();
      dialog.open();
    }),
    entry(t.account.logOut, async () => {
      await logout();
      navigation.loggedOut(t.account.loggedOut);
    }),
    entry(t.account.logOutEverywhere, async () => {
      await logoutEverywhere();
      navigation.loggedOut(t.account.loggedOutEverywhere);
    }),
  );
  dropdown(button, panel, () => {
    void act(async () => {
      const me = await self();
      setText(who, me.subject);
      setText(until, t.account.until(timeWords(me.expires)));
      admin.hidden = !me.admin || location.pathname === "/admin";
    });
  });
  return el("div", "account", button, panel, dialog.element);
}

const doings: Readonly<Record<string, string>> = { watch: t.account.watching, publish: t.account.publishing, mjpeg: t.account.mjpeg };

/** What a session of a kind does. */
export const doing = (kind: string): string => doings[kind] ?? kind;

const lookEvery = 5_000; // ms

/** What runs under one's own name. */
class OwnSessions {
  readonly element = el("dialog", "sessions");
  readonly #navigation: Navigation;
  readonly #list = el("ul", "");
  readonly #none = el("p", "hint", t.account.none);
  readonly #problem = el("p", "problem");
  readonly #rows: Rows<Session>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(navigation: Navigation) {
    this.#navigation = navigation;
    this.#rows = new Rows(this.#list, (s) => s.id, (s) => this.#row(s));
    this.#problem.setAttribute("role", "alert");
    const title = el("h2", "", t.account.mine);
    title.id = "sessions-title";
    title.tabIndex = -1;
    this.element.setAttribute("aria-labelledby", title.id);
    this.#none.hidden = true;
    const close = el("button", "plain", t.close);
    close.type = "button";
    close.addEventListener("click", () => this.element.close());
    this.element.addEventListener("close", () => clearTimeout(this.#timer));
    this.element.append(title, this.#problem, this.#none, this.#list, el("div", "actions", close));
  }

  open(): void {
    this.element.showModal();
    void this.#look();
  }

  async #look(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#try(async () => {
      const [me, all] = await Promise.all([self(), sessions()]);
      const own = all.filter((s) => s.subject === me.subject); // an administrator is told of everybody's
      this.#rows.update(own);
      this.#none.hidden = own.length > 0;
    });
    if (this.element.open && this.element.isConnected) this.#timer = setTimeout(() => void this.#look(), lookEvery);
  }

  #row(s: Session): { element: HTMLElement; update: () => void } {
    const end = el("button", "plain", t.account.end);
    end.type = "button";
    end.setAttribute("aria-label", t.account.endOf(doing(s.kind), s.stream));
    end.addEventListener("click", () => void this.#try(() => endSession(s.id)).then(() => this.#look()));
    const words = el("div", "", el("strong", "", s.stream), el("p", "hint", t.account.fromSince(doing(s.kind), s.remote, timeWords(s.since))));
    return { element: el("li", "", words, end), update: () => undefined };
  }

  async #try(what: () => Promise<void>): Promise<void> {
    let problem = "";
    try {
      await what();
    } catch (cause) {
      if (!(cause instanceof APIError)) throw cause;
      if (cause.status === 401) return this.#navigation.loggedOut("");
      if (cause.status !== 404) problem = cause.message; // 404: it ended by itself meanwhile
    }
    setText(this.#problem, problem);
    this.#problem.hidden = problem === "";
  }
}
