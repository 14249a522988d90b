import assert from "node:assert/strict";
import { test } from "node:test";
import * as view from "./view.ts";

const picture = { width: 1280, height: 720 };
const boxes = [{ width: 640, height: 360 }, { width: 390, height: 844 }, { width: 1440, height: 900 }];
const near = (p: view.Point, x: number, y: number, what: string) =>
  assert.ok(Math.abs(p.x - x) < 1e-6 && Math.abs(p.y - y) < 1e-6, `${what}: ${p.x}, ${p.y} instead of ${x}, ${y}`);

/** All ways round, enlarged at a corner. */
function* views(box: view.Size) {
  for (const mirror of [false, true]) {
    let v: view.View = mirror ? view.mirrored(view.wholeView) : view.wholeView;
    for (let i = 0; i < 4; i++, v = view.rotated(v)) {
      yield v;
      yield view.zoomed(v, 3, { x: box.width / 2, y: -box.height / 2 }, box, picture);
    }
  }
}

test("what is on the screen leads back to the pixel that is there", () => {
  for (const box of boxes) {
    for (const v of views(box)) {
      const m = view.matrix(v, box, picture);
      for (const p of [{ x: 0, y: 0 }, { x: 1280, y: 720 }, { x: 17, y: 300 }]) near(view.toPicture(m, view.toBox(m, p)), p.x, p.y, JSON.stringify(v));
    }
  }
});

test("the CSS transform and the matrix put a pixel in the same place", () => {
  for (const box of boxes) {
    for (const v of views(box)) {
      const css = view.transform(v, box, picture);
      const [tx, ty, sx, sy, turn] = css === "none" ? [0, 0, 1, 1, 0] : (css.match(/-?\d+(\.\d+)?(e-?\d+)?/g) ?? []).map(Number);
      const fit = Math.min(box.width / picture.width, box.height / picture.height);
      for (const p of [{ x: 0, y: 0 }, { x: 1000, y: 100 }]) {
        // As CSS Transforms has it: from the middle of the element, the last function first.
        const [x, y] = [(p.x - picture.width / 2) * fit, (p.y - picture.height / 2) * fit];
        const angle = ((turn ?? 0) * Math.PI) / 180;
        const [rx, ry] = [x * Math.cos(angle) - y * Math.sin(angle), x * Math.sin(angle) + y * Math.cos(angle)];
        const want = { x: rx * (sx ?? 1) + (tx ?? 0) + box.width / 2, y: ry * (sy ?? 1) + (ty ?? 0) + box.height / 2 };
        near(view.toBox(view.matrix(v, box, picture), p), want.x, want.y, `${JSON.stringify(v)} in ${JSON.stringify(box)}`);
      }
    }
  }
});

test("the whole picture is fitted into the box, whichever way up", () => {
  const [wide] = boxes;
  assert.ok(wide !== undefined);
  near(view.toBox(view.matrix(view.wholeView, wide, picture), { x: 1280, y: 720 }), 640, 360, "upright");
  const turned = view.matrix(view.rotated(view.wholeView), wide, picture);
  near(view.toBox(turned, { x: 0, y: 0 }), 320 + 360 * (720 / 1280) / 2, 0, "its upper left corner is at the upper right");
  const mirror = view.matrix(view.mirrored(view.wholeView), wide, picture);
  near(view.toBox(mirror, { x: 0, y: 0 }), 640, 0, "mirrored");
});

test("turning turns what is seen to the right, mirrored or not, and four turns are none", () => {
  for (const start of [view.wholeView, view.mirrored(view.wholeView)]) {
    const box = { width: 500, height: 500 };
    const at = { x: 1280, y: 360 }; // the middle of one edge
    const before = view.toBox(view.matrix(start, box, picture), at);
    const after = view.toBox(view.matrix(view.rotated(start), box, picture), at);
    near(after, 250 - (before.y - 250), 250 + (before.x - 250), JSON.stringify(start));
    assert.deepEqual(view.rotated(view.rotated(view.rotated(view.rotated(start)))), { ...start, x: 0, y: 0 });
  }
});

test("what is under the pointer stays there while it is enlarged", () => {
  const box = { width: 1280, height: 720 };
  let v = view.wholeView;
  const at = { x: 100, y: -50 };
  const under = (w: view.View) => view.toPicture(view.matrix(w, box, picture), { x: 640 + at.x, y: 360 + at.y });
  const before = under(v);
  for (let i = 0; i < 5; i++) v = view.zoomed(v, 1.5, at, box, picture);
  near(under(v), before.x, before.y, "after five steps");
});

test("zoom has bounds, and no edge of the picture comes into a box that it fills", () => {
  const box = { width: 1280, height: 720 };
  assert.equal(view.zoomed(view.wholeView, 1000, { x: 0, y: 0 }, box, picture).zoom, 16);
  const back = view.zoomed(view.zoomed(view.wholeView, 4, { x: 600, y: 300 }, box, picture), 0.01, { x: 0, y: 0 }, box, picture);
  assert.deepEqual(back, view.wholeView);
  const far = view.panned(view.zoomed(view.wholeView, 2, { x: 0, y: 0 }, box, picture), 1e6, 1e6, box, picture);
  near(view.toBox(view.matrix(far, box, picture), { x: 0, y: 0 }), 0, 0, "dragged to the corner");
  assert.deepEqual(view.panned(view.wholeView, 40, 40, box, picture), view.wholeView);
});

test("what is seen is the picture without the bars beside it, and no more than the box", () => {
  assert.deepEqual(view.seen(view.wholeView, { width: 1280, height: 1000 }, picture), { x: 0, y: 140, width: 1280, height: 720 });
  const near4 = view.zoomed(view.wholeView, 4, { x: 0, y: 0 }, { width: 1280, height: 1000 }, picture);
  assert.deepEqual(view.seen(near4, { width: 1280, height: 1000 }, picture), { x: 0, y: 0, width: 1280, height: 1000 });
});
