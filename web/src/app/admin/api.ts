// The part of the server's control API that is for those who run it. Answers are checked at this door.

import { field, items, list, number, read, text } from "../api.ts";

/** A stream with what who runs the server must know of it. */
export interface StreamReport {
  readonly id: string;
  readonly state: string;
  readonly detail: string;
  /** For how long it has been in this state, in seconds. */
  readonly seconds: number;
  readonly viewers: number;
  readonly source: string;
  readonly sandbox: string;
  readonly renditions: readonly RenditionReport[];
  /** How often its capture process was started again, when last and why; undefined for never. */
  readonly restarts: { readonly count: number; readonly last: Date; readonly why: string } | undefined;
}

export interface RenditionReport {
  readonly name: string;
  readonly codec: string;
  readonly width: number;
  readonly height: number;
  readonly frameRate: number;
  readonly encoder: string;
  /** Whether it is being encoded. The rest is 0 while it is not, and where it is not known. */
  readonly active: boolean;
  readonly viewers: number;
  readonly bitrate: number;
  readonly encodeP50: number;
  readonly encodeP95: number;
  readonly psnr: number;
  readonly ssim: number;
}

/** Lists all streams of the server. */
export async function streamReports(): Promise<StreamReport[]> {
  return list(await read("/api/v1/admin/streams"), "streams").map((s) => {
    const restarts = field(s, "restarts");
    return {
      id: text(s, "id"),
      state: text(s, "state"),
      detail: text(s, "detail"),
      seconds: number(s, "state_s"),
      viewers: number(s, "viewers"),
      source: text(s, "source"),
      sandbox: text(s, "sandbox"),
      renditions: items(s, "renditions").map((r) => ({
        name: text(r, "name"),
        codec: text(r, "codec"),
        width: number(r, "width"),
        height: number(r, "height"),
        frameRate: number(r, "frame_rate_milli") / 1000,
        encoder: text(r, "encoder"),
        active: field(r, "active") === true,
        viewers: number(r, "viewers"),
        bitrate: number(r, "bitrate_bps"),
        encodeP50: number(r, "encode_p50_us"),
        encodeP95: number(r, "encode_p95_us"),
        psnr: number(r, "psnr_db"),
        ssim: number(r, "ssim"),
      })),
      restarts: restarts === undefined ? undefined : { count: number(restarts, "count"), last: new Date(text(restarts, "last")), why: text(restarts, "why") },
    };
  });
}
