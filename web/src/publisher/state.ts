// What a person is told about the camera that this page publishes. Pure. Never says live while nobody gets a picture.

import type { PublishPhase, PublishReport } from "./messages.ts";
import { t } from "./strings.ts";

export type PublisherState =
  | "asking" // the browser asks whether the page may use the camera
  | "blocked" // no camera, or not allowed to use it
  | "ready" // the preview is there; nothing is sent
  | "connecting"
  | "waiting" // for viewers
  | "live"
  | "stalled"
  | "taken"
  | "denied";

export interface Told {
  readonly state: PublisherState;
  /** One to three words. */
  readonly title: string;
  /** One sentence, or empty. */
  readonly detail: string;
}

/** What the page knows of its camera. */
export type CameraState =
  | { readonly name: "asking" }
  | { readonly name: "open" }
  | { readonly name: "failed"; readonly why: string };

/** report is undefined while nothing is published; viewers where the server did not tell. */
export function tell(camera: CameraState, report: PublishReport | undefined, viewers: number | undefined): Told {
  if (camera.name === "asking") {
    return { state: "asking", title: t.asking, detail: t.askingDetail };
  }
  if (camera.name === "failed") return { state: "blocked", title: t.noCamera, detail: camera.why };
  if (report === undefined) return { state: "ready", title: t.notSending, detail: t.notSendingDetail };
  const phase = report.phase;
  switch (phase.name) {
    case "opening":
      return { state: "connecting", title: t.connecting, detail: "" };
    case "retrying":
      return { state: "connecting", title: t.connecting, detail: phase.why };
    case "taken":
      return { state: "taken", title: t.taken, detail: t.takenDetail };
    case "denied":
      return { state: "denied", title: phase.login ? t.notAllowed : t.notAvailable, detail: phase.why };
    case "open":
      if (!report.moving) {
        return { state: "stalled", title: t.noPictures, detail: t.noPicturesDetail };
      }
      if (!report.wanted) return { state: "waiting", title: t.waiting, detail: t.waitingDetail };
      return { state: "live", title: t.live, detail: t.seen(viewers ?? 0) };
    default:
      return unreachable(phase);
  }
}

/** What a close code means for the publisher, and whether trying again can help. */
export function closed(code: number, reason: string): Exclude<PublishPhase, { name: "opening" | "open" }> {
  switch (code) {
    case 4409:
      return { name: "taken" };
    case 4401:
      return { name: "denied", why: t.loginEnded, login: true };
    case 4403:
      return { name: "denied", why: t.sessionEnded, login: false };
    case 1001:
      return { name: "retrying", why: t.restarting };
    case 1003:
    case 1007:
    case 1008:
    case 1009:
      return { name: "retrying", why: t.brokeRule(reason || t.code(code)) };
    case 4408:
      return { name: "retrying", why: t.tooSlow };
    default:
      return { name: "retrying", why: t.connectionLost };
  }
}

/** Why the browser gives no camera, and what to do about it, by the name of its error. */
export function whyNoCamera(error: string): string {
  switch (error) {
    case "NotAllowedError":
    case "SecurityError":
      return t.cameraForbidden;
    case "NotFoundError":
      return t.cameraMissing;
    case "NotReadableError":
    case "AbortError":
      return t.cameraBusy;
    case "OverconstrainedError":
      return t.cameraGone;
    case "":
      return t.noCameras;
    default:
      return t.cameraError(error);
  }
}

function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}
