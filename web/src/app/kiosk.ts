// What keeps a wall going on a screen that nobody sits at: its login is renewed, the screen stays on, and the page is loaded anew when
// the server has another build of it, and for nothing else.

import { APIError, build, renewLogin, self } from "./api.ts";

const buildEvery = 60_000; // ms
const longestWait = 3_600_000; // ms, between two renewals
const shortestWait = 5_000; // ms
const retryAfter = 15_000; // ms

export class Kiosk {
  #build = "";
  #buildTimer: ReturnType<typeof setTimeout> | undefined;
  #loginTimer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  readonly #onVisibility = () => void this.#stayAwake();

  start(): void {
    document.addEventListener("visibilitychange", this.#onVisibility);
    void this.#stayAwake();
    void this.#keepLogin();
    void this.#watchBuild();
  }

  /** Safe to call twice. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#buildTimer);
    clearTimeout(this.#loginTimer);
    document.removeEventListener("visibilitychange", this.#onVisibility);
  }

  /** The server was away: looks now whether it has another build, and renews a login that may not have long to go. */
  serverIsBack(): void {
    clearTimeout(this.#buildTimer);
    clearTimeout(this.#loginTimer);
    void this.#watchBuild();
    void this.#keepLogin();
  }

  async #watchBuild(): Promise<void> {
    const now = await build();
    if (this.#closed) return;
    if (this.#build === "") this.#build = now;
    else if (now !== "" && now !== this.#build) return location.reload();
    clearTimeout(this.#buildTimer);
    this.#buildTimer = setTimeout(() => void this.#watchBuild(), buildEvery);
  }

  async #keepLogin(): Promise<void> {
    let wait = retryAfter;
    try {
      if (!(await self()).renews) return; // an account that may do more than look logs in by hand
      const left = (await renewLogin()).getTime() - Date.now();
      wait = Math.min(Math.max(left / 3, shortestWait), longestWait);
    } catch (cause) {
      if (!(cause instanceof APIError)) throw cause;
      if (cause.status === 403 || cause.status === 401) return; // its leave has ended, and the wall shows the door
    }
    clearTimeout(this.#loginTimer); // one that was begun meanwhile
    if (!this.#closed) this.#loginTimer = setTimeout(() => void this.#keepLogin(), wait);
  }

  /** The lock ends by itself when the page is hidden. */
  async #stayAwake(): Promise<void> {
    if (document.visibilityState === "visible" && "wakeLock" in navigator) await navigator.wakeLock.request("screen").catch(() => undefined);
  }
}
