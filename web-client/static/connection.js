/**
 * One client's place at the servers: a cursor, and whichever transport carries what comes after it.
 *
 * Transports come and go, the cursor stays, so nothing is lost or doubled when one breaks or is exchanged for another.
 */

import { Backoff, HEALTHY_MS } from "./backoff.js";
import { CURSOR_EXPIRED, CURSOR_UNKNOWN, LOST, UNAUTHENTICATED, closing } from "./codes.js";
import { TRANSPORTS } from "./transports/all.js";
import { Unanswered } from "./transports/commands.js";

/** @import { Closing, Command, Event, LoggedEvent, PassingEvent } from "./protocol.js" */
/** @import { Reply, ServerAddress, Snapshot, TransportName } from "./protocol.js" */
/** @import { Transport } from "./transports/all.js" */

/** The longest silence on an open connection: a tick comes at least every 30 s, and a little time on the way. */
const SILENCE_MS = 35_000;
/** How long a connection may take to open. */
const OPENING_MS = 10_000;
/** How often the silence is looked at; a page that slept finds out this soon after waking. */
const LOOK_MS = 5_000;

/**
 * @typedef {object} Status
 * @property {"connecting" | "live" | "waiting" | "offline" | "ended"} state
 *   `waiting` and `offline`: an attempt follows at `retryAt`; `ended`: none does by itself
 * @property {TransportName} transport
 * @property {Closing | null} closing why the last connection ended
 * @property {number | null} lostAt when it was last live, in `Date.now()` milliseconds; null while it is
 * @property {number | null} retryAt when the next attempt is due
 * @property {number | null} roundTripMs from the last request to its reply
 * @property {number} failures attempts in a row in which this transport did not open
 * @property {boolean} starting whether a snapshot has to come first
 */
/**
 * Whoever the connection is for.
 * @typedef {object} Client
 * @property {() => Promise<Snapshot>} loadSnapshot
 * @property {(snapshot: Snapshot) => void} onSnapshot everything known before is replaced by this
 * @property {(event: LoggedEvent | PassingEvent) => void} onEvent
 * @property {(status: Status) => void} onStatus
 */

export class Connection {
  /** @type {Transport | null} */
  #transport = null;
  /** The id of the last event seen; null: start with a snapshot.
   * @type {string | null} */
  #cursor = null;
  /** Raised by each attempt, so that an older one that is still waiting for its snapshot sees that it is over. */
  #attempt = 0;
  #requests = 0;
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
    /** @type {Status} */
    this.status = {
      state: "connecting",
      transport,
      closing: null,
      lostAt: Date.now(),
      retryAt: null,
      roundTripMs: null,
      failures: 0,
      starting: true,
    };
  }

  start() {
    const { signal } = this.#stop;
    // The browser's word is taken as a hint only: a server on this very machine is there without a network, too.
    addEventListener("offline", () => this.#transport && this.#end(closing(LOST)), { signal });
    addEventListener("online", () => this.retryNow(), { signal });
    addEventListener("pageshow", ({ persisted }) => persisted && this.#end(closing(LOST)), { signal });
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
    if (transport === this.status.transport) return;
    this.#drop();
    this.#backoff.reset();
    this.#set({ transport, roundTripMs: null, failures: 0, closing: null, lostAt: Date.now() });
    void this.#connect();
  }

  /** Makes the attempt that is due later at once. */
  retryNow() {
    if (this.status.state === "live" || this.status.state === "connecting") return;
    this.#drop();
    void this.#connect();
  }

  /** Fails with {@link Unanswered} where no reply came, and at once where there is no connection.
   * @param {Command} command
   * @returns {Promise<Reply>} */
  async send(command) {
    if (this.#transport === null || this.status.state !== "live") throw new Unanswered();
    this.#requests += 1;
    const began = performance.now();
    const reply = await this.#transport.send({ request_id: `r${this.#requests}`, command });
    this.#set({ roundTripMs: performance.now() - began });
    return reply;
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
    this.#set({ state: "connecting", retryAt: null, starting: this.#cursor === null });
    if (this.#cursor === null) {
      const snapshot = await this.client.loadSnapshot().catch((error) => ({ error }));
      if (attempt !== this.#attempt) return;
      if ("error" in snapshot) {
        return this.#end(closing(snapshot.error.status === 401 ? UNAUTHENTICATED : LOST));
      }
      this.#cursor = snapshot.cursor;
      this.client.onSnapshot(snapshot);
      // The client may have stopped on seeing whose snapshot it is.
      if (attempt !== this.#attempt) return;
    }
    const { transport } = this.status;
    this.#heardAt = performance.now();
    this.#transport = new TRANSPORTS[transport].Transport(this.base(transport), {
      onOpen: () => this.#opened(),
      onEvent: (event) => this.#receive(event),
      onClose: (why) => this.#end(why),
    });
    this.#transport.open(this.#cursor);
  }

  #opened() {
    this.#heardAt = performance.now();
    if (this.status.state === "live") return;
    this.#healthy = setTimeout(() => this.#backoff.reset(), HEALTHY_MS);
    this.#set({ state: "live", lostAt: null, closing: null, failures: 0 });
  }

  /** @param {Event} event */
  #receive(event) {
    this.#heardAt = performance.now();
    switch (event.type) {
      case "tick":
        this.#cursor = event.cursor;
        break;
      case "reset":
        this.#end(closing(event.reason === "expired" ? CURSOR_EXPIRED : CURSOR_UNKNOWN));
        break;
      case "close":
        this.#end({ code: event.code, name: event.name, reconnect: event.reconnect });
        break;
      default:
        this.client.onEvent(event);
        if ("id" in event) this.#cursor = event.id;
    }
  }

  /** A connection that is silent without being closed is lost all the same. */
  #look() {
    const patience = this.status.state === "live" ? SILENCE_MS : OPENING_MS;
    if (this.#transport && performance.now() - this.#heardAt > patience) this.#end(closing(LOST));
  }

  /** The connection is over; what follows depends on why.
   * @param {Closing} why */
  #end(why) {
    const { lostAt, failures, state } = this.status;
    this.#drop();
    if (why.code === CURSOR_UNKNOWN || why.code === CURSOR_EXPIRED) this.#cursor = null;
    const common = {
      closing: why,
      lostAt: lostAt ?? Date.now(),
      failures: state === "live" ? failures : failures + 1,
    };
    if (!why.reconnect) return this.#set({ ...common, state: "ended", retryAt: null });
    const wait = this.#backoff.next();
    this.#retry = setTimeout(() => this.#connect(), wait);
    this.#set({ ...common, state: navigator.onLine ? "waiting" : "offline", retryAt: Date.now() + wait });
  }

  /** Lets go of the transport and of everything that waits. */
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
