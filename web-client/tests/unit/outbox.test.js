import assert from "node:assert/strict";
import test from "node:test";

import { Backoff } from "../../static/backoff.js";
import { Outbox, due } from "../../static/outbox.js";

/** A browser's storage without the browser. */
class Shelf {
  #items = new Map();
  get length() {
    return this.#items.size;
  }
  key(index) {
    return [...this.#items.keys()][index] ?? null;
  }
  getItem(key) {
    return this.#items.get(key) ?? null;
  }
  setItem(key, value) {
    this.#items.set(key, value);
  }
  removeItem(key) {
    this.#items.delete(key);
  }
}

const BOB = { user: "u2" };
const RUST = { conversation: "c5" };

/** An outbox whose server answers only when the test says so. */
function bench({ storage = new Shelf(), user = "u1" } = {}) {
  const attempts = [];
  const sent = [];
  const timers = [];
  let now = 1_000;
  const outbox = new Outbox({
    storage,
    user,
    now: () => now,
    later: (run, ms) => timers.push({ run, at: now + ms }),
    backoff: new Backoff(() => 1),
    send: (command) => new Promise((resolve, reject) => attempts.push({ ...command, resolve, reject })),
    onSent: (entry) => sent.push(entry.text),
    onChange: () => {},
  });
  return {
    outbox,
    attempts,
    sent,
    storage,
    texts: () => attempts.map(({ text }) => text),
    states: () => outbox.entries.map(({ text, state }) => `${text} ${state}`),
    async ok(index) {
      attempts[index].resolve({
        type: "reply",
        ok: { type: "sent", conversation: "c9", seq: index + 1, id: "x", at: "", duplicate: false },
      });
      await settled();
    },
    async refuse(index, code, retry_after_ms = null) {
      attempts[index].resolve({ type: "reply", refusal: { code, message: code, retry_after_ms } });
      await settled();
    },
    async cut(index) {
      attempts[index].reject(new Error("no answer"));
      await settled();
    },
    async pass(ms) {
      now += ms;
      for (const timer of timers.splice(0)) {
        if (timer.at <= now) timer.run();
        else timers.push(timer);
      }
      await settled();
    },
  };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("a cid is 128 bits in hexadecimal, another one each time", () => {
  const { outbox } = bench();
  const [one, two] = [outbox.add(BOB, "a"), outbox.add(BOB, "b")];
  assert.match(one, /^[0-9a-f]{32}$/);
  assert.notEqual(one, two);
});

test("nothing goes out before there is a connection", async () => {
  const { outbox, texts, states } = bench();
  outbox.add(BOB, "a");
  assert.deepEqual(texts(), []);
  assert.deepEqual(states(), ["a queued"]);
  outbox.setReady(true);
  assert.deepEqual(texts(), ["a"]);
  assert.deepEqual(states(), ["a sending"]);
});

test("one message of a conversation is on its way at a time, in the order of writing", async () => {
  const { outbox, texts, ok, sent } = bench();
  outbox.setReady(true);
  for (const text of ["a", "b", "c"]) outbox.add(BOB, text);
  outbox.add(RUST, "other");
  assert.deepEqual(texts(), ["a", "other"]);
  await ok(0);
  assert.deepEqual(texts(), ["a", "other", "b"]);
  await ok(2);
  assert.deepEqual(texts(), ["a", "other", "b", "c"]);
  await ok(3);
  await ok(1);
  assert.deepEqual(sent, ["a", "b", "c", "other"]);
  assert.deepEqual(outbox.entries, []);
});

test("after an unknown outcome the same cid is tried again, before what was written later", async () => {
  const { outbox, attempts, texts, cut, pass } = bench();
  outbox.setReady(true);
  outbox.add(BOB, "a");
  outbox.add(BOB, "b");
  await cut(0);
  assert.deepEqual(texts(), ["a"]);
  await pass(500);
  assert.deepEqual(texts(), ["a", "a"]);
  assert.equal(attempts[1].cid, attempts[0].cid);
});

test("a new connection does not wait for the back-off", async () => {
  const { outbox, texts, cut } = bench();
  outbox.setReady(true);
  outbox.add(BOB, "a");
  outbox.setReady(false);
  await cut(0);
  assert.deepEqual(texts(), ["a"]);
  outbox.setReady(true);
  assert.deepEqual(texts(), ["a", "a"]);
});

test("a refusal is final until its writer decides, and holds up nothing", async () => {
  const { outbox, attempts, texts, states, refuse, ok } = bench();
  outbox.setReady(true);
  const cid = outbox.add(BOB, "a");
  outbox.add(BOB, "b");
  await refuse(0, "not_a_member");
  assert.deepEqual(states(), ["a failed", "b sending"]);
  assert.equal(outbox.entries[0].refusal.code, "not_a_member");
  await ok(1);
  outbox.retry(cid);
  assert.deepEqual(texts(), ["a", "b", "a"]);
  assert.equal(attempts[2].cid, cid);
  await refuse(2, "not_a_member");
  outbox.remove(cid);
  assert.deepEqual(states(), []);
});

test("another attempt at what is on its way sends nothing twice", async () => {
  const { outbox, texts } = bench();
  outbox.setReady(true);
  outbox.retry(outbox.add(BOB, "a"));
  assert.deepEqual(texts(), ["a"]);
});

test("a refusal of the moment is tried again when it says", async () => {
  const { outbox, texts, states, refuse, pass } = bench();
  outbox.setReady(true);
  outbox.add(BOB, "a");
  await refuse(0, "rate_limited", 3_000);
  assert.deepEqual(states(), ["a queued"]);
  await pass(2_900);
  assert.deepEqual(texts(), ["a"]);
  await pass(100);
  assert.deepEqual(texts(), ["a", "a"]);
});

test("where the storage is unavailable the outcome is unknown: the same cid is tried again", async () => {
  const { outbox, attempts, states, refuse, ok, pass } = bench();
  outbox.setReady(true);
  outbox.add(BOB, "a");
  await refuse(0, "storage_unavailable", 1_000);
  assert.deepEqual(states(), ["a queued"]);
  await pass(1_000);
  await refuse(1, "storage_unavailable");
  await pass(500);
  assert.equal(new Set(attempts.map(({ cid }) => cid)).size, 1);
  assert.equal(attempts.length, 3);
  await ok(2);
  assert.deepEqual(states(), []);
});

test("where the storage is damaged no attempt follows, whatever time is named", async () => {
  const { outbox, attempts, states, refuse, pass } = bench();
  outbox.setReady(true);
  outbox.add(BOB, "a");
  await refuse(0, "storage_damaged", 1_000);
  await pass(60_000);
  assert.deepEqual(states(), ["a failed"]);
  assert.equal(attempts.length, 1);
});

test("what was not acknowledged survives a reload, with its cid and in order", async () => {
  const { outbox, storage, attempts } = bench();
  outbox.setReady(true);
  for (const text of ["a", "b", "c"]) outbox.add(BOB, text);
  const next = bench({ storage });
  assert.deepEqual(next.states(), ["a queued", "b queued", "c queued"]);
  next.outbox.setReady(true);
  assert.equal(next.attempts[0].cid, attempts[0].cid);
  await next.ok(0);
  assert.deepEqual(bench({ storage }).states(), ["b queued", "c queued"]);
});

test("a refused message is still refused after a reload", async () => {
  const { outbox, storage, refuse } = bench();
  outbox.setReady(true);
  outbox.add(BOB, "a");
  await refuse(0, "text_too_long");
  assert.deepEqual(bench({ storage }).states(), ["a failed"]);
});

test("users of one browser do not see each other's", () => {
  const { outbox, storage } = bench();
  outbox.add(BOB, "a");
  assert.deepEqual(bench({ storage, user: "u3" }).states(), []);
});

test("two tabs keep each other's messages", () => {
  const storage = new Shelf();
  const [one, two] = [bench({ storage }), bench({ storage })];
  one.outbox.add(BOB, "a");
  two.outbox.add(BOB, "b");
  assert.deepEqual(bench({ storage }).states().sort(), ["a queued", "b queued"]);
});

test("the echo settles a message whose reply is missing", async () => {
  const { outbox, texts, cut, pass } = bench();
  outbox.setReady(true);
  outbox.remove(outbox.add(BOB, "a"));
  await cut(0);
  await pass(60_000);
  assert.deepEqual(texts(), ["a"]);
  assert.deepEqual(outbox.entries, []);
});

test("nothing is due while the first of its conversation must wait", () => {
  const entry = (text, change) => ({
    cid: text,
    to: BOB,
    text,
    at: "",
    order: 1,
    state: "queued",
    refusal: null,
    notBefore: 0,
    since: 0,
    ...change,
  });
  assert.deepEqual(due([entry("a", { notBefore: 10 }), entry("b", {})], 5), []);
  assert.deepEqual(
    due([entry("a", { state: "failed" }), entry("b", {})], 5).map(({ text }) => text),
    ["b"],
  );
  assert.deepEqual(due([entry("a", { state: "sending" }), entry("b", {})], 5), []);
});
