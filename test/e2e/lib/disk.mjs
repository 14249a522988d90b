// A disk of a few pages that can be full: a real one, which takes root to mount.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { scratch } from "./server.mjs";
import { Refused, Viewer } from "./socket.mjs";

/** A disk at dir, which fill() fills, empty() empties again and release() takes away. */
export function smallDisk() {
  const place = scratch();
  const dir = join(place.dir, "disk");
  mkdirSync(dir);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "none", dir]);
  const filler = join(dir, "filler");
  return {
    dir,
    fill() {
      const file = openSync(filler, "w");
      assert.throws(() => { for (;;) writeSync(file, Buffer.alloc(4096)); }, { code: "ENOSPC" });
      closeSync(file);
    },
    empty: () => rmSync(filler),
    release() {
      execFileSync("umount", [dir]);
      place.close();
    },
  };
}

/** Comes and goes as a viewer of the door: whether it was let in. */
export async function visit({ server, token }) {
  try {
    const viewer = await Viewer.join(server, "door", { token });
    await viewer.leave();
    return true;
  } catch (cause) {
    if (cause instanceof Refused && cause.status === 503) return false;
    throw cause;
  }
}
