// What is seen, as a picture of its own.

import { seen, scaleOf, type Matrix, type Size, type View } from "./view.ts";
import { toMillis, type Micros } from "./units.ts";

/** Draws over a snapshot; the context's units are CSS pixels of the box. */
export type Overlay = (context: CanvasRenderingContext2D) => void;

/** A picture in a box, of which the part between two shares of the box's width is seen. */
export interface Pane {
  readonly image: CanvasImageSource;
  /** Where the box is, CSS pixels. */
  readonly left: number;
  readonly from: number;
  readonly to: number;
}

const mostPixels = 8192; // in a row or a column; browsers' canvases end somewhere above

/** A new canvas with the panes as they are seen, without the bars beside them. No pixel of them is lost, nor of the screen's. */
export function draw(panes: readonly Pane[], v: View, m: Matrix, box: Size, picture: Size, overlay: Overlay): HTMLCanvasElement {
  const part = seen(v, box, picture);
  const width = part.width + Math.max(...panes.map((p) => p.left));
  const scale = Math.min(Math.max(1 / scaleOf(m), devicePixelRatio), mostPixels / Math.max(width, part.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(part.height * scale));
  const context = canvas.getContext("2d", { alpha: false });
  if (context === null) throw new Error("this browser gives no canvas context");
  context.imageSmoothingQuality = "high";
  context.setTransform(scale, 0, 0, scale, -part.x * scale, -part.y * scale);
  for (const pane of panes) {
    context.save();
    context.beginPath();
    context.rect(pane.left + pane.from * box.width, 0, (pane.to - pane.from) * box.width, box.height);
    context.clip();
    context.translate(pane.left, 0);
    context.transform(m.a, m.b, m.c, m.d, m.e, m.f);
    context.drawImage(pane.image, 0, 0, picture.width, picture.height);
    context.restore();
  }
  overlay(context);
  return canvas;
}

/** The name of a file with a picture of that stream, taken at a time of the local clock. */
export function fileName(stream: string, taken: Micros): string {
  const at = new Date(toMillis(taken)).toISOString().replaceAll(":", "-");
  return `${stream.replaceAll("/", "-")}_${at}.png`;
}
