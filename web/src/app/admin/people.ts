// Who may come in: the accounts, and invitations for those who have none.

import { el } from "../dom.ts";
import { Table, timeWords } from "../rows.ts";
import { addUser, changeUser, disableUser, invitations, invite, newUserLink, removeUser, users, withdraw, type Invitation, type User } from "./api.ts";
import { ask, showLink } from "./dialog.ts";
import { choice, field, form, lifetimes, namesIn, section, textInput, type Desk, type Part } from "./part.ts";
import { words } from "./strings.ts";

export class People implements Part {
  readonly element: HTMLElement;
  readonly #desk: Desk;
  readonly #noUsers = el("p", "hint", words.noUsers);
  readonly #users: Table<User>;
  readonly #noInvitations = el("p", "hint", words.noInvitations);
  readonly #invitations: Table<Invitation>;

  constructor(desk: Desk) {
    this.#desk = desk;
    this.#users = new Table<User>(
      words.accounts,
      [
        { name: words.account, text: (u) => u.name },
        { name: words.role, text: (u) => words.roles[u.role] ?? u.role },
        { name: words.streams, text: (u) => u.streams.join(" "), title: (u) => u.streams.join(" ") },
        { name: words.state, text: stateWords, tone: (u) => (u.disabled || (!u.password && u.invited === undefined) ? "warn" : "") },
        { name: words.made, text: (u) => timeWords(u.made) },
      ],
      (u) => `${u.name} ${u.disabled}`, // its buttons depend on both
      (u) => this.#userButtons(u),
    );
    this.#invitations = new Table<Invitation>(
      words.invitations,
      [
        { name: words.name, text: (i) => i.name },
        { name: words.streams, text: (i) => i.streams.join(" "), title: (i) => i.streams.join(" ") },
        { name: words.used, text: (i) => words.usedOf(i.used, i.uses) },
        { name: words.until, text: (i) => timeWords(i.expires) },
      ],
      (i) => `${i.name} ${i.expires.toISOString()}`,
      (i) => [desk.button(words.takeBack, words.takeBackOf(i.name), () => this.#withdraw(i))],
    );
    this.element = el(
      "div",
      "board",
      section(words.accounts, el("p", "hint", words.accountsHint), this.#noUsers, this.#users.element, this.#newUser()),
      section(words.invitations, el("p", "hint", words.invitationsHint), this.#noInvitations, this.#invitations.element, this.#newInvitation()),
    );
  }

  async look(): Promise<void> {
    const [accounts, invited] = [await users(), await invitations()];
    this.#users.update(accounts);
    this.#noUsers.hidden = accounts.length > 0;
    this.#invitations.update(invited);
    this.#noInvitations.hidden = invited.length > 0;
  }

  close(): void {
    // Nothing runs.
  }

  #userButtons(u: User): HTMLElement[] {
    return [
      this.#desk.button(words.change, words.changeOf(u.name), () => this.#change(u)),
      this.#desk.button(words.newLink, words.newLinkOf(u.name), async () => {
        const link = await newUserLink(u.name);
        await showLink(words.linkFor(u.name), words.setUpHint, link);
        return words.linkMade(u.name);
      }),
      this.#desk.button(u.disabled ? words.enable : words.disable, (u.disabled ? words.enableOf : words.disableOf)(u.name), async () => {
        await disableUser(u.name, !u.disabled);
        return (u.disabled ? words.enabled : words.disabled)(u.name);
      }),
      this.#desk.button(words.remove, words.removeOf(u.name), async () => {
        if (!(await ask(words.removeOf(u.name), [el("p", "hint", words.removeHint)], words.remove))) return "";
        await removeUser(u.name);
        return words.removed(u.name);
      }),
    ];
  }

  #newUser(): HTMLElement {
    const name = textInput("alice");
    name.name = "account";
    name.required = true;
    const role = choice(Object.entries(words.roles));
    role.name = "role";
    const streams = textInput();
    streams.name = "account-streams";
    streams.defaultValue = "**";
    streams.required = true;
    const fields = el("div", "fields", field(words.account, name), field(words.role, role), field(words.streams, streams, words.patternHint));
    return el("details", "add", el("summary", "", words.addAccount), form(words.addAccount, [fields], () =>
      this.#desk.act(async () => {
        const link = await addUser(name.value.trim(), role.value, namesIn(streams.value));
        await showLink(words.linkFor(link.name), words.setUpHint, link);
        return words.added(link.name);
      }),
    ));
  }

  async #change(u: User): Promise<string> {
    const role = choice(Object.entries(words.roles));
    role.value = u.role;
    const streams = textInput();
    streams.value = u.streams.join(" ");
    streams.required = true;
    const content = [field(words.role, role), field(words.streams, streams, words.patternHint), el("p", "hint", words.changeHint)];
    if (!(await ask(words.changeOf(u.name), content, words.change))) return "";
    await changeUser(u.name, role.value, namesIn(streams.value));
    return words.changed(u.name);
  }

  #newInvitation(): HTMLElement {
    const name = textInput("visitors");
    name.name = "invitation";
    name.required = true;
    const streams = textInput();
    streams.name = "invitation-streams";
    streams.defaultValue = "**";
    streams.required = true;
    const uses = el("input", "");
    uses.name = "uses";
    uses.type = "number";
    uses.min = "1";
    uses.max = "1000";
    uses.defaultValue = "1";
    uses.required = true;
    const lifetime = lifetimes();
    const fields = el("div", "fields", field(words.name, name), field(words.streams, streams, words.patternHint), field(words.people, uses), field(words.goodFor, lifetime));
    return el("details", "add", el("summary", "", words.invite), form(words.invite, [fields], () =>
      this.#desk.act(async () => {
        const link = await invite(name.value.trim(), namesIn(streams.value), uses.valueAsNumber, Number(lifetime.value));
        await showLink(words.invitationOf(link.name), words.guestHint, link);
        return words.invited(link.name);
      }),
    ));
  }

  async #withdraw(i: Invitation): Promise<string> {
    await withdraw(i.name);
    return words.takenBack(i.name);
  }
}

function stateWords(u: User): string {
  if (u.disabled) return words.isDisabled;
  if (u.invited !== undefined) return words.hasLink(timeWords(u.invited));
  return u.password ? words.isActive : words.hasNothing;
}
