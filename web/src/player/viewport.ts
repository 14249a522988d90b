// How many lines of picture a place on the page can show. Pure.

interface Size {
  readonly width: number;
  readonly height: number;
}

const most = 0xffff;
/** A rendition is not changed for a few pixels. */
const notable = 0.1;

/** The lines of a picture of that shape that fit into box, which is in CSS pixels, on a screen of ratio device pixels each. */
export const lines = (box: Size, picture: Size, ratio: number): number =>
  Math.min(Math.round(Math.min(box.height, (box.width * picture.height) / picture.width) * ratio), most);

/** Whether the server is to be told of now instead of before. An element without a size shows nothing, and is paused for it. */
export const worthTelling = (now: number, before: number): boolean => now > 0 && Math.abs(now - before) >= before * notable;
