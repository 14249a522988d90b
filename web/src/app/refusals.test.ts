import assert from "node:assert/strict";
import { test } from "node:test";
import { refusal } from "./refusals.ts";

test("a refusal is said in the page's language", () => {
  assert.match(refusal("de", "bad-login", "The name or the password is wrong."), /Passwort ist falsch/);
  assert.equal(refusal("en", "bad-login", "The name or the password is wrong."), "The name or the password is wrong.");
});

test("what one may do is said of streams before it is said of credentials", () => {
  assert.match(refusal("de", "not-allowed", ""), /Stream/);
});

test("a refusal without words stays in the server's", () => {
  for (const code of ["bad-input", "", "constructor"]) assert.equal(refusal("de", code, "No such camera."), "No such camera.");
});
