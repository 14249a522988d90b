// What the administrator's page shows over itself: questions, and secrets that are shown once.

import { el, setText } from "../dom.ts";
import { isThisMachine } from "../route.ts";
import { timeWords } from "../rows.ts";
import { t } from "../strings.ts";
import type { NewLink } from "./api.ts";
import { words } from "./strings.ts";

let dialogs = 0;

/** Shows a dialog that is gone when it is closed; what is done with it resolves then, with the value of the button that closed it. */
function show(title: string, content: readonly Node[], buttons: readonly HTMLButtonElement[]): Promise<string> {
  const heading = el("h2", "", title);
  heading.id = `admin-dialog-${dialogs++}`;
  const form = el("form", "", heading, ...content, el("div", "actions", ...buttons));
  form.method = "dialog";
  const dialog = el("dialog", "", form);
  dialog.setAttribute("aria-labelledby", heading.id);
  return new Promise((closed) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      closed(dialog.returnValue);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

function button(className: string, label: string, value: string): HTMLButtonElement {
  const b = el("button", className, label);
  b.value = value;
  return b;
}

/** Asks whether something shall be done; action says what, on the button. What is in content may be filled in. */
export async function ask(title: string, content: readonly Node[], action: string): Promise<boolean> {
  const cancel = button("plain", words.cancel, "");
  cancel.formNoValidate = true;
  return (await show(title, content, [cancel, button("primary", action, "do")])) === "do";
}

/** Shows a text that cannot be shown again, to be copied. */
function copyable(name: string, text: string): HTMLElement {
  const input = el("input", "");
  input.readOnly = true;
  input.value = text;
  input.setAttribute("aria-label", name);
  input.addEventListener("focus", () => input.select());
  const copy = el("button", "plain", words.copy);
  copy.type = "button";
  const told = el("span", "unseen");
  told.setAttribute("role", "status");
  copy.addEventListener("click", () => {
    navigator.clipboard.writeText(text).then(
      () => {
        setText(copy, words.copied);
        setText(told, words.copied);
      },
      () => input.select(), // the browser refuses: it is copied by hand
    );
  });
  return el("div", "copyable", input, copy, told);
}

/** Shows a link that lets somebody in, and its QR code for a phone. */
export async function showLink(title: string, hint: string, l: NewLink): Promise<void> {
  const image = el("img", "qr");
  image.src = `data:image/svg+xml,${encodeURIComponent(l.qr)}`;
  image.alt = words.qrOf;
  const content: Node[] = [el("p", "hint", `${hint} ${words.shownOnce} ${words.goodUntil(timeWords(l.expires))}`), image, copyable(words.link, l.link)];
  const { hostname } = new URL(l.link);
  if (isThisMachine(hostname)) content.push(el("p", "problem", t.linkOfThisMachine(hostname)));
  await show(title, content, [button("primary", words.done, "")]);
}

/** Shows a token. */
export async function showToken(token: string, id: string, expires: Date): Promise<void> {
  const content = [el("p", "hint", `${words.tokenHint} ${words.shownOnce} ${words.goodUntil(timeWords(expires))}`), copyable(words.token, token), el("p", "hint", words.tokenID(id))];
  await show(words.newToken, content, [button("primary", words.done, "")]);
}
