// Waiting for things that tell nobody when they happen: looked at again and again until a deadline.

import { setTimeout as pause } from "node:timers/promises";

const every = 15; // ms

/** The first value of look() that is truthy. Throws, naming what was waited for, when there is none for so many milliseconds. */
export async function eventually(what, look, limit = 10_000) {
  const deadline = performance.now() + limit;
  let problem = "";
  do {
    try {
      const found = await look();
      if (found) return found;
      problem = "";
    } catch (cause) {
      problem = `; the last look failed: ${cause.message}`;
    }
    await pause(every);
  } while (performance.now() < deadline);
  throw new Error(`not within ${limit} ms: ${what}${problem}`);
}

/** The promise, or an error that names what was waited for when it takes longer. */
export async function within(what, limit, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${limit} ms: ${what}`)), limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
