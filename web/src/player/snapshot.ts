// What is seen, as a picture of its own.

import { seen, scaleOf, type Matrix, type Size, type View } from "./view.ts";
import { toMillis, type Micros } from "./units.ts";

/** Draws over a snapshot; the context's units are CSS pixels of the box. */
export type Overlay = (context: CanvasRenderingContext2D) => void;

const mostPixels = 8192; // in a row or a column; browsers' canvases end somewhere above

/** A new canvas with image as it is seen in the box, without the bars beside it. No pixel of it is lost, nor of the screen's. */
export function draw(image: CanvasImageSource, v: View, m: Matrix, box: Size, picture: Size, overlay: Overlay): HTMLCanvasElement {
  const part = seen(v, box, picture);
  const scale = Math.min(Math.max(1 / scaleOf(m), devicePixelRatio), mostPixels / Math.max(part.width, part.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(part.width * scale));
  canvas.height = Math.max(1, Math.round(part.height * scale));
  const context = canvas.getContext("2d", { alpha: false });
  if (context === null) throw new Error("this browser gives no canvas context");
  context.imageSmoothingQuality = "high";
  context.setTransform(scale, 0, 0, scale, -part.x * scale, -part.y * scale);
  context.save();
  context.transform(m.a, m.b, m.c, m.d, m.e, m.f);
  context.drawImage(image, 0, 0, picture.width, picture.height);
  context.restore();
  overlay(context);
  return canvas;
}

/** The name of a file with a picture of that stream, taken at a time of the local clock. */
export function fileName(stream: string, taken: Micros): string {
  const at = new Date(toMillis(taken)).toISOString().replaceAll(":", "-");
  return `${stream.replaceAll("/", "-")}_${at}.png`;
}
