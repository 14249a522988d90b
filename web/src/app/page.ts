// What a page is to the application that shows one at a time.

import type { Route } from "./route.ts";

export interface Page {
  readonly element: HTMLElement;
  readonly title: string;
  /** Called once it is in the document. */
  shown(): void;
  /** Goes to another address without giving way to another page; says whether it did. */
  follow?(route: Route): boolean;
  /** Takes a key that nothing else wanted; says whether it did. */
  key(e: KeyboardEvent): boolean;
  /** Safe to call twice. */
  close(): void;
}

export interface Navigation {
  /** Goes to a page of this application. */
  go(path: string): void;
  /** The session is over or never was; reason is a sentence, or empty. */
  loggedOut(reason: string): void;
}
