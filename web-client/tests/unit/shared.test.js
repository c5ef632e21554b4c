import assert from "node:assert/strict";
import test, { beforeEach, mock } from "node:test";

import { SharedConnection } from "../../static/shared.js";
import { load } from "../../static/transports/all.js";

/** The sockets that all tabs together have opened. */
let sockets;
let channels;
let lock;

class FakeSocket {
  static OPEN = 1;
  readyState = 1;
  constructor(url) {
    this.url = url;
    this.sent = [];
    sockets.push(this);
    queueMicrotask(() => this.onopen?.());
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.readyState = 3;
  }
  tell(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
}

/** A browser's channel between tabs: what a tab posts arrives later, and never at the tab itself. */
class FakeChannel {
  constructor(name) {
    this.name = name;
    channels.push(this);
  }
  postMessage(word) {
    const copy = structuredClone(word);
    for (const other of channels) {
      if (other !== this && other.name === this.name) setImmediate(() => other.onmessage?.({ data: copy }));
    }
  }
  close() {
    channels = channels.filter((one) => one !== this);
    this.onmessage = null;
  }
}

/** One lock with a queue, which can be stolen. */
class FakeLocks {
  holder = null;
  queue = [];
  request(_name, { steal, signal }, hold) {
    return new Promise((resolve, reject) => {
      const one = { hold, resolve, reject };
      signal?.addEventListener("abort", () => {
        this.queue = this.queue.filter((other) => other !== one);
        if (this.holder !== one) reject(new Error("aborted"));
      });
      if (steal) {
        this.holder?.reject(new Error("stolen"));
        this.holder = null;
        this.queue.unshift(one);
      } else this.queue.push(one);
      setImmediate(() => this.next());
    });
  }
  async next() {
    if (this.holder || this.queue.length === 0) return;
    const one = this.queue.shift();
    this.holder = one;
    const result = await one.hold();
    one.resolve(result);
    if (this.holder === one) this.holder = null;
    this.next();
  }
}

Object.assign(globalThis, {
  WebSocket: FakeSocket,
  BroadcastChannel: FakeChannel,
  location: { protocol: "http:", hostname: "localhost", host: "localhost:4000" },
  document: { hidden: false, addEventListener: () => {} },
  addEventListener: () => {},
});
await load("websocket");

async function settled() {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A tab, with what it has got. */
function tab(known = "state of the server") {
  const told = { snapshots: [], events: [], notes: [], statuses: [] };
  const connection = new SharedConnection("u1", [{ name: "websocket", port: 4001 }], "websocket", {
    loadSnapshot: async () => ({ cursor: "e.10", what: known }),
    answers: async () => false,
    snapshot: (cursor) => ({ cursor, what: "state of the leading tab" }),
    onSnapshot: (snapshot) => told.snapshots.push(snapshot),
    onEvent: (event) => told.events.push(event.id ?? event.type),
    onStatus: ({ state, leading }) => told.statuses.push(`${state}${leading ? " leading" : ""}`),
    onNote: (note) => told.notes.push(note),
  });
  return { connection, told };
}

beforeEach(() => {
  sockets = [];
  channels = [];
  lock = new FakeLocks();
  Object.defineProperty(globalThis, "navigator", { value: { onLine: true, locks: lock }, configurable: true });
  globalThis.document.hidden = false;
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
});

/** Two tabs, of which the first leads. */
async function two() {
  const [first, second] = [tab(), tab()];
  first.connection.start();
  await settled();
  second.connection.start();
  await settled();
  return [first, second];
}

test("the second tab opens nothing, and starts with what the first one knows", async () => {
  const [first, second] = await two();
  assert.equal(sockets.length, 1);
  assert.equal(first.told.statuses.at(-1), "live leading");
  assert.equal(second.told.statuses.at(-1), "live");
  assert.deepEqual(second.told.snapshots, [{ cursor: "e.10", what: "state of the leading tab" }]);
});

test("all tabs get every event once", async () => {
  const [first, second] = await two();
  sockets[0].tell({ type: "message", id: "e.11" });
  sockets[0].tell({ type: "presence" });
  await settled();
  for (const { told } of [first, second]) assert.deepEqual(told.events, ["e.11", "presence"]);
});

test("a request goes through the tab that leads, and its reply comes back", async () => {
  const [, second] = await two();
  const asked = second.connection.send({ type: "typing", conversation: "c1" });
  await settled();
  assert.deepEqual(sockets[0].sent[0].command, { type: "typing", conversation: "c1" });
  sockets[0].tell({ type: "reply", request_id: sockets[0].sent[0].request_id, ok: { type: "typing" } });
  await settled();
  assert.equal((await asked).ok.type, "typing");
});

test("when the leading tab closes, another goes on from the same place without a snapshot", async () => {
  const [first, second] = await two();
  const third = tab();
  third.connection.start();
  await settled();
  sockets[0].tell({ type: "message", id: "e.11" });
  await settled();
  const unanswered = assert.rejects(third.connection.send({ type: "typing", conversation: "c1" }), /did not answer/);
  first.connection.stop();
  await settled();
  assert.equal(sockets.length, 2);
  assert.match(sockets[1].url, /after=e\.11$/);
  await unanswered;
  sockets[1].tell({ type: "message", id: "e.12" });
  await settled();
  for (const { told } of [second, third]) {
    assert.deepEqual(told.events, ["e.11", "e.12"]);
    assert.equal(told.snapshots.length, 1);
  }
});

test("a tab that missed a word starts again from the leading one's snapshot", async () => {
  const [, second] = await two();
  const [, channel] = channels;
  const hear = channel.onmessage;
  channel.onmessage = () => {};
  sockets[0].tell({ type: "message", id: "e.11" });
  await settled();
  channel.onmessage = hear;
  sockets[0].tell({ type: "message", id: "e.12" });
  await settled();
  assert.deepEqual(second.told.events, []);
  assert.equal(second.told.snapshots.at(-1).cursor, "e.12");
  sockets[0].tell({ type: "message", id: "e.13" });
  await settled();
  assert.deepEqual(second.told.events, ["e.13"]);
});

test("a leading tab that does not answer is replaced, and steps back when it wakes", async () => {
  const first = tab();
  first.connection.start();
  await settled();
  const [asleep] = channels;
  asleep.onmessage = null;
  const second = tab();
  second.connection.start();
  await settled();
  assert.equal(sockets.length, 1);
  mock.timers.tick(2_000);
  await settled();
  assert.equal(sockets.length, 2);
  assert.equal(second.told.statuses.at(-1), "live leading");
  assert.equal(first.connection.status.leading, false);
  assert.equal(sockets[0].readyState, 3, "the one that slept holds nothing any more");
});

test("a visible tab takes the connection from a hidden one", async () => {
  const first = tab();
  first.connection.start();
  await settled();
  globalThis.document.hidden = true;
  const second = tab();
  second.connection.start();
  // Both tabs share one document here: it is hidden while the first answers, and visible when the answer arrives.
  const hear = channels[1].onmessage;
  channels[1].onmessage = (message) => {
    globalThis.document.hidden = false;
    hear(message);
  };
  await settled();
  assert.equal(second.told.statuses.at(-1), "live leading");
  assert.equal(first.connection.status.leading, false);
});

test("what one tab notes, the others hear", async () => {
  const [first, second] = await two();
  second.connection.tell({ cid: "a" });
  await settled();
  assert.deepEqual(first.told.notes, [{ cid: "a" }]);
  assert.deepEqual(second.told.notes, []);
});

test("without locks each tab is on its own", async () => {
  Object.defineProperty(globalThis, "navigator", { value: { onLine: true }, configurable: true });
  await two();
  assert.equal(sockets.length, 2);
});
