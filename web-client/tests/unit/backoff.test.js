import assert from "node:assert/strict";
import test from "node:test";

import { Backoff } from "../../static/backoff.js";

/** Always the longest wait that the ceiling allows. */
const longest = () => 1;

test("the ceiling doubles from half a second and stops at fifteen", () => {
  const backoff = new Backoff(longest);
  const waits = Array.from({ length: 8 }, () => backoff.next());
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
});

test("a wait may be anything from nothing to the ceiling", () => {
  assert.equal(new Backoff(() => 0).next(), 0);
  assert.equal(new Backoff(() => 0.25).next(), 125);
});

test("after good health it starts from the base", () => {
  const backoff = new Backoff(longest);
  for (let attempt = 0; attempt < 5; attempt += 1) backoff.next();
  backoff.reset();
  assert.equal(backoff.next(), 500);
});

test("stays at the cap after very many attempts", () => {
  const backoff = new Backoff(longest);
  for (let attempt = 0; attempt < 2_000; attempt += 1) backoff.next();
  assert.equal(backoff.next(), 15_000);
});
