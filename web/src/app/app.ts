// The pages as one application: which is shown, and how one gets in.

import { definePlayer, warmUp } from "../player/element.ts";
import { APIError, login } from "./api.ts";
import { Door } from "./door.ts";
import type { Navigation, Page } from "./page.ts";
import { Publish } from "./publish.ts";
import { codeIn, routeOf } from "./route.ts";
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
  loggedOut: (reason) => show(new Door(reason, enter)),
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
  if (route.page === "watch") {
    lastWatched = route.stream;
    show(new Watch(navigation, route.stream));
  } else if (route.page === "publish") {
    show(new Publish(navigation, route.stream));
  } else {
    show(new Wall(navigation, lastWatched));
  }
}

/** Tries a code; gives the sentence why it did not work. */
async function enter(code: string): Promise<string> {
  try {
    await login(code);
  } catch (cause) {
    if (!(cause instanceof APIError)) throw cause;
    return cause.message;
  }
  showRoute();
  return "";
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
  const problem = await enter(code);
  if (problem !== "") navigation.loggedOut(problem);
}

if (routeOf(location.pathname).page !== "publish") warmUp();
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
  if (page?.key(e) === true) e.preventDefault();
});
void start();
