import assert from "node:assert/strict";
import test, { beforeEach, mock } from "node:test";

import { ApiError } from "../../static/api.js";
import { Connection } from "../../static/connection.js";
import { load } from "../../static/transports/all.js";

/** The sockets that the page has opened, the newest last. */
let sockets;
let now;

/** A browser's WebSocket without a network. */
class FakeSocket {
  static OPEN = 1;
  readyState = 0;
  sent = [];
  constructor(url) {
    this.url = url;
    sockets.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.readyState = 3;
  }
  // What the server does.
  accept() {
    this.readyState = 1;
    this.onopen?.();
  }
  tell(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  end(code) {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

Object.assign(globalThis, {
  WebSocket: FakeSocket,
  location: { protocol: "http:", hostname: "localhost", host: "localhost:4000" },
  addEventListener: () => {},
});
Object.defineProperty(globalThis, "navigator", { value: { onLine: true } });
mock.method(performance, "now", () => now);
mock.method(Math, "random", () => 1);

const SERVERS = [
  { name: "websocket", port: 4001 },
  { name: "sse", port: 4002 },
  { name: "shortpoll", port: 4003 },
];
/** Waits until everything has happened that needs no time. A transport's module is loaded when it is first used. */
async function settled() {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
const lastUrl = () => sockets.at(-1).url;

/** A connection that has started, with what it has reported. */
async function start({ loadSnapshot, answering = [], servers = SERVERS } = {}) {
  const told = { events: [], snapshots: 0, states: [] };
  const connection = new Connection(servers, "websocket", {
    loadSnapshot: loadSnapshot ?? (async () => ({ cursor: `e.${10 * (told.snapshots + 1)}` })),
    answers: async (base) => answering.includes(base),
    onSnapshot: () => (told.snapshots += 1),
    onEvent: (event) => told.events.push(event),
    onStatus: ({ state }) => told.states.at(-1) !== state && told.states.push(state),
  });
  connection.start();
  await settled();
  return { connection, told };
}

/** Moves the clocks on, and runs the timers that are due. */
async function pass(ms) {
  now += ms;
  mock.timers.tick(ms);
  await settled();
}

await Promise.all(["websocket", "sse", "longpoll", "shortpoll"].map(load));

beforeEach(() => {
  sockets = [];
  now = 0;
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
});

test("starts with a snapshot and goes on from its cursor", async () => {
  const { told } = await start();
  assert.equal(told.snapshots, 1);
  assert.equal(lastUrl(), "ws://localhost:4001/ws?after=e.10");
  sockets[0].accept();
  assert.deepEqual(told.states, ["connecting", "live"]);
});

test("comes back after the last event, without a snapshot", async () => {
  const { told } = await start();
  sockets[0].accept();
  sockets[0].tell({ type: "message", id: "e.11" });
  sockets[0].tell({ type: "presence", online: [] });
  sockets[0].end(1006);
  assert.equal(told.states.at(-1), "waiting");
  await pass(499);
  assert.equal(sockets.length, 1);
  await pass(1);
  assert.equal(lastUrl(), "ws://localhost:4001/ws?after=e.11");
  assert.equal(told.snapshots, 1);
  assert.deepEqual(
    told.events.map(({ type }) => type),
    ["message", "presence"],
  );
});

test("a tick moves the cursor of a quiet connection on", async () => {
  await start();
  sockets[0].accept();
  sockets[0].tell({ type: "tick", cursor: "e.42" });
  sockets[0].end(4001);
  await pass(500);
  assert.equal(lastUrl(), "ws://localhost:4001/ws?after=e.42");
});

test("waits longer after each attempt in vain, and short again after ten good seconds", async () => {
  await start();
  for (const wait of [500, 1_000, 2_000]) {
    const { length } = sockets;
    sockets.at(-1).end(1006);
    await pass(wait - 1);
    assert.equal(sockets.length, length);
    await pass(1);
    assert.equal(sockets.length, length + 1);
  }
  sockets.at(-1).accept();
  await pass(10_000);
  sockets.at(-1).end(1006);
  await pass(500);
  assert.equal(sockets.length, 5);
});

for (const [what, end] of [
  ["a reset", (socket) => socket.tell({ type: "reset", reason: "expired" })],
  ["the close code of an unusable cursor", (socket) => socket.end(4409)],
]) {
  test(`${what} starts it as at start-up`, async () => {
    const { told } = await start();
    sockets[0].accept();
    end(sockets[0]);
    await pass(500);
    assert.equal(told.snapshots, 2);
    assert.equal(lastUrl(), "ws://localhost:4001/ws?after=e.20");
  });
}

test("a close code above 4499 ends it until somebody asks", async () => {
  const { connection, told } = await start();
  sockets[0].accept();
  sockets[0].end(4503);
  assert.equal(told.states.at(-1), "ended");
  await pass(60_000);
  assert.equal(sockets.length, 1);
  connection.retryNow();
  await settled();
  assert.equal(sockets.length, 2);
});

test("a close event does what a close code does", async () => {
  const { told } = await start();
  sockets[0].accept();
  sockets[0].tell({ type: "close", code: 4502, name: "unauthenticated", reconnect: false });
  assert.equal(told.states.at(-1), "ended");
});

test("a snapshot that needs a sign-in ends it", async () => {
  const { told, connection } = await start({
    loadSnapshot: async () => {
      throw new ApiError("unauthenticated", "sign in first", { status: 401 });
    },
  });
  assert.equal(told.states.at(-1), "ended");
  assert.equal(connection.status.closing.code, 4502);
});

test("thirty-five seconds of silence are a loss", async () => {
  await start();
  sockets[0].accept();
  await pass(30_000);
  sockets[0].tell({ type: "tick", cursor: "e.12" });
  await pass(35_000);
  assert.equal(sockets[0].readyState, FakeSocket.OPEN);
  await pass(5_000);
  assert.equal(sockets[0].readyState, 3);
  await pass(500);
  assert.equal(lastUrl(), "ws://localhost:4001/ws?after=e.12");
});

test("a connection that does not open in ten seconds is given up", async () => {
  await start();
  await pass(15_000);
  assert.equal(sockets[0].readyState, 3);
  await pass(500);
  assert.equal(sockets.length, 2);
});

test("another transport goes on from the same cursor, and the old one is heard no more", async () => {
  const urls = [];
  globalThis.EventSource = class {
    constructor(url) {
      urls.push(url);
    }
    close() {}
  };
  const { connection, told } = await start();
  const [old] = sockets;
  old.accept();
  old.tell({ type: "message", id: "e.11" });
  connection.switchTo("sse");
  await settled();
  old.tell({ type: "message", id: "e.99" });
  assert.deepEqual(urls, ["http://localhost:4002/events?after=e.11"]);
  assert.deepEqual(
    told.events.map(({ id }) => id),
    ["e.11"],
  );
});

test("a request finds its reply by its id, whatever comes between", async () => {
  const { connection } = await start();
  sockets[0].accept();
  const [first, second] = ["c1", "c2"].map((conversation) => connection.send({ type: "typing", conversation }));
  const [one, two] = sockets[0].sent;
  sockets[0].tell({ type: "reply", request_id: two.request_id, refusal: { code: "not_a_member", message: "" } });
  sockets[0].tell({ type: "tick", cursor: "e.11" });
  sockets[0].tell({ type: "reply", request_id: one.request_id, ok: { type: "typing" } });
  assert.equal((await second).refusal.code, "not_a_member");
  assert.equal((await first).ok.type, "typing");
});

test("a request is unanswered when its connection ends, when no reply comes, and without one", async () => {
  const { connection } = await start();
  await assert.rejects(connection.send({ type: "typing", conversation: "c1" }), /did not answer/);
  sockets[0].accept();
  const cut = assert.rejects(connection.send({ type: "typing", conversation: "c1" }), /did not answer/);
  sockets[0].end(1006);
  await cut;
  await pass(500);
  sockets[1].accept();
  const late = assert.rejects(connection.send({ type: "typing", conversation: "c1" }), /did not answer/);
  await pass(10_000);
  await late;
});

test("a connection that owes a reply for ten seconds does not answer, until a reply or a new connection comes", async () => {
  const { connection } = await start();
  sockets[0].accept();
  const isAnswering = () => connection.status.state === "live" && !connection.status.unanswering;
  const ask = () => connection.send({ type: "typing", conversation: "c1" }).catch(() => null);
  void ask();
  await pass(9_999);
  assert.equal(isAnswering(), true);
  await pass(1);
  assert.equal(isAnswering(), false);
  void ask();
  sockets[0].tell({ type: "tick", cursor: "e.11" });
  assert.equal(isAnswering(), false, "a sign of life is no reply");
  sockets[0].tell({ type: "reply", request_id: sockets[0].sent.at(-1).request_id, ok: { type: "typing" } });
  await settled();
  assert.equal(isAnswering(), true);

  void ask();
  await pass(10_000);
  assert.equal(isAnswering(), false);
  sockets[0].tell({ type: "tick", cursor: "e.12" });
  assert.equal(isAnswering(), true, "nothing is owed any more, and the server is there");

  void ask();
  await pass(10_000);
  assert.equal(isAnswering(), false);
  connection.retryNow();
  await settled();
  assert.equal(sockets.length, 2);
  assert.match(lastUrl(), /after=e\.12$/);
  sockets[1].accept();
  assert.equal(isAnswering(), true);
});

test("a connection that ends owes nothing", async () => {
  const { connection } = await start();
  sockets[0].accept();
  const asked = connection.send({ type: "typing", conversation: "c1" }).catch(() => null);
  sockets[0].end(1006);
  await asked;
  assert.equal(connection.status.unanswering, false);
});

test("damage ends it until somebody asks, and a server in trouble does not", async () => {
  for (const [code, state] of [
    ["storage_damaged", "ended"],
    ["storage_unavailable", "waiting"],
  ]) {
    const { connection } = await start({
      loadSnapshot: async () => {
        throw new ApiError(code, "", { status: 503 });
      },
    });
    assert.equal(connection.status.state, state);
    assert.equal(connection.status.closing.name, code);
    connection.stop();
  }
});

test("a poll without an answer ten seconds after it is due is a loss", async () => {
  const polls = [];
  const late = [];
  mock.method(AbortSignal, "timeout", (ms) => {
    const controller = new AbortController();
    late.push({ ms, end: () => controller.abort() });
    return controller.signal;
  });
  globalThis.fetch = (url, { signal }) =>
    new Promise((_, reject) => {
      polls.push(url);
      signal.addEventListener("abort", () => reject(new Error("aborted")));
    });
  const { connection } = await start();
  connection.switchTo("shortpoll");
  await settled();
  assert.equal(polls.length, 1);
  assert.deepEqual(late.map(({ ms }) => ms), [10_000]);
  late[0].end();
  await settled();
  assert.equal(connection.status.state, "waiting");
  connection.stop();
});

test("after its end it does nothing more", async () => {
  const { connection } = await start();
  sockets[0].accept();
  connection.stop();
  await pass(120_000);
  assert.equal(sockets.length, 1);
});

const LADDER = [
  { name: "websocket", port: 4001 },
  { name: "sse", port: 4002 },
  { name: "longpoll", port: 4003 },
];
const AT = Object.fromEntries(LADDER.map(({ name, port }) => [name, `http://localhost:${port}`]));

/** Ends the newest socket this many times; each time, the page opens another. */
async function refuse(times) {
  for (let attempt = 0; attempt < times; attempt += 1) {
    sockets.at(-1).end(1006);
    await settled();
    await pass(15_000);
  }
}

test("a transport that does not open while its server answers is left for the next one", async () => {
  const opened = [];
  globalThis.EventSource = class {
    constructor(url) {
      opened.push(url);
      queueMicrotask(() => this.onopen());
    }
    close() {}
  };
  const { connection } = await start({ servers: LADDER, answering: [AT.websocket, AT.sse, AT.longpoll] });
  await refuse(1);
  assert.equal(connection.status.transport, "websocket", "one failure may be chance");
  await refuse(1);
  assert.equal(connection.status.blocked, true);
  assert.equal(connection.status.transport, "websocket", "the server may have come back only now");
  sockets.at(-1).end(1006);
  await settled();
  assert.equal(connection.status.transport, "sse");
  assert.deepEqual(connection.status.avoided, { transport: "websocket", why: "blocked" });
  assert.equal(connection.status.state, "live");
  assert.deepEqual(opened, [`${AT.sse}/events?after=e.10`]);

  connection.switchTo("websocket");
  await settled();
  sockets.at(-1).accept();
  assert.equal(connection.status.avoided, null);
});

test("where no other server answers there is nothing to fall back on", async () => {
  const { connection } = await start({ servers: LADDER, answering: [AT.websocket] });
  await refuse(6);
  assert.equal(connection.status.transport, "websocket");
});

test("a transport whose server is gone while another answers is left, and said to be gone", async () => {
  globalThis.EventSource = class {
    close() {}
  };
  const { connection } = await start({ servers: LADDER, answering: [AT.sse] });
  sockets.at(-1).end(1006);
  await pass(500);
  sockets.at(-1).end(1006);
  await settled();
  assert.deepEqual(connection.status.avoided, { transport: "websocket", why: "gone" });
});

test("a connection that was live and is lost is no reason to fall back", async () => {
  const { connection } = await start({ servers: LADDER, answering: Object.values(AT) });
  for (let loss = 0; loss < 5; loss += 1) {
    sockets.at(-1).accept();
    sockets.at(-1).end(1006);
    await pass(15_000);
  }
  assert.equal(connection.status.transport, "websocket");
});
