// What programs come in by: tokens, and the keys that sign them.

import { el } from "../dom.ts";
import { revoke } from "../api.ts";
import { Table, timeWords } from "../rows.ts";
import { issueToken, keys, removeKey, rotateKey, type Key } from "./api.ts";
import { ask, showToken } from "./dialog.ts";
import { choice, field, form, lifetimes, namesIn, section, textInput, type Desk, type Part } from "./part.ts";
import { words } from "./strings.ts";

export class Keys implements Part {
  readonly element: HTMLElement;
  readonly #desk: Desk;
  readonly #keys: Table<Key>;

  constructor(desk: Desk) {
    this.#desk = desk;
    const day = (t: Date | undefined): string => (t === undefined ? "" : timeWords(t));
    this.#keys = new Table<Key>(
      words.keys,
      [
        { name: words.key, text: (k) => k.id, long: true },
        { name: words.state, text: (k) => (k.retired === undefined ? words.signs : words.retired), tone: (k) => (k.retired === undefined ? "good" : "") },
        { name: words.made, text: (k) => day(k.made) },
        { name: words.retiredSince, text: (k) => day(k.retired) },
        { name: words.acceptedUntil, text: (k) => day(k.until) },
      ],
      (k) => `${k.id} ${k.retired === undefined}`,
      (k) => (k.retired === undefined ? [] : [desk.button(words.remove, words.removeKey(k.id), () => this.#remove(k))]),
    );
    const rotate = desk.button(words.rotate, words.rotate, async () => words.rotated((await rotateKey()).id));
    this.element = el(
      "div",
      "board",
      section(words.tokens, el("p", "hint", words.tokensHint), this.#newToken(), this.#revoke()),
      section(words.keys, el("p", "hint", words.keysHint), this.#keys.element, el("div", "actions", rotate)),
    );
  }

  async look(): Promise<void> {
    this.#keys.update(await keys());
  }

  close(): void {
    // Nothing runs.
  }

  #newToken(): HTMLElement {
    const subject = textInput("recorder");
    subject.name = "token-subject";
    subject.required = true;
    const action = choice(Object.entries(words.actions));
    action.name = "token-action";
    const streams = textInput("door");
    streams.name = "token-streams";
    streams.required = true;
    const lifetime = lifetimes();
    const fields = el("div", "fields", field(words.forWhom, subject), field(words.does, action), field(words.streams, streams, words.patternHint), field(words.goodFor, lifetime, words.lifetimeHint));
    return form(words.issue, [fields], () =>
      this.#desk.act(async () => {
        const made = await issueToken(subject.value.trim(), action.value, namesIn(streams.value), Number(lifetime.value));
        await showToken(made.token, made.id, made.expires);
        return words.issued(subject.value.trim());
      }),
    );
  }

  #revoke(): HTMLElement {
    const kind = choice(Object.entries(words.revocations));
    kind.name = "revoke-kind";
    const value = textInput();
    value.name = "revoke-value";
    value.required = true;
    const fields = el("div", "fields", field(words.what, kind), field(words.which, value));
    return el("details", "add", el("summary", "", words.revokeSummary), form(words.revoke, [el("p", "hint", words.revokeHint), fields], () =>
      this.#desk.act(async () => {
        const which = value.value.trim();
        await revoke(kind.value === "token" ? "token" : "subject", which);
        return words.wasRevoked(which);
      }),
    ));
  }

  async #remove(k: Key): Promise<string> {
    if (!(await ask(words.removeKey(k.id), [el("p", "hint", words.removeKeyHint)], words.remove))) return "";
    await removeKey(k.id);
    return words.keyRemoved;
  }
}
