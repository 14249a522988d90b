// What somebody sees who has no camera yet: that it works, and three next steps.

import { APIError, code } from "./api.ts";
import { button, el, link, setText } from "./dom.ts";
import type { Navigation } from "./page.ts";
import { isThisMachine } from "./route.ts";
import { t } from "./strings.ts";

/** publish asks for the name of this device's camera. */
export function welcome(navigation: Navigation, publish: () => void): HTMLElement {
  const made = el("div", "made");
  made.setAttribute("role", "status");
  const makeLink = async (): Promise<void> => {
    try {
      const address = `${location.origin}/#${await code()}`;
      const field = el("input", "");
      field.readOnly = true;
      field.value = address;
      field.setAttribute("aria-label", t.welcome.copyHint);
      field.addEventListener("focus", () => field.select());
      const copy = button("plain", () => {
        navigator.clipboard.writeText(address).then(
          () => setText(copy, t.welcome.copied),
          () => field.focus(), // not allowed: it is marked, to be copied by hand
        );
      }, t.welcome.copy);
      made.replaceChildren(field, copy);
      if (isThisMachine(location.hostname)) made.append(el("p", "problem", t.linkOfThisMachine(location.hostname)));
    } catch (cause) {
      if (!(cause instanceof APIError)) throw cause;
      made.replaceChildren(el("p", "problem", cause.message));
    }
  };
  const step = (title: string, words: string, act: HTMLElement, ...more: HTMLElement[]): HTMLElement =>
    el("li", "", el("h2", "", title), el("p", "", words), act, ...more);
  return el(
    "section",
    "welcome",
    el("h1", "", t.welcome.title),
    el("p", "lead", t.welcome.lead),
    el(
      "ol",
      "",
      step(t.welcome.add, t.welcome.addText, link(navigation, "primary", t.welcome.addDo, "/admin/cameras")),
      step(t.welcome.own, t.welcome.ownText, button("plain", publish, t.welcome.ownDo)),
      step(t.welcome.phone, t.welcome.phoneText, button("plain", () => void makeLink(), t.welcome.phoneDo), made),
    ),
  );
}
