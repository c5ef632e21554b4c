import assert from "node:assert/strict";
import test from "node:test";

import { Announcer } from "../../static/announcer.js";
import { Drafts } from "../../static/drafts.js";
import { Wire } from "../../static/wire.js";

/** A browser's storage, which may be full. */
class Shelf extends Map {
  isFull = false;
  get length() {
    return this.size;
  }
  key(index) {
    return [...this.keys()][index] ?? null;
  }
  getItem(key) {
    return this.get(key) ?? null;
  }
  setItem(key, value) {
    if (this.isFull) throw new Error("QuotaExceededError");
    this.set(key, value);
  }
  removeItem(key) {
    this.delete(key);
  }
}

test("the announcer says one message, then gathers what comes while it is heard", () => {
  const said = [];
  const timers = [];
  const announcer = new Announcer(() => said.push(announcer.words), (run) => timers.push(run));
  announcer.message("Bob", "one");
  for (let count = 0; count < 20; count += 1) announcer.message(count % 2 ? "Bob" : "Cid", "more");
  assert.deepEqual(said, ["Bob: one"]);
  timers.shift()();
  assert.deepEqual(said, ["Bob: one", "20 new messages from Cid, Bob"]);
  timers.shift()();
  assert.equal(timers.length, 0, "nothing waits when there is nothing to say");
  announcer.message("Bob", "again");
  assert.equal(said.at(-1), "Bob: again");
});

test("a draft outlives its page, and belongs to one user", () => {
  const storage = new Shelf();
  new Drafts(storage, "u1").set("user u2", "half");
  assert.equal(new Drafts(storage, "u1").get("user u2"), "half");
  assert.equal(new Drafts(storage, "u3").get("user u2"), "");
  new Drafts(storage, "u1").set("user u2", "");
  assert.equal(storage.size, 0, "an empty draft leaves nothing behind");
});

test("a draft is kept by its page where the storage is full", () => {
  const storage = new Shelf();
  const drafts = new Drafts(storage, "u1");
  drafts.set("user u2", "short");
  storage.isFull = true;
  drafts.set("user u2", "longer");
  assert.equal(drafts.get("user u2"), "longer");
});

test("who signs out leaves no draft, and those of others alone", () => {
  const storage = new Shelf();
  const [ann, bob] = [new Drafts(storage, "u1"), new Drafts(storage, "u2")];
  ann.set("user u2", "a");
  ann.set("conversation c5", "b");
  bob.set("user u1", "c");
  ann.clear();
  assert.deepEqual([...storage.values()], ["c"]);
});

test("the wire remembers the newest 500, and of each text the beginning", () => {
  const wire = new Wire();
  for (let count = 0; count < 600; count += 1) wire.add("sse", { direction: "down", what: "event", text: "é" });
  assert.equal(wire.seen.length, 500);
  assert.equal(wire.seen[0].number, 101);
  wire.add("sse", { direction: "up", what: "POST", text: "x".repeat(9_000) });
  assert.equal(wire.seen.at(-1).text.length, 2_000);
});
