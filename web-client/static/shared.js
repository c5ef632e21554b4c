/**
 * One connection for all tabs of a user: one tab leads and holds it, and the others listen to that tab.
 *
 * Over HTTP/1.1, a browser opens at most six connections to a server. With a stream in every tab, the sixth tab
 * leaves none to send with. With one stream for all, any number of tabs works.
 * The browser decides which tab leads, by a lock (Web Locks) that it passes on when its holder closes.
 * The tabs talk as a client does with a server: first a snapshot, then events. A tab that becomes visible takes over
 * soon, because a hidden tab's timers run once a minute, and a frozen tab does nothing at all.
 */

import { Connection, beginning } from "./connection.js";
import { REPLY_TIMEOUT_MS, Unanswered } from "./transports/unanswered.js";

/** @import { Lead, SharedClient, SharedStatus, TabMessage } from "./types.js" */
/** @import { Command, LoggedEvent, PassingEvent, Reply } from "./protocol.js" */
/** @import { ServerAddress, TransportName } from "./protocol.js" */

/** A leading tab that is silent this long is frozen, and another takes its place. */
const ANSWER_MS = 2_000;

export class SharedConnection {
  #tab = crypto.getRandomValues(new Uint32Array(2)).join(".");
  /** @type {Connection | null} */
  #connection = null;
  /** @type {BroadcastChannel | null} */
  #channel = null;
  /** This tab's place: the same for all tabs, since all get the same events.
   * @type {Lead} */
  #lead = { leader: "", cursor: null, count: 0 };
  #contest = new AbortController();
  /** Gives the lock back. */
  #release = () => {};
  /** @type {Map<number, (reply: Reply | null) => void>} */
  #waiting = new Map();
  #requests = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #patience;
  #stop = new AbortController();

  /**
   * @param {string} user whose tabs these are
   * @param {ServerAddress[]} servers
   * @param {TransportName} transport
   * @param {SharedClient} client
   */
  constructor(user, servers, transport, client) {
    this.name = `switchboard.${user}`;
    this.servers = servers;
    this.client = client;
    /** @type {SharedStatus} */
    this.status = { ...beginning(transport), leading: false };
  }

  /** Starts, or goes on from where it stopped.
   * @param {boolean} [take] whether to take over from another tab */
  start(take = false) {
    this.#stop = new AbortController();
    // Locks need a secure context. Without them, each tab is on its own.
    if (!navigator.locks) return this.#begin();
    this.#channel = new BroadcastChannel(this.name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    document.addEventListener("visibilitychange", () => this.#look(), { signal: this.#stop.signal });
    this.#contend(take);
    if (!take) this.#hello();
  }

  /** Gives everything up, so that another tab may lead. It may be started again. */
  stop() {
    this.#stop.abort();
    this.#contest.abort();
    clearTimeout(this.#patience);
    this.#yield();
    this.#forget();
    this.#channel?.close();
    this.#channel = null;
  }

  /** @param {TransportName} transport */
  switchTo(transport) {
    if (this.#connection) this.#connection.switchTo(transport);
    else this.#say({ type: "switch", transport });
  }

  retryNow() {
    if (this.#connection) this.#connection.retryNow();
    else this.#say({ type: "retry" });
  }

  /** Holds the connection from now on. */
  take() {
    if (!this.#connection && this.#channel) this.#contend(true);
  }

  /** Fails with {@link Unanswered} if no reply comes.
   * @param {Command} command
   * @returns {Promise<Reply>} */
  send(command) {
    if (this.#connection) return this.#connection.send(command);
    this.#requests += 1;
    const id = this.#requests;
    return new Promise((resolve, reject) => {
      const settle = (/** @type {Reply | null} */ reply) => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        if (reply) resolve(reply);
        else reject(new Unanswered());
      };
      const timer = setTimeout(settle, REPLY_TIMEOUT_MS, null);
      this.#waiting.set(id, settle);
      this.#say({ type: "request", from: this.#tab, id, command });
    });
  }

  /** Tells the other tabs something that no server needs to know. @param {unknown} note */
  tell(note) {
    this.#say({ type: "note", note });
  }

  // ---- which tab leads

  /** Waits for the lock, or takes it away from its holder.
   * @param {boolean} take */
  #contend(take) {
    this.#contest.abort();
    const contest = new AbortController();
    this.#contest = contest;
    const hold = () => {
      if (contest.signal.aborted) return;
      this.#begin();
      return new Promise((resolve) => (this.#release = () => resolve(undefined)));
    };
    navigator.locks.request(this.name, take ? { steal: true } : { signal: contest.signal }, hold).catch(() => {
      // If another tab took the lock, this one listens, and waits for its turn again.
      if (contest !== this.#contest || this.#stop.signal.aborted) return;
      this.#yield();
      this.client.onStatus(this.status);
      this.#contend(false);
    });
  }

  /** Leads from now on, from this tab's place. */
  #begin() {
    clearTimeout(this.#patience);
    this.#forget();
    const { transport } = this.status;
    this.#lead = { ...this.#lead, leader: this.#tab, count: 0 };
    const connection = new Connection(this.servers, transport, {
      loadSnapshot: this.client.loadSnapshot,
      answers: this.client.answers,
      onSnapshot: (snapshot) => {
        this.client.onSnapshot(snapshot);
        this.#lead = { ...this.#lead, cursor: snapshot.cursor };
        this.#say({ type: "snapshot", to: null, snapshot, ...this.#lead });
      },
      onEvent: (event) => {
        this.client.onEvent(event);
        this.#count(event);
        this.#say({ type: "event", event, ...this.#lead });
      },
      onStatus: (status) => {
        if (connection !== this.#connection) return;
        this.#set({ ...status, leading: true });
        this.#say({ type: "status", status, ...this.#lead });
      },
      onRecord: this.client.onRecord,
    });
    connection.status = { ...connection.status, avoided: this.status.avoided, lostAt: this.status.lostAt ?? Date.now() };
    this.#connection = connection;
    connection.start(this.#lead.cursor);
  }

  /** Leads no longer. */
  #yield() {
    this.#connection?.stop();
    this.#connection = null;
    this.#release();
    this.status = { ...this.status, leading: false };
  }

  /** Asks the leading tab for a sign of life, and for a snapshot if this one has none yet. */
  #hello() {
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => this.take(), ANSWER_MS);
    this.#say({ type: "hello", from: this.#tab, fresh: this.#lead.cursor === null });
  }

  #look() {
    if (!document.hidden && !this.#connection) this.#hello();
  }

  // ---- what the tabs say

  /** @param {TabMessage} message */
  #say(message) {
    this.#channel?.postMessage(message);
  }

  /** @param {TabMessage} message */
  #hear(message) {
    if (message.type === "note") return this.client.onNote(message.note);
    if (this.#connection) this.#serve(this.#connection, message);
    else if ("leader" in message) this.#listen(message);
    else if (message.type === "reply" && message.to === this.#tab) this.#waiting.get(message.id)?.(message.reply);
  }

  /** What the leading tab does for the others.
   * @param {Connection} connection @param {TabMessage} message */
  #serve(connection, message) {
    switch (message.type) {
      case "hello": {
        const { cursor } = this.#lead;
        this.#say({ type: "here", to: message.from, hidden: document.hidden, ...this.#lead });
        if (message.fresh && cursor !== null) {
          this.#say({ type: "snapshot", to: message.from, snapshot: this.client.snapshot(cursor), ...this.#lead });
        }
        return this.#say({ type: "status", status: connection.status, ...this.#lead });
      }
      case "request": {
        const { from: to, id } = message;
        const answer = (/** @type {Reply | null} */ reply) => this.#say({ type: "reply", to, id, reply });
        return void connection.send(message.command).then(answer, () => answer(null));
      }
      case "switch":
        return connection.switchTo(message.transport);
      case "retry":
        return connection.retryNow();
    }
  }

  /** How the other tabs follow the leading one.
   * @param {Extract<TabMessage, Lead>} message */
  #listen(message) {
    const known = this.#lead;
    if (message.type === "here") {
      if (message.to !== this.#tab) return;
      clearTimeout(this.#patience);
      if (message.hidden && !document.hidden) this.take();
      return;
    }
    if (message.type === "snapshot") {
      if (message.to !== null && message.to !== this.#tab) return;
      this.#lead = { leader: message.leader, cursor: message.cursor, count: message.count };
      return this.client.onSnapshot(message.snapshot);
    }
    if (message.leader !== known.leader) {
      // The former leader will not answer any more. The new one goes on from its own place.
      this.#forget();
      const same = message.type === "status" && message.cursor === known.cursor;
      this.#lead = { leader: message.leader, cursor: same ? known.cursor : null, count: message.count };
      if (!same) this.#hello();
    }
    if (message.type === "status") return this.#set({ ...message.status, leading: false });
    if (this.#lead.cursor === null) return;
    if (message.count !== this.#lead.count + 1) {
      this.#lead = { ...this.#lead, cursor: null };
      return this.#hello();
    }
    this.#count(message.event);
    this.client.onEvent(message.event);
  }

  /** @param {LoggedEvent | PassingEvent} event */
  #count(event) {
    const { leader, cursor, count } = this.#lead;
    this.#lead = { leader, cursor: "id" in event ? event.id : cursor, count: count + 1 };
  }

  /** Fails all that this tab has asked for: no reply will come. */
  #forget() {
    for (const settle of [...this.#waiting.values()]) settle(null);
  }

  /** @param {SharedStatus} status */
  #set(status) {
    this.status = status;
    this.client.onStatus(status);
  }
}
