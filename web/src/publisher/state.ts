// What a person is told about the camera that this page publishes. Pure. Never says live while nobody gets a picture.

import type { PublishPhase, PublishReport } from "./messages.ts";

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
    return { state: "asking", title: "Asking for the camera", detail: "Your browser may ask whether this page can use the camera. Allow it to go on." };
  }
  if (camera.name === "failed") return { state: "blocked", title: "No camera", detail: camera.why };
  if (report === undefined) return { state: "ready", title: "Not sending", detail: "Only you see this picture. Press Start to let others watch it." };
  const phase = report.phase;
  switch (phase.name) {
    case "opening":
      return { state: "connecting", title: "Connecting", detail: "" };
    case "retrying":
      return { state: "connecting", title: "Connecting", detail: phase.why };
    case "taken":
      return { state: "taken", title: "Taken", detail: "Another publisher has this stream. This page takes over when it stops." };
    case "denied":
      return { state: "denied", title: phase.login ? "Not allowed" : "Not available", detail: phase.why };
    case "open":
      if (!report.moving) {
        return { state: "stalled", title: "No pictures", detail: "The camera sends no pictures. Bring this page to the front, and see that no other program has the camera." };
      }
      if (!report.wanted) return { state: "waiting", title: "Waiting for viewers", detail: "Nobody watches, so nothing is sent." };
      return { state: "live", title: "Live", detail: watched(viewers) };
    default:
      return unreachable(phase);
  }
}

function watched(viewers: number | undefined): string {
  if (viewers === undefined || viewers === 0) return "Others can see this picture.";
  return viewers === 1 ? "1 viewer sees this picture." : `${viewers} viewers see this picture.`;
}

/** What a close code means for the publisher, and whether trying again can help. */
export function closed(code: number, reason: string): Exclude<PublishPhase, { name: "opening" | "open" }> {
  switch (code) {
    case 4409:
      return { name: "taken" };
    case 4401:
      return { name: "denied", why: "Your login has ended. Log in again to go on.", login: true };
    case 4403:
      return { name: "denied", why: "This session was ended, by you on another page or by the operator. Reload the page to start again.", login: false };
    case 1001:
      return { name: "retrying", why: "The server is restarting." };
    case 1003:
    case 1007:
    case 1008:
    case 1009:
      return { name: "retrying", why: `The connection broke a rule (${reason || `code ${code}`}). It is tried again.` };
    case 4408:
      return { name: "retrying", why: "The connection was too slow to answer. It is tried again." };
    default:
      return { name: "retrying", why: "The connection to the server was lost. It is tried again." };
  }
}

/** Why the browser gives no camera, and what to do about it, by the name of its error. */
export function whyNoCamera(error: string): string {
  switch (error) {
    case "NotAllowedError":
    case "SecurityError":
      return "This page may not use the camera. Click the sign beside the address, allow the camera for this site, then press Try again.";
    case "NotFoundError":
      return "No camera was found on this device. Connect one, then press Try again.";
    case "NotReadableError":
    case "AbortError":
      return "The camera does not start. Close other programs that use it, then press Try again.";
    case "OverconstrainedError":
      return "This camera is gone or cannot give that picture. Choose another, then press Try again.";
    case "":
      return "This browser gives pages no camera here. Open this page over https in a current browser.";
    default:
      return `The browser gives no picture of the camera (${error}). Press Try again.`;
  }
}

function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}
