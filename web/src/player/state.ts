// What a person is told about the picture. Pure. The one rule: never say live of an old picture.

import { causeWords } from "./causes.ts";
import { limitWords, type LimitName } from "./limits.ts";
import type { Phase, Report } from "./messages.ts";
import type { PlayerState } from "./player.d.ts";
import { why, whyWords, type Strings } from "./strings.ts";
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

export function tell(known: Known, now: Micros, s: Strings): Told {
  const age = tooOld(known, now);
  const as: As = (state, title, detail) => ({ state, title: s.state[title], detail, age });
  const phase = known.phase;
  switch (phase.name) {
    case "denied":
      return as("denied", phase.login ? "notAllowed" : "notAvailable", whyWords(s, phase.why));
    case "ended":
      return as("ended", "ended", whyWords(s, phase.why));
    case "unsupported":
      return as("unsupported", "unsupported", whyWords(s, phase.why));
    case "retrying":
      return as("connecting", "connecting", whyWords(s, phase.why));
    case "opening":
      return as("connecting", "connecting", "");
    case "open":
      return open(known, now, age, s, as);
    default:
      return unreachable(phase);
  }
}

type As = (state: PlayerState, title: keyof Strings["state"], detail: string) => Told;

function open(known: Known, now: Micros, age: Millis | undefined, s: Strings, as: As): Told {
  const detail = causeWords(s.language, known.server?.cause ?? "", known.server?.detail ?? "");
  const state = known.server?.state;
  switch (state) {
    case undefined:
      return as("connecting", "connecting", "");
    case "connecting":
      return as("connecting", "connecting", detail || s.detail.opening);
    case "idle":
    case "waiting":
      if (known.paused && known.lastPaintAt !== undefined) return as("paused", "paused", ""); // nobody watches it: that may be why
      return as("waiting", "waiting", detail || s.detail.waiting);
    case "offline":
      return as("lost", "lost", detail || s.detail.offline);
    case "stalled":
      return as("lost", "lost", detail || s.detail.stalled);
    case "restarting":
      return as("lost", "lost", detail || s.detail.restarting);
    case "ended":
      return as("ended", "ended", detail || s.detail.ended);
    case "live":
      if (known.paused) return as("paused", "paused", "");
      if (known.lastPaintAt === undefined) return as("connecting", "connecting", s.detail.first);
      return playing(known, known.lastPaintAt, now, age, s, as);
    default:
      return unreachable(state);
  }
}

function playing(known: Known, paintedAt: Micros, now: Micros, age: Millis | undefined, s: Strings, as: As): Told {
  const limit = slowing.has(known.limit.name) ? limitWords(s, known.limit) : "";
  const since = toMillis((now - paintedAt) as Micros);
  if (known.server?.stills === true && since <= stillFor) {
    return { ...as("stills", "stills", limit), age: age ?? millis(Math.max(toMillis((now - (known.lastCaptureAt ?? now)) as Micros), 0)) };
  }
  if (age === undefined) return as("live", "live", "");
  if (since > freshFor) return as("stale", "stale", `${s.detail.silent} ${limit}`.trim());
  return as("stale", "late", `${s.detail.late} ${limit || s.detail.lateWhy}`);
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
      return { name: "ended", why: why("serverEnded", reason) };
    case 4401:
      return { name: "denied", why: why("loginOver"), login: true };
    case 4403:
      return { name: "denied", why: why("sessionEnded"), login: false };
    case 4404:
      return { name: "ended", why: why("gone") };
    case 1001:
      return { name: "retrying", why: why("restarting") };
    case 1003:
    case 1007:
    case 1008:
    case 1009:
      return { name: "retrying", why: why("refused", reason || `code ${code}`) };
    case 4408:
      return { name: "retrying", why: why("slow") };
    default:
      return { name: "retrying", why: why(everOpen ? "lost" : "unanswered") };
  }
}

function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}
