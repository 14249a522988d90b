// What crosses between the page and the publisher's worker: one union per direction. Pictures and streams are transferred.

import type { Micros } from "../player/units.ts";

/** What a picture comes as: a VideoFrame where the browser has them. Whoever is given it closes it, exactly once. */
export type Image = VideoFrame | ImageBitmap;

export type ToPublisher =
  /** Connects as soon as there is a picture. */
  | { readonly type: "start"; readonly url: string; readonly codec: "best" | "jpeg"; readonly frameRate: number }
  /** A track's pictures, in place of those before. */
  | { readonly type: "pictures"; readonly readable: ReadableStream<VideoFrame>; readonly frameRate: number }
  /** One picture, where the page itself has to take them. Answered with "took" when the next is welcome. */
  | { readonly type: "picture"; readonly image: Image; readonly capture: Micros }
  | { readonly type: "frame-rate"; readonly frameRate: number }
  /** Connect now instead of waiting for the next attempt. */
  | { readonly type: "reconnect" }
  /** Say goodbye; answered with "stopped". */
  | { readonly type: "stop" };

export type FromPublisher =
  | { readonly type: "report"; readonly report: PublishReport }
  | { readonly type: "took" }
  | { readonly type: "stopped" };

/** How the connection stands. */
export type PublishPhase =
  | { readonly name: "opening" }
  | { readonly name: "open" }
  | { readonly name: "retrying"; readonly why: string }
  /** Another publisher has the stream; tried again. */
  | { readonly name: "taken" }
  /** `login` is true where a new login may help. */
  | { readonly name: "denied"; readonly why: string; readonly login: boolean };

/** Everything the worker knows, several times a second. */
export interface PublishReport {
  readonly phase: PublishPhase;
  /** Whether anybody watches, so that something is encoded. */
  readonly wanted: boolean;
  /** Whether the camera sends pictures. */
  readonly moving: boolean;
  /** Access units of all renditions. */
  readonly sent: number;
  readonly skipped: number;
  readonly fps: number;
  readonly bitrateBps: number;
  /** Of the tallest rendition that is encoded, or that would be. */
  readonly width: number;
  readonly height: number;
  /** RFC 6381 or "jpeg"; empty before the first picture. */
  readonly codec: string;
  readonly encodeP50: Micros | undefined;
  readonly encodeP95: Micros | undefined;
  readonly clockError: Micros | undefined;
}
