import assert from "node:assert/strict";
import { test } from "node:test";
import { codeIn, isThisMachine, nameProblem, publishPath, publishSocketPath, routeOf, setUpCodeIn, socketPath, watchPath } from "./route.ts";

test("addresses and streams belong to each other", () => {
  for (const stream of ["door", "site/door", "a.b_c-1/d"]) {
    assert.deepEqual(routeOf(watchPath(stream)), { page: "watch", stream });
    assert.deepEqual(routeOf(publishPath(stream)), { page: "publish", stream });
    assert.equal(nameProblem(stream), "");
  }
  assert.equal(socketPath("site/door"), "/ws/watch/site/door");
  assert.equal(publishSocketPath("site/door"), "/ws/publish/site/door");
});

test("what names no stream is the wall", () => {
  for (const path of ["/", "/watch", "/watch/", "/watch/%E0%A4", "/publish", "/publish/", "/other"]) assert.deepEqual(routeOf(path), { page: "wall" });
});

test("a code is found in whatever was pasted", () => {
  for (const pasted of ["abc-1", "#abc-1", " https://h:8443/#abc-1\n", "https://h/watch/door#abc-1"]) assert.equal(codeIn(pasted), "abc-1");
  for (const nothing of ["", "#", "  "]) assert.equal(codeIn(nothing), "");
});

test("a set-up code is told from one that logs in", () => {
  assert.equal(setUpCodeIn(codeIn("https://h:8443/#invite.abc-1")), "abc-1");
  assert.equal(setUpCodeIn(codeIn("https://h:8443/#abc-1")), undefined);
});

test("the administrator's page", () => {
  for (const path of ["/admin", "/admin/"]) assert.deepEqual(routeOf(path), { page: "admin", path: "/admin" });
  assert.deepEqual(routeOf("/admin/record/"), { page: "admin", path: "/admin/record" });
  assert.deepEqual(routeOf("/administer"), { page: "wall" });
});

test("names outside of the grammar are refused in words", () => {
  for (const name of ["", "Door", "-door", ".door", "a b", "a//b", "/a", "a/", "tür", "a".repeat(65), `${"a/".repeat(127)}aa`]) {
    assert.match(nameProblem(name), /^[A-Z].*\.$/, name);
  }
  assert.equal(nameProblem("a".repeat(64)), "");
});

test("names by which every machine calls itself", () => {
  for (const host of ["localhost", "127.0.0.1", "[::1]"]) assert.ok(isThisMachine(host), host);
  for (const host of ["localhost.example", "192.0.2.127", "cam", "[2001:db8::1]"]) assert.ok(!isThisMachine(host), host);
});
