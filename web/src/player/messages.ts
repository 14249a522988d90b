// What crosses between the page and the worker: one union per direction. Buffers and streams are transferred.

import type { FreezeFigures } from "./freezes.ts";
import type { Limiting } from "./limits.ts";
import type { Mode } from "./playout.ts";
import type { Quality } from "./quality.ts";
import type { PictureStages, StageFigures } from "./stages.ts";
import type { Why } from "./strings.ts";
import type { Micros } from "./units.ts";
import type { Rendition, StreamState } from "./wire.ts";

/**
 * Where the worker puts pictures. A track's frames carry the capture time as their timestamp. Through the port of a <video> that
 * decodes by itself (Media Source Extensions) go Fragments, and Played comes back.
 */
export type Surface =
  | { readonly kind: "track"; readonly writable: WritableStream<VideoFrame> }
  | { readonly kind: "canvas"; readonly canvas: OffscreenCanvas }
  | { readonly kind: "mse"; readonly port: MessagePort };

export type RendererName = Surface["kind"];

/** Part of a file that a <video> plays: one access unit. */
export interface Fragment {
  /** With the file's header before it, where that is new. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** For that header. */
  readonly codec: string | undefined;
  readonly key: boolean;
  /** Where in the file it is played. */
  readonly at: Micros;
  readonly capture: Micros;
}

export type Played =
  /** So many pictures more. Of those decoded the ones that were not shown are dropped. */
  | { readonly type: "decoded"; readonly decoded: number; readonly dropped: number }
  /** There is too much before or behind the picture that is shown: it is to go on from a keyframe. */
  | { readonly type: "key-wanted" }
  | { readonly type: "failed"; readonly why: string };

/** What decodes: this worker's decoder of video, a <video> in the page, or the decoder of images, for JPEG alone. */
export type DecoderName = "webcodecs" | "mse" | "jpeg";

/** What is wanted of the server and of the player. */
export interface Wishes {
  /** Lines of picture there is room for; 0: no limit. */
  readonly maxHeight: number;
  readonly visible: boolean;
  readonly quality: Quality;
  readonly mode: Mode;
}

export type ToWorker =
  /** `decoders`: which may be used, best first. Connects at once, before there is a surface. `ticketed`: each connection needs a ticket, which the page gets. */
  | { readonly type: "start"; readonly url: string; readonly ticketed: boolean; readonly decoders: readonly DecoderName[]; readonly wishes: Wishes }
  /** The first surface, or a new one that was wanted. */
  | { readonly type: "surface"; readonly surface: Surface }
  /** Frames of the track that reached the screen. */
  | { readonly type: "painted"; readonly paints: readonly Paint[] }
  | { readonly type: "wishes"; readonly wishes: Wishes }
  /** For the next connection; undefined when there is none to be had. */
  | { readonly type: "ticket"; readonly ticket: string | undefined }
  /** A copy of the picture on the canvas is wanted, which a still answers. */
  | { readonly type: "still-wanted" }
  /** Connect now: after an end, or instead of waiting for the next attempt. */
  | { readonly type: "reconnect" };

/** A picture by itself; it belongs to whoever is given it. */
export interface Still {
  readonly image: ImageBitmap;
  /** On the server's epoch. */
  readonly capture: Micros;
}

export interface Paint {
  /** On the server's epoch; identifies the picture. */
  readonly capture: Micros;
  /** When it was painted, local clock. */
  readonly at: Micros;
  /** Pictures painted since the last Paint, this one included. */
  readonly frames: number;
}

export type FromWorker =
  | { readonly type: "report"; readonly report: Report }
  | { readonly type: "ticket-wanted" }
  | { readonly type: "still"; readonly still: Still | undefined }
  /** The surface no longer takes pictures, or none of this decoder: give another. */
  | { readonly type: "surface-wanted"; readonly decoder: DecoderName };

/** How the connection stands. */
export type Phase =
  | { readonly name: "opening" }
  | { readonly name: "open" }
  | { readonly name: "retrying"; readonly why: Why }
  /** `login` is true where a new login may help. */
  | { readonly name: "denied"; readonly why: Why; readonly login: boolean }
  | { readonly name: "ended"; readonly why: Why }
  | { readonly name: "unsupported"; readonly why: Why };

/** Everything the worker knows, several times a second. Times are on the local clock. */
export interface Report {
  readonly phase: Phase;
  readonly server:
    | {
        readonly stream: string;
        readonly state: StreamState;
        readonly detail: string;
        readonly cause: string;
        /** Keyframes alone are sent. */
        readonly stills: boolean;
        /** What the network is known to carry, bit/s; 0: more than is sent. */
        readonly carriesBps: number;
      }
    | undefined;
  /** Those that may be asked for. */
  readonly renditions: readonly Rendition[];
  readonly rendition:
    | { readonly id: number; readonly codec: string; readonly width: number; readonly height: number; readonly frameRateMilli: number }
    | undefined;
  readonly renderer: RendererName | undefined;
  readonly decoder: DecoderName | undefined;
  readonly paused: boolean;
  readonly limit: Limiting;
  readonly mode: Mode;
  /** How long pictures are held back to even out their way. */
  readonly playoutDelay: Micros;
  readonly freezes: FreezeFigures;
  /** How often a second connection brought pictures sooner than the first, which had gone silent. */
  readonly takeovers: number;
  readonly firstPaintAt: Micros | undefined;
  readonly lastPaintAt: Micros | undefined;
  /** When the picture on the screen was taken; of lastPaintAt where the server's clock is not known yet. */
  readonly lastCaptureAt: Micros | undefined;
  /** The same on the server's epoch. */
  readonly lastCapture: Micros | undefined;
  readonly paintP50: Micros | undefined;
  readonly paintP95: Micros | undefined;
  readonly clockError: Micros | undefined;
  readonly stages: StageFigures | undefined;
  /** Those painted since the last report. */
  readonly pictures: readonly PictureStages[];
  readonly paintedFps: number;
  readonly painted: number;
  readonly decoded: number;
  /** Access units dropped here. */
  readonly dropped: number;
  /** Access units the server did not send to this viewer. */
  readonly droppedByServer: number;
  readonly bitrateBps: number;
}
