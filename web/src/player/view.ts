// Which part of the picture is seen, and which way up. Pure. A picture of some size is laid into a box of CSS pixels: turned,
// mirrored, fitted whole, and enlarged from there.

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface View {
  /** 1: the whole picture. */
  readonly zoom: number;
  /** What stands in the middle of the box, from the middle of the turned picture on, in parts of its width and height. */
  readonly x: number;
  readonly y: number;
  /** Quarter turns to the right. */
  readonly turns: Turns;
  /** Left and right as seen, after turning. */
  readonly mirrored: boolean;
}

export type Turns = 0 | 1 | 2 | 3;

export const wholeView: View = { zoom: 1, x: 0, y: 0, turns: 0, mirrored: false };

const mostZoom = 16;

/** Nothing is enlarged: the browser can lay the picture into the box by itself. */
export const isPlain = (v: View): boolean => v.zoom === 1 && v.turns === 0 && !v.mirrored;

/** The whole picture, as large as the box allows. */
export const reset = (v: View): View => ({ ...v, zoom: 1, x: 0, y: 0 });

/** A quarter turn to the right, of what is seen. */
export const rotated = (v: View): View => ({ ...v, x: 0 - v.y, y: v.x, turns: ((v.turns + (v.mirrored ? 3 : 1)) % 4) as Turns });

export const mirrored = (v: View): View => ({ ...v, x: 0 - v.x, mirrored: !v.mirrored });

/** Enlarged by factor, so that what is at the point stays there. at counts from the middle of the box. */
export function zoomed(v: View, factor: number, at: Point, box: Size, picture: Size): View {
  const zoom = Math.min(Math.max(v.zoom * factor, 1), mostZoom);
  const whole = wholeSize(v, box, picture);
  const moved = 1 / v.zoom - 1 / zoom;
  return kept({ ...v, zoom, x: v.x + (at.x * moved) / whole.width, y: v.y + (at.y * moved) / whole.height }, box, picture);
}

/** Dragged by so many pixels. */
export function panned(v: View, dx: number, dy: number, box: Size, picture: Size): View {
  const whole = wholeSize(v, box, picture);
  return kept({ ...v, x: v.x - dx / (whole.width * v.zoom), y: v.y - dy / (whole.height * v.zoom) }, box, picture);
}

/** The same without showing more of what is outside of the picture than has to be: for a box of another size. */
export function kept(v: View, box: Size, picture: Size): View {
  const whole = wholeSize(v, box, picture);
  const x = bounded(v.x, Math.max(0, 0.5 - box.width / (2 * whole.width * v.zoom)));
  const y = bounded(v.y, Math.max(0, 0.5 - box.height / (2 * whole.height * v.zoom)));
  return { ...v, x, y };
}

/** From pixels of the picture, whose origin is its upper left corner, to those of the box. */
export interface Matrix {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly e: number;
  readonly f: number;
}

export function matrix(v: View, box: Size, picture: Size): Matrix {
  const whole = wholeSize(v, box, picture);
  const scale = (v.zoom * whole.width) / turnedSize(v, picture).width;
  const [cos, sin] = quarter[v.turns];
  const side = v.mirrored ? -1 : 1;
  const [a, b, c, d] = [side * scale * cos, scale * sin, -side * scale * sin, scale * cos];
  const [mx, my] = [picture.width / 2, picture.height / 2];
  const [ox, oy] = [box.width / 2 - v.x * whole.width * v.zoom, box.height / 2 - v.y * whole.height * v.zoom];
  return { a, b, c, d, e: ox - a * mx - c * my, f: oy - b * mx - d * my };
}

export const toBox = (m: Matrix, p: Point): Point => ({ x: m.a * p.x + m.c * p.y + m.e, y: m.b * p.x + m.d * p.y + m.f });

export function toPicture(m: Matrix, p: Point): Point {
  const [x, y, det] = [p.x - m.e, p.y - m.f, m.a * m.d - m.b * m.c];
  return { x: (m.d * x - m.c * y) / det, y: (m.a * y - m.b * x) / det };
}

/** Pixels of the box for one of the picture. */
export const scaleOf = (m: Matrix): number => Math.hypot(m.a, m.b);

/** The CSS transform of an element that fills the box and fits the picture into itself. */
export function transform(v: View, box: Size, picture: Size): string {
  if (isPlain(v)) return "none";
  const whole = wholeSize(v, box, picture);
  const upright = Math.min(box.width / picture.width, box.height / picture.height);
  const scale = (v.zoom * whole.width) / turnedSize(v, picture).width / upright;
  const [tx, ty] = [-v.x * whole.width * v.zoom, -v.y * whole.height * v.zoom];
  return `translate(${tx}px, ${ty}px) scale(${v.mirrored ? -scale : scale}, ${scale}) rotate(${v.turns * 90}deg)`;
}

/** The part of the box in which there is picture. */
export function seen(v: View, box: Size, picture: Size): Point & Size {
  const whole = wholeSize(v, box, picture);
  const [left, top] = [box.width / 2 - (v.x + 0.5) * whole.width * v.zoom, box.height / 2 - (v.y + 0.5) * whole.height * v.zoom];
  const [x, y] = [Math.max(left, 0), Math.max(top, 0)];
  return { x, y, width: Math.min(left + whole.width * v.zoom, box.width) - x, height: Math.min(top + whole.height * v.zoom, box.height) - y };
}

const quarter: Readonly<Record<Turns, readonly [number, number]>> = { 0: [1, 0], 1: [0, 1], 2: [-1, 0], 3: [0, -1] };

const turnedSize = (v: View, picture: Size): Size => (v.turns % 2 === 0 ? picture : { width: picture.height, height: picture.width });

/** The size of the whole turned picture in the box. */
function wholeSize(v: View, box: Size, picture: Size): Size {
  const turned = turnedSize(v, picture);
  const scale = Math.min(box.width / turned.width, box.height / turned.height);
  return { width: turned.width * scale, height: turned.height * scale };
}

const bounded = (value: number, most: number): number => Math.min(Math.max(value, -most), most) + 0; // -0 is none
