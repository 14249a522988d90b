// The publisher's worker: messages of the page to one Publishing, and its reports back.

import type { FromPublisher, ToPublisher } from "./messages.ts";
import { Publishing } from "./session.ts";

/** The part of a DedicatedWorkerGlobalScope that is used here; the DOM's types describe a window. */
interface WorkerScope {
  onmessage: ((e: MessageEvent<ToPublisher>) => void) | null;
  postMessage(message: FromPublisher): void;
}

const scope = self as unknown as WorkerScope;
let publishing: Publishing | undefined;

scope.onmessage = (e) => {
  const m = e.data;
  switch (m.type) {
    case "start":
      publishing = new Publishing(m.url, m.codec, m.frameRate, { report: (report) => scope.postMessage({ type: "report", report }) });
      return;
    case "pictures":
      publishing?.setFrameRate(m.frameRate);
      return publishing?.read(m.readable);
    case "picture":
      if (publishing === undefined) m.image.close();
      else publishing.picture(m.image, m.capture);
      return scope.postMessage({ type: "took" });
    case "frame-rate":
      return publishing?.setFrameRate(m.frameRate);
    case "reconnect":
      return publishing?.reconnect();
    case "stop":
      publishing?.close();
      return scope.postMessage({ type: "stopped" });
    default:
      return unreachable(m);
  }
};

function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}
