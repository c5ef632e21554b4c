/**
 * One client's place at the servers: a cursor, and the transport that brings the events after it.
 *
 * Transports come and go, but the cursor stays. So nothing is lost or doubled when one breaks or is switched.
 */

import { Backoff, HEALTHY_MS } from "./backoff.js";
import { CURSOR_EXPIRED, CURSOR_UNKNOWN, LOST, closing, refused } from "./codes.js";
import { load } from "./transports/all.js";
import { Unanswered } from "./transports/unanswered.js";

/** @import { Closing, Command, Event } from "./protocol.js" */
/** @import { Reply, ServerAddress, TransportName } from "./protocol.js" */
/** @import { Avoided, Client, Status, Transport } from "./types.js" */

/** The longest silence on an open connection: a tick comes at least every 30 s, and takes time to arrive. */
const SILENCE_MS = 35_000;
/** How long a connection may take to open. */
const OPENING_MS = 10_000;
/** How often the silence is checked; a page that wakes up notices a loss this soon. */
const LOOK_MS = 5_000;
/** One failure may be chance; after this many attempts, the page checks whether the transport is what fails. */
const ATTEMPTS_IN_VAIN = 2;

/** @param {TransportName} transport @returns {Status} */
export function beginning(transport) {
  return {
    state: "connecting",
    transport,
    closing: null,
    lostAt: Date.now(),
    retryAt: null,
    unanswering: false,
    failures: 0,
    starting: true,
    blocked: false,
    avoided: null,
  };
}

export class Connection {
  /** The id of the last event seen; null: start with a snapshot.
   * @type {string | null} */
  cursor = null;
  /** @type {Transport | null} */
  #transport = null;
  /** Raised by each attempt, so that an older one, still waiting for its snapshot, sees that it is over. */
  #attempt = 0;
  #requests = 0;
  /** How many requests wait for their reply. */
  #pending = 0;
  #heardAt = 0;
  #backoff = new Backoff();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #healthy;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #watchdog;
  #stop = new AbortController();

  /**
   * @param {ServerAddress[]} servers
   * @param {TransportName} transport
   * @param {Client} client
   */
  constructor(servers, transport, client) {
    this.servers = servers;
    this.client = client;
    this.status = beginning(transport);
  }

  /** @param {string | null} [cursor] where to resume; without one it starts with a snapshot */
  start(cursor = null) {
    const { signal } = this.#stop;
    this.cursor = cursor;
    // The browser's word is only a hint: a server on this machine can be reached without a network.
    addEventListener("offline", () => this.#transport && this.#end(closing(LOST)), { signal });
    addEventListener("online", () => this.retryNow(), { signal });
    this.#watchdog = setInterval(() => this.#look(), LOOK_MS);
    void this.#connect();
  }

  /** Ends it for good. */
  stop() {
    this.#stop.abort();
    clearInterval(this.#watchdog);
    this.#drop();
  }

  /** Carries on over another transport, from the same cursor.
   * @param {TransportName} transport */
  switchTo(transport) {
    if (transport === this.status.transport) return this.#set({ avoided: null });
    this.#change(transport, null);
  }

  /** Makes the next attempt at once, or a new connection if this one does not answer. */
  retryNow() {
    const { state, unanswering } = this.status;
    if ((state === "live" && !unanswering) || state === "connecting") return;
    this.#drop();
    void this.#connect();
  }

  /** Fails with {@link Unanswered} if no reply comes, and at once if there is no connection.
   * @param {Command} command
   * @returns {Promise<Reply>} */
  async send(command) {
    const transport = this.#transport;
    if (transport === null || this.status.state !== "live") throw new Unanswered();
    this.#requests += 1;
    this.#pending += 1;
    try {
      const reply = await transport.send({ request_id: `r${this.#requests}`, command });
      this.#judge(transport, true);
      return reply;
    } catch (error) {
      this.#judge(transport, false);
      throw error;
    } finally {
      this.#pending -= 1;
    }
  }

  /** An open connection that does not answer is not called live. Requests of an ended one do not count: the status
   * says why it ended.
   * @param {Transport} transport @param {boolean} answering */
  #judge(transport, answering) {
    const { unanswering } = this.status;
    if (transport === this.#transport && unanswering === answering) this.#set({ unanswering: !answering });
  }

  /** The address of the server that speaks a transport.
   * @param {TransportName} transport */
  base(transport) {
    const port = this.servers.find((server) => server.name === transport)?.port;
    return `${location.protocol}//${location.hostname}:${port}`;
  }

  async #connect() {
    this.#attempt += 1;
    const attempt = this.#attempt;
    this.#set({ state: "connecting", retryAt: null, starting: this.cursor === null });
    if (this.cursor === null) {
      const snapshot = await this.client.loadSnapshot().catch((error) => ({ error }));
      if (attempt !== this.#attempt) return;
      if ("error" in snapshot) return this.#end(refused(snapshot.error.status, snapshot.error.code));
      this.cursor = snapshot.cursor;
      this.client.onSnapshot(snapshot);
      // The client stops if the snapshot is another user's.
      if (attempt !== this.#attempt) return;
      this.#set({ starting: false });
    }
    const { transport } = this.status;
    const Transport = await load(transport).catch(() => null);
    if (attempt !== this.#attempt) return;
    if (Transport === null) return this.#end(closing(LOST));
    this.#heardAt = performance.now();
    this.#transport = new Transport(this.base(transport), {
      onOpen: () => this.#opened(),
      onEvent: (event) => this.#receive(event),
      onClose: (why) => this.#end(why),
      onRecord: (record) => this.client.onRecord?.(record),
    });
    this.#transport.open(/** @type {string} */ (this.cursor));
  }

  #opened() {
    this.#heardAt = performance.now();
    if (this.status.state === "live") return;
    this.#healthy = setTimeout(() => this.#backoff.reset(), HEALTHY_MS);
    this.#set({ state: "live", lostAt: null, closing: null, failures: 0, blocked: false, unanswering: false });
  }

  /** @param {Event} event */
  #receive(event) {
    this.#heardAt = performance.now();
    if (this.#transport && this.#pending === 0) this.#judge(this.#transport, true);
    switch (event.type) {
      case "tick":
        this.cursor = event.cursor;
        break;
      case "reset":
        this.#end(closing(event.reason === "expired" ? CURSOR_EXPIRED : CURSOR_UNKNOWN));
        break;
      case "close":
        this.#end({ code: event.code, name: event.name, reconnect: event.reconnect });
        break;
      default:
        this.client.onEvent(event);
        if ("id" in event) this.cursor = event.id;
    }
  }

  /** A connection that is silent for too long counts as lost. */
  #look() {
    const patience = this.status.state === "live" ? SILENCE_MS : OPENING_MS;
    if (this.#transport && performance.now() - this.#heardAt > patience) this.#end(closing(LOST));
  }

  /** The connection is over; what follows depends on why.
   * @param {Closing} why */
  #end(why) {
    const { lostAt, failures, state, starting } = this.status;
    this.#drop();
    if (why.code === CURSOR_UNKNOWN || why.code === CURSOR_EXPIRED) this.cursor = null;
    const inVain = state === "live" ? failures : failures + 1;
    const common = { closing: why, lostAt: lostAt ?? Date.now(), failures: inVain, unanswering: false };
    if (!why.reconnect) return this.#set({ ...common, state: "ended", retryAt: null });
    const wait = this.#backoff.next();
    this.#retry = setTimeout(() => this.#connect(), wait);
    this.#set({ ...common, state: navigator.onLine ? "waiting" : "offline", retryAt: Date.now() + wait });
    if (why.code === LOST && inVain >= ATTEMPTS_IN_VAIN && !starting && navigator.onLine) void this.#considerFalling();
  }

  /** Falls back one step if this transport is what fails. It never goes up by itself, so the steps come to an end. */
  async #considerFalling() {
    const { transport, avoided } = this.status;
    const ladder = await import("./ladder.js").catch(() => null);
    const answers = this.client.answers ?? ladder?.answers ?? (async () => false);
    const fall = await ladder?.fall(transport, this.servers, (name) => answers(this.base(name)));
    if (!fall || this.#stop.signal.aborted || this.status.transport !== transport) return;
    if (this.status.state === "live") return;
    // It may have come back just now, so one more attempt decides.
    if (fall.why === "blocked" && !this.status.blocked) return this.#set({ blocked: true });
    this.#change(fall.next, avoided ?? { transport, why: fall.why });
  }

  /** @param {TransportName} transport @param {Avoided | null} avoided */
  #change(transport, avoided) {
    this.#drop();
    this.#backoff.reset();
    const fresh = { unanswering: false, failures: 0, closing: null, blocked: false };
    this.#set({ ...fresh, transport, avoided, lostAt: this.status.lostAt ?? Date.now() });
    void this.#connect();
  }

  /** Closes the transport, and cancels attempts and timers. */
  #drop() {
    this.#attempt += 1;
    clearTimeout(this.#retry);
    clearTimeout(this.#healthy);
    this.#transport?.close();
    this.#transport = null;
  }

  /** @param {Partial<Status>} change */
  #set(change) {
    this.status = { ...this.status, ...change };
    this.client.onStatus(this.status);
  }
}
