// The pages as one application: which is shown, and how one gets in.

import { language } from "../language.ts";
import { definePlayer, warmUp } from "../player/element.ts";
import { APIError, login, type Credentials } from "./api.ts";
import { Door, SetUp, type Entrance } from "./door.ts";
import type { Navigation, Page } from "./page.ts";
import { codeIn, routeOf, setUpCodeIn } from "./route.ts";
import { Wall } from "./wall.ts";
import { Watch } from "./watch.ts";

let page: Page | undefined;
/** The stream last watched: its tile has the focus on the way back. */
let lastWatched: string | undefined;

const navigation: Navigation = {
  go(path) {
    history.pushState(null, "", path);
    showRoute();
  },
  loggedOut: (reason) => show(new Door(reason, entrance)),
};

const entrance: Entrance = {
  async enter(credentials: Credentials) {
    try {
      await login(credentials);
    } catch (cause) {
      if (!(cause instanceof APIError)) throw cause;
      return cause.message;
    }
    showRoute();
    return "";
  },
  async enterByCode(code) {
    const setUpCode = setUpCodeIn(code);
    if (setUpCode === undefined) return entrance.enter({ code });
    show(new SetUp(setUpCode, entrance));
    return "";
  },
};

function show(next: Page): void {
  page?.close();
  page = next;
  document.title = next.title;
  document.body.replaceChildren(next.element);
  next.shown();
}

function showRoute(): void {
  const route = routeOf(location.pathname);
  if (page?.follow?.(route) === true) {
    document.title = page.title;
    return;
  }
  if (route.page === "watch") {
    lastWatched = route.stream;
    show(new Watch(navigation, route.stream));
  } else if (route.page === "publish") {
    void showPublish(route.stream);
  } else if (route.page === "admin") {
    void showAdmin(route.path);
  } else {
    show(new Wall(navigation, lastWatched));
  }
}

// Few come for these pages: each is a file of its own, which nobody else waits for.

async function showPublish(stream: string): Promise<void> {
  const { Publish } = await import("./publish.ts");
  const route = routeOf(location.pathname);
  if (route.page === "publish" && route.stream === stream) show(new Publish(navigation, stream));
}

async function showAdmin(path: string): Promise<void> {
  const { Admin } = await import("./admin.ts");
  const route = routeOf(location.pathname);
  if (route.page === "admin" && route.path === path) show(new Admin(navigation, path));
}

/** The code behind the #, which leaves the address bar and the history at once. */
function takeCode(): string {
  const code = codeIn(location.hash);
  if (location.hash !== "") history.replaceState(null, "", location.pathname + location.search);
  return code;
}

async function start(): Promise<void> {
  const code = takeCode();
  // Without a code the page does not ask first whether it may: the socket is the shortest way to a picture, and says no itself.
  if (code === "") return showRoute();
  const problem = await entrance.enterByCode(code);
  if (problem !== "") navigation.loggedOut(problem);
}

document.documentElement.lang = language;
if (["wall", "watch"].includes(routeOf(location.pathname).page)) warmUp();
definePlayer();
addEventListener("popstate", () => {
  if (location.hash === "") showRoute();
});
addEventListener("hashchange", () => {
  if (location.hash !== "") void start();
});
addEventListener("keydown", (e) => {
  const typing = e.target instanceof HTMLInputElement || e.target instanceof HTMLSelectElement;
  if (typing || e.ctrlKey || e.metaKey || e.altKey) return;
  if (document.querySelector("dialog[open], :popover-open") !== null) return; // what is open has the keys
  if (page?.key(e) === true) e.preventDefault();
});
void start();
