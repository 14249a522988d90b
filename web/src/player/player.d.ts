// All that programs may use of <sightline-player>: the types of the npm package sightline-player, and what the player's own
// modules are held to. Nothing else is promised to stay.

/** What the player says of its picture. It never says "live" of an old one. */
export type PlayerState = "connecting" | "live" | "stills" | "stale" | "lost" | "waiting" | "paused" | "denied" | "ended" | "unsupported";

/** What is wanted where not everything is carried: a preference, or one rendition by its name. */
export type Quality = "auto" | "high" | "detail" | "motion" | "low" | "saver" | `rendition:${string}`;

/** The newest picture at once, or even motion for up to 150 ms of delay. */
export type Mode = "live" | "smooth";

/** The way to the screen. */
export type RendererName = "track" | "canvas" | "mse";

/** What decodes: the browser's video decoder (WebCodecs), a <video> (Media Source Extensions), or an image decoder, for JPEG. */
export type DecoderName = "webcodecs" | "mse" | "jpeg";

/** What keeps the picture from being better; empty: nothing is known to. */
export type LimitName = "" | "network" | "shared" | "size" | "tab" | "decoder" | "encoder";

/** What stats() gives. A figure that is not known is null. */
export interface PlayerStats {
  readonly state: PlayerState;
  readonly stream: string | null;
  readonly rendition: number | null;
  readonly codec: string | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly renderer: RendererName | null;
  readonly decoder: DecoderName | null;
  /** Capture to paint over the last 5 s. */
  readonly paint_p50_ms: number | null;
  readonly paint_p95_ms: number | null;
  /** How wrong both can be. */
  readonly clock_error_ms: number | null;
  /** Where that time goes, medians of the last second; decode has playout_delay_ms in it. */
  readonly encode_p50_ms: number | null;
  readonly network_p50_ms: number | null;
  readonly decode_p50_ms: number | null;
  readonly show_p50_ms: number | null;
  readonly painted_fps: number;
  readonly painted_total: number;
  readonly decoded_total: number;
  /** Access units and pictures dropped by this player. */
  readonly dropped_total: number;
  /** Access units that the server did not send to this player. */
  readonly dropped_by_server_total: number;
  readonly bitrate_bps: number;
  /** From the page's navigation to this player's first picture. */
  readonly first_picture_ms: number | null;
  /** The capture time of the picture on the screen, on the server's epoch. */
  readonly last_capture_us: number | null;
  readonly quality: Quality;
  readonly mode: Mode;
  /** How long pictures are held back to even out their way. */
  readonly playout_delay_ms: number;
  /** What keeps the picture from being better; empty: nothing is known to. */
  readonly limit: LimitName;
  /** What the network is known to carry; 0: more than is sent. */
  readonly carries_bps: number;
  /** How often the picture stood still, and for how long, while it was in view. */
  readonly freezes_total: number;
  readonly longest_freeze_ms: number;
  readonly frozen_ms_total: number;
  /** How often a second connection brought pictures sooner than the first, which had gone silent. */
  readonly takeovers_total: number;
}

/** The detail of statechange. */
export interface StateChange {
  readonly state: PlayerState;
  /** Whether a new login may help. */
  readonly login: boolean;
}

/** One picture's way from capture to paint; the stages are its whole. */
export interface PictureTimes {
  /** When it was captured, on the server's epoch; identifies the picture. */
  readonly capture_us: number;
  /** When it was painted: milliseconds since the Unix epoch, by this page's monotonic clock. */
  readonly painted_ms: number;
  /** From capture to when it left the encoder. */
  readonly encode_ms: number;
  /** From there to when its last byte was here. */
  readonly network_ms: number;
  /** From there to when it was decoded, the time in it that it was held back. */
  readonly decode_ms: number;
  /** From there to when it was painted. */
  readonly show_ms: number;
}

/** A picture that was on the screen, as it was seen there: enlarged, turned, mirrored. */
export interface Snapshot {
  /** A PNG image. */
  readonly blob: Blob;
  /** A file's name, with the stream and the capture time in UTC. */
  readonly name: string;
  /** When the camera took it, by this device's clock. */
  readonly captured: Date;
}

export interface SightlinePlayerEventMap extends HTMLElementEventMap {
  /** The player says something else of its picture. Bubbles. */
  statechange: CustomEvent<StateChange>;
  /** Pictures were painted, four times a second. */
  pictures: CustomEvent<readonly PictureTimes[]>;
}

/** <sightline-player>. Its attributes, CSS parts and custom properties are in the package's README. */
export declare class SightlinePlayer extends HTMLElement {
  /**
   * Gets a single-use ticket for the stream; called before each connection and before leave to watch ends. To be set before src.
   * Not set: ticket-url tells where to ask for one, and without that the browser's cookie is the credential.
   */
  ticket: (() => Promise<string>) | undefined;
  readonly state: PlayerState;
  /** The sentence beside the state, or empty. */
  readonly reason: string;
  /** The element that shows the pictures. It is replaced when a track has to be made anew. */
  readonly surface: HTMLVideoElement | HTMLCanvasElement | undefined;
  /** Whether pause() holds the picture. A player that nobody can see pauses and goes on by itself, which does not show here. */
  readonly paused: boolean;
  /** Goes on with the newest picture. */
  play(): void;
  /** Holds the picture, marked as old. Nothing is sent meanwhile. */
  pause(): void;
  /** Throws InvalidStateError while there is no picture. */
  snapshot(): Promise<Snapshot>;
  /** Stays with the rendition of that name while the stream has it; null: the best that the network carries. */
  pin(rendition: string | null): void;
  /** What the player measured lately. */
  stats(): PlayerStats;
  addEventListener<K extends keyof SightlinePlayerEventMap>(type: K, listener: (this: SightlinePlayer, event: SightlinePlayerEventMap[K]) => unknown, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof SightlinePlayerEventMap>(type: K, listener: (this: SightlinePlayer, event: SightlinePlayerEventMap[K]) => unknown, options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "sightline-player": SightlinePlayer;
  }
}
