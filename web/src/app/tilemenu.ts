// The menu of one tile, under the pointer's other button, a long press or the keyboard's menu key. Loaded when it is first asked for.

import { language, type Language } from "../language.ts";
import type { SightlinePlayer } from "../player/element.ts";
import { button, el, setText } from "./dom.ts";

const en = {
  name: (stream: string): string => `Menu of ${stream}`,
  large: "Show large",
  fullScreen: "Full screen",
  save: "Save picture",
  noPicture: "There is no picture to save yet.",
  link: "Copy link",
  newTab: "Open in a new tab",
  statistics: "Statistics",
};

const de: typeof en = {
  name: (stream) => `Menü von ${stream}`,
  large: "Groß zeigen",
  fullScreen: "Vollbild",
  save: "Bild speichern",
  noPicture: "Es gibt noch kein Bild zu speichern.",
  link: "Link kopieren",
  newTab: "In neuem Tab öffnen",
  statistics: "Messwerte",
};

const words = ({ en, de } satisfies Record<Language, typeof en>)[language];

/** Between the menu and the window's edge, in CSS pixels. */
const margin = 12;
/** How long the browser may take to ask where a picture is to be saved, ms. */
const saving = 60_000;

/** What the menu is of. */
export interface MenuOf {
  readonly stream: string;
  readonly player: SightlinePlayer;
  /** To the camera's own page. It gets the focus back. */
  readonly link: HTMLAnchorElement;
  enlarge(): void;
}

/** Opens the menu at a place of the window. It goes when something in it is chosen, or beside it is pressed. */
export function openTileMenu(of: MenuOf, at: { readonly x: number; readonly y: number }): void {
  const menu = el("div", "menu");
  menu.popover = "auto";
  menu.setAttribute("role", "group");
  menu.setAttribute("aria-label", words.name(of.stream));
  const entry = (text: string, act: () => void): HTMLButtonElement =>
    button("entry", () => {
      menu.hidePopover();
      act();
    }, text);
  const address = of.link.href;
  const save = button("entry", () => void savePicture(of.player).then(() => menu.hidePopover(), () => setText(save, words.noPicture)), words.save);
  const entries = [
    entry(words.large, of.enlarge),
    entry(words.fullScreen, () => of.player.requestFullscreen().catch(() => undefined)), // refused by the browser, which shows as much
    save,
    entry(words.statistics, () => of.player.toggleAttribute("stats")),
    entry(words.newTab, () => open(address, "_blank", "noopener")),
  ];
  // Where the page may not write to the clipboard, the new tab has the address.
  if ("clipboard" in navigator) entries.push(entry(words.link, () => navigator.clipboard.writeText(address).catch(() => undefined)));
  menu.append(...entries);
  menu.addEventListener("toggle", (e) => {
    if (e.newState !== "closed") return;
    const within = menu.contains(document.activeElement) || document.activeElement === document.body;
    menu.remove();
    if (within) of.link.focus({ preventScroll: true });
  });
  document.body.append(menu);
  menu.showPopover();
  const { width, height } = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(margin, Math.min(at.x, innerWidth - width - margin))}px`;
  menu.style.top = `${Math.max(margin, Math.min(at.y, innerHeight - height - margin))}px`;
  entries[0]?.focus({ preventScroll: true });
}

async function savePicture(player: SightlinePlayer): Promise<void> {
  const { blob, name } = await player.snapshot();
  const a = el("a", "");
  a.href = URL.createObjectURL(blob);
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), saving);
}
