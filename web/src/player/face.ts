// What is laid over the picture: the words about it, the figures, and the controls.

import { el, iconButton, setText } from "./dom.ts";
import { Figures } from "./figures.ts";
import { Popup } from "./popup.ts";
import { Settings, type SettingsEvents } from "./settings.ts";
import { ageWords, type Told } from "./state.ts";
import type { Strings } from "./strings.ts";

export const toolNames = ["compare", "ruler", "adjust"] as const;
export type ToolName = (typeof toolNames)[number];

export interface Actions extends SettingsEvents {
  again(): void;
  pauseOrPlay(): void;
  snapshot(): void;
  statistics(): void;
  /** Shows and hides the graphs of the statistics. */
  graphs(): void;
  /** Puts the statistics on the clipboard, and says whether it could. */
  copy(): Promise<boolean>;
  zoom(factor: number): void;
  resetZoom(): void;
  rotate(): void;
  mirror(): void;
  /** Missing where the browser has no such windows. */
  readonly pictureInPicture: (() => void) | undefined;
  tool(name: ToolName): void;
  /** Missing where the browser has no full screen. */
  readonly fullScreen: (() => void) | undefined;
}

const icons = {
  pause: "M8 5v14M16 5v14",
  play: "M7 4.5v15l12-7.5z",
  snapshot: "M3 8h3.5l2-3h7l2 3H21v11H3zM12 16.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z",
  statistics: "M4 20V11M10 20V4M16 20v-7M21 20H3",
  view: "M4.5 10.5a6 6 0 1 0 12 0 6 6 0 1 0-12 0M15 15l5 5M10.500 8v5M8 10.500h5",
  fullScreen: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  leaveFullScreen: "M9 4v5H4M15 4v5h5M9 20v-5H4M15 20v-5h5",
  zoomIn: "M12 5v14M5 12h14",
  zoomOut: "M5 12h14",
  rotate: "M19 12a7 7 0 1 1-2.5-5.360M19.500 3.500V8H15",
  mirror: "M12 3v18M8.500 7 3 17h5.500zM15.500 7l5.500 10h-5.500z",
  pictureInPicture: "M3 5h18v14H3zM12.500 12.500H18V16h-5.500z",
  compare: "M3 5h18v14H3zM12 3v18M15 12h3",
  ruler: "M3 15.500 15.500 3 21 8.500 8.500 21zM7 11.500l2 2M10 8.500l2.500 2.500M13 5.500l2 2",
  adjust: "M12 3v3M12 18v3M3 12h3M18 12h3M5.600 5.600l2 2M16.400 16.400l2 2M18.400 5.600l-2 2M7.600 16.400l-2 2M12 15.500a3.500 3.500 0 1 0 0-7z",
} as const;

/** How long a note stands. */
const noteFor = 5_000; // ms

export class Face {
  /** In the order in which they are laid over the picture. */
  readonly elements: readonly HTMLElement[];
  readonly figures: Figures;
  readonly settings: Settings;
  readonly #strings: Strings;
  readonly #pill = el("span", "pill");
  readonly #age = el("span", "age");
  readonly #detail = el("p", "detail");
  readonly #note = el("p", "note");
  readonly #again = el("button", "again");
  readonly #zoom = el("button", "zoom");
  readonly #controls = el("div", "controls");
  readonly #play: HTMLButtonElement;
  readonly #statistics: HTMLButtonElement;
  readonly #full: HTMLButtonElement | undefined;
  readonly #view: Popup;
  readonly #mirror: HTMLButtonElement;
  readonly #tools = new Map<ToolName, HTMLButtonElement>();
  readonly #dock = el("div", "dock");
  #noteTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(s: Strings, actions: Actions) {
    this.#strings = s;
    this.figures = new Figures(s, actions);
    this.settings = new Settings(s, actions);

    const said = el("div", "said");
    said.setAttribute("role", "status");
    said.append(this.#pill, this.#detail);
    this.#note.setAttribute("role", "status");
    this.#pill.part.add("state");
    this.#detail.part.add("detail");
    this.#age.part.add("age");
    this.#again.type = this.#zoom.type = "button";
    this.#again.textContent = s.again;
    this.#again.hidden = this.#zoom.hidden = true;
    this.#again.addEventListener("click", () => actions.again());
    this.#zoom.addEventListener("click", () => actions.resetZoom());

    const button = (label: string, icon: keyof typeof icons, act: () => void): HTMLButtonElement => {
      const b = iconButton(label, icons[icon]);
      b.addEventListener("click", act);
      return b;
    };
    this.#play = button(s.controls.pause, "pause", () => actions.pauseOrPlay());
    this.#statistics = button(s.controls.statistics, "statistics", () => actions.statistics());
    this.#view = new Popup(s.controls.view, icons.view);
    this.#mirror = item(button(s.view.mirror, "mirror", () => actions.mirror()));
    this.#view.element.append(this.#zoomRow(s, button, actions), item(button(s.view.rotate, "rotate", () => actions.rotate())), this.#mirror);
    const { pictureInPicture, fullScreen } = actions;
    if (pictureInPicture !== undefined) this.#view.element.append(item(button(s.view.pictureInPicture, "pictureInPicture", () => this.#leave(pictureInPicture))));
    this.#view.element.append(el("h2", "", s.tools.title));
    for (const name of toolNames) {
      const b = item(button(s.tools[name], name, () => this.#leave(() => actions.tool(name))));
      this.#tools.set(name, b);
      this.#view.element.append(b);
    }
    if (fullScreen !== undefined) this.#full = button(s.controls.fullScreen, "fullScreen", fullScreen);

    this.#controls.part.add("controls");
    this.#controls.setAttribute("role", "group");
    this.#controls.setAttribute("aria-label", s.controls.name);
    const shot = button(s.controls.snapshot, "snapshot", () => actions.snapshot());
    this.#controls.append(this.#play, shot, this.#statistics, this.settings.button, this.#view.button, ...(this.#full === undefined ? [] : [this.#full]));
    for (const b of this.#controls.querySelectorAll("button")) b.part.add("button");
    // The age counts on each second, so it stands outside of what is read aloud.
    this.#dock.append(this.figures.element, said, this.#note, this.#age, this.#again, this.#zoom, this.#controls);
    this.elements = [this.#dock, this.settings.element, this.#view.element];
  }

  /** Whether a panel is open. */
  get busy(): boolean {
    return this.settings.open || this.#view.open;
  }

  elsewhere(path: readonly EventTarget[]): void {
    this.settings.elsewhere(path);
    this.#view.elsewhere(path);
  }

  /** ended: there is no more to come by itself. covered: the live picture is not seen. */
  tell(told: Told, ended: boolean, covered: boolean): void {
    setText(this.#pill, covered ? this.#strings.state.frozen : told.title);
    setText(this.#detail, told.detail);
    const words = told.age === undefined ? "" : ageWords(told.age);
    setText(this.#age, words === "" ? "" : told.state === "stills" ? this.#strings.newestAge(words) : this.#strings.age(words));
    this.#again.hidden = !ended;
  }

  /** A sentence for a while, also for those who only hear. */
  note(text: string): void {
    clearTimeout(this.#noteTimer);
    setText(this.#note, text);
    this.#noteTimer = setTimeout(() => setText(this.#note, ""), noteFor);
  }

  showControls(on: boolean): void {
    this.#controls.hidden = !on;
  }

  showStatistics(on: boolean): void {
    this.figures.element.hidden = !on;
    this.#statistics.setAttribute("aria-pressed", String(on));
  }

  showPlaying(playing: boolean): void {
    change(this.#play, playing ? this.#strings.controls.pause : this.#strings.controls.play, playing ? icons.pause : icons.play);
  }

  showZoom(zoom: number): void {
    const factor = zoom.toFixed(zoom < 10 ? 1 : 0);
    this.#zoom.hidden = zoom === 1;
    setText(this.#zoom, this.#strings.view.zoomed(factor));
    this.#zoom.setAttribute("aria-label", this.#strings.view.resetZoom(factor));
  }

  showMirrored(on: boolean): void {
    this.#mirror.setAttribute("aria-pressed", String(on));
  }

  showTools(on: ReadonlySet<ToolName>): void {
    for (const [name, b] of this.#tools) b.setAttribute("aria-pressed", String(on.has(name)));
  }

  /** Puts the rows of the tools among the controls. */
  lay(tools: HTMLElement): void {
    this.#dock.prepend(tools);
  }

  showFullScreen(on: boolean): void {
    if (this.#full !== undefined) change(this.#full, on ? this.#strings.controls.leaveFullScreen : this.#strings.controls.fullScreen, on ? icons.leaveFullScreen : icons.fullScreen);
  }

  close(): void {
    clearTimeout(this.#noteTimer);
  }

  #zoomRow(s: Strings, button: (label: string, icon: keyof typeof icons, act: () => void) => HTMLButtonElement, actions: Actions): HTMLElement {
    const row = el("div", "zooming");
    const whole = el("button", "", s.view.reset);
    whole.type = "button";
    whole.addEventListener("click", () => actions.resetZoom());
    row.append(button(s.view.zoomOut, "zoomOut", () => actions.zoom(1 / 1.5)), whole, button(s.view.zoomIn, "zoomIn", () => actions.zoom(1.5)));
    return row;
  }

  /** Closes the menu: what was chosen in it is seen elsewhere. */
  #leave(act: () => void): void {
    this.#view.toggle(false);
    this.#view.button.focus();
    act();
  }
}

/** A button of a menu, with its name beside its drawing. */
function item(b: HTMLButtonElement): HTMLButtonElement {
  b.className = "item";
  b.append(el("span", "", b.title));
  b.removeAttribute("aria-label");
  b.removeAttribute("title");
  return b;
}

function change(b: HTMLButtonElement, label: string, path: string): void {
  if (b.title === label) return;
  b.title = label;
  b.setAttribute("aria-label", label);
  b.querySelector("path")?.setAttribute("d", path);
}
