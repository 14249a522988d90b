import assert from "node:assert/strict";
import { test } from "node:test";
import { stringsIn } from "./strings.ts";

/** All texts with their path; functions are called with marks. */
function* texts(of: unknown, path: string): Generator<[string, string]> {
  if (typeof of === "string") yield [path, of];
  else if (typeof of === "function") yield [path, String(of("‹1›", "‹2›", "‹3›"))];
  else for (const [key, value] of Object.entries(of as object)) yield* texts(value, `${path}.${key}`);
}

test("each language says everything, with the same values in it", () => {
  const en = new Map(texts(stringsIn.en, ""));
  const de = new Map(texts(stringsIn.de, ""));
  assert.ok(en.size > 100);
  assert.deepEqual([...de.keys()], [...en.keys()]);
  for (const [path, words] of en) {
    assert.deepEqual((de.get(path)?.match(/‹\d›/g) ?? []).sort(), (words.match(/‹\d›/g) ?? []).sort(), path);
    assert.equal(de.get(path) === "", words === "", path);
  }
});
