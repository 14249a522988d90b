// What a person is told about the picture. Pure. The one rule: never say live of an old picture.

import type { LimitName } from "./limits.ts";
import type { Phase, Report } from "./messages.ts";
import type { PlayerState } from "./player.d.ts";
import { millis, toMillis, type Micros, type Millis } from "./units.ts";

export interface Told {
  readonly state: PlayerState;
  /** One to three words. */
  readonly title: string;
  /** One sentence, or empty. It does not count seconds, so that it can be read aloud when it changes. */
  readonly detail: string;
  /** How old the picture is, once it is too old to pass for live. */
  readonly age: Millis | undefined;
}

/** The part of a Report that decides. */
export type Known = Pick<Report, "phase" | "server" | "rendition" | "paused" | "limit" | "lastPaintAt" | "lastCaptureAt">;

/** A picture may be this old, or 2.5 frame intervals where frames are rarer. */
const freshFor = 1_000;
/** Still pictures come as the network carries them; so long without one is more than that. */
const stillFor = 10_000;
/** What can make pictures late; other limits only make them smaller. */
const slowing: ReadonlySet<LimitName> = new Set<LimitName>(["network", "decoder", "encoder", "tab"]);

export function tell(known: Known, now: Micros): Told {
  const age = tooOld(known, now);
  const as: As = (state, title, detail) => ({ state, title, detail, age });
  const phase = known.phase;
  switch (phase.name) {
    case "denied":
      return as("denied", phase.login ? "Not allowed" : "Not available", phase.why);
    case "ended":
      return as("ended", "Ended", phase.why);
    case "unsupported":
      return as("unsupported", "Cannot play here", phase.why);
    case "retrying":
      return as("connecting", "Connecting", phase.why);
    case "opening":
      return as("connecting", "Connecting", "");
    case "open":
      return open(known, now, age, as);
    default:
      return unreachable(phase);
  }
}

type As = (state: PlayerState, title: string, detail: string) => Told;

function open(known: Known, now: Micros, age: Millis | undefined, as: As): Told {
  const detail = known.server?.detail ?? "";
  const state = known.server?.state;
  switch (state) {
    case undefined:
      return as("connecting", "Connecting", "");
    case "connecting":
      return as("connecting", "Connecting", detail || "The server is opening the camera.");
    case "idle":
    case "waiting":
      return as("waiting", "Waiting", detail || "The camera has not sent a picture yet.");
    case "offline":
      return as("lost", "Signal lost", detail || "The camera does not answer.");
    case "stalled":
      return as("lost", "Signal lost", detail || "The camera stopped sending pictures.");
    case "restarting":
      return as("lost", "Signal lost", detail || "The camera's process is being restarted.");
    case "ended":
      return as("ended", "Ended", detail || "The camera's stream has ended.");
    case "live":
      if (known.paused) return as("paused", "Paused", "");
      if (known.lastPaintAt === undefined) return as("connecting", "Connecting", "The first picture is on its way.");
      return playing(known, known.lastPaintAt, now, age, as);
    default:
      return unreachable(state);
  }
}

function playing(known: Known, paintedAt: Micros, now: Micros, age: Millis | undefined, as: As): Told {
  const why = slowing.has(known.limit.name) ? known.limit.words : "";
  const since = toMillis((now - paintedAt) as Micros);
  if (known.server?.stills === true && since <= stillFor) {
    return { ...as("stills", "Still pictures", why), age: age ?? millis(Math.max(toMillis((now - (known.lastCaptureAt ?? now)) as Micros), 0)) };
  }
  if (age === undefined) return as("live", "Live", "");
  if (since > freshFor) return as("stale", "Stale", why === "" ? "No new picture arrives." : `No new picture arrives. ${why}`);
  return as("stale", "Late", why === "" ? "Pictures arrive late: the network or this device cannot keep up." : `Pictures arrive late. ${why}`);
}

function tooOld(known: Known, now: Micros): Millis | undefined {
  if (known.lastCaptureAt === undefined) return undefined;
  const age = toMillis((now - known.lastCaptureAt) as Micros);
  const rate = known.rendition?.frameRateMilli ?? 0;
  const limit = Math.max(freshFor, rate > 0 ? 2.5e6 / rate : 0);
  return age > limit ? millis(age) : undefined;
}

/** An age in words that a glance takes in. */
export function ageWords(age: Millis): string {
  const seconds = Math.floor(age / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** What a close code means for the viewer, and whether trying again can help. */
export function closed(code: number, reason: string, everOpen: boolean): Exclude<Phase, { name: "opening" | "open" }> {
  switch (code) {
    case 1000:
      return { name: "ended", why: reason || "The server ended the stream." };
    case 4401:
      return { name: "denied", why: "Your login has ended. Log in again to go on.", login: true };
    case 4403:
      return { name: "denied", why: "This session was ended, by you on another page or by the operator. Reload the page to start again.", login: false };
    case 4404:
      return { name: "ended", why: "This stream is gone from the server." };
    case 1001:
      return { name: "retrying", why: "The server is restarting." };
    case 1003:
    case 1007:
    case 1008:
    case 1009:
      return { name: "retrying", why: `The server ended the connection (${reason || `code ${code}`}).` };
    case 4408:
      return { name: "retrying", why: "The connection was too slow to answer." };
    default:
      return { name: "retrying", why: everOpen ? "The connection to the server was lost." : "The server does not answer." };
  }
}

function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}
