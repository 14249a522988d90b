// The worker's door: messages of the page to one Session, and its events back.

import type { FromWorker, ToWorker } from "./messages.ts";
import { Session } from "./session.ts";

/** The part of a DedicatedWorkerGlobalScope that is used here; the DOM's types describe a window. */
interface WorkerScope {
  onmessage: ((e: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
}

const scope = self as unknown as WorkerScope;
let session: Session | undefined;

scope.onmessage = (e) => {
  const m = e.data;
  switch (m.type) {
    case "start":
      session = new Session(m, {
        report: (report) => scope.postMessage({ type: "report", report }),
        ticketWanted: () => scope.postMessage({ type: "ticket-wanted" }),
        surfaceWanted: (decoder) => scope.postMessage({ type: "surface-wanted", decoder }),
      });
      return;
    case "surface":
      return session?.setSurface(m.surface);
    case "painted":
      return session?.painted(m.paints);
    case "ticket":
      return session?.setTicket(m.ticket);
    case "wishes":
      return session?.setWishes(m.wishes);
    case "still-wanted":
      return void session?.still().then((still) => scope.postMessage({ type: "still", still }, still === undefined ? [] : [still.image]));
    case "reconnect":
      return session?.reconnect();
    default:
      return unreachable(m);
  }
};

function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}
