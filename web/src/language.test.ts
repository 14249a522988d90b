import assert from "node:assert/strict";
import { test } from "node:test";
import { pickLanguage } from "./language.ts";

test("the dearest language that there are words in", () => {
  assert.equal(pickLanguage(["de-AT", "en"]), "de");
  assert.equal(pickLanguage(["fr-FR", "DE", "en"]), "de");
  assert.equal(pickLanguage(["en-GB", "de"]), "en");
});

test("English where none is known", () => {
  assert.equal(pickLanguage(["fr", "den"]), "en");
  assert.equal(pickLanguage([]), "en");
});
