// The player in a small window that stays above all others. What moves there is everything inside of the element, words and controls
// too, so that an old picture is not taken for a live one; the element itself stays where it is, and with it its connection.

import { el } from "./dom.ts";
import type { Strings } from "./strings.ts";
import type { Size } from "./view.ts";

/** Document Picture-in-Picture, which is not in the DOM's types. */
interface WindowMaker {
  requestWindow(options: { readonly width: number; readonly height: number }): Promise<Window & typeof globalThis>;
}

function maker(): WindowMaker | undefined {
  const found: unknown = Reflect.get(globalThis, "documentPictureInPicture");
  return typeof found === "object" && found !== null && "requestWindow" in found ? (found as WindowMaker) : undefined;
}

/** Whether this browser has such windows. */
export const canLeave = (): boolean => maker() !== undefined;

export interface ApartEvents {
  /** Several times a second: timers of the page, which may be hidden, run late. */
  tick(): void;
  closed(): void;
}

const tickEvery = 250; // ms
const width = 480;

export class PictureInPicture {
  readonly #window: Window;

  /** Moves root from home into a window of the shape of box, and back when that is closed. Needs a person's click. */
  static async open(home: ShadowRoot, root: HTMLElement, style: string, box: Size, s: Strings, events: ApartEvents): Promise<PictureInPicture | undefined> {
    let apart: Window & typeof globalThis;
    try {
      const made = await maker()?.requestWindow({ width, height: Math.round((width * box.height) / box.width) });
      if (made === undefined) return undefined;
      apart = made;
    } catch {
      return undefined; // refused by the browser
    }
    return new PictureInPicture(apart, home, root, style, s, events);
  }

  private constructor(apart: Window & typeof globalThis, home: ShadowRoot, root: HTMLElement, style: string, s: Strings, events: ApartEvents) {
    this.#window = apart;
    const page = new apart.CSSStyleSheet();
    page.replaceSync("html, body { margin: 0; height: 100%; background: #000; } div { height: 100%; }");
    apart.document.adoptedStyleSheets = [page];
    const host = apart.document.createElement("div");
    const inside = new apart.CSSStyleSheet();
    inside.replaceSync(style);
    const shadow = host.attachShadow({ mode: "open" });
    shadow.adoptedStyleSheets = [inside];
    apart.document.body.append(host);

    const place = el("div", "place");
    const back = el("button", "again", s.view.bringBack);
    back.type = "button";
    back.addEventListener("click", () => this.close());
    place.append(el("p", "", s.view.inOtherWindow), back);
    home.append(place);
    shadow.append(root);
    const timer = apart.setInterval(() => events.tick(), tickEvery);
    apart.addEventListener("pagehide", () => {
      apart.clearInterval(timer);
      place.remove();
      home.append(root);
      events.closed();
    });
  }

  close(): void {
    this.#window.close();
  }
}
