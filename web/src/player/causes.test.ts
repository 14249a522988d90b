import assert from "node:assert/strict";
import { test } from "node:test";
import { causeWords } from "./causes.ts";

test("a cause is said in the player's language, and what has no words as the server says it", () => {
  assert.match(causeWords("de", "silent", "The source does not answer."), /antwortet nicht/);
  assert.equal(causeWords("en", "silent", "The source does not answer."), "The source does not answer.");
  for (const cause of ["", "melted", "constructor"]) assert.equal(causeWords("de", cause, "It melted."), "It melted.");
});
