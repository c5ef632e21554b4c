/**
 * The chat of one signed-in user: the state, the connection that updates it, and the outbox.
 *
 * It knows no element of the page. The page calls its methods, and gets a callback on each change.
 */

import * as api from "./api.js";
import { DAMAGED } from "./codes.js";
import * as model from "./model.js";
import { Outbox } from "./outbox.js";
import { SharedConnection } from "./shared.js";
import { Wire } from "./wire.js";

/** @import { LoggedEvent, PassingEvent, ServerAddress } from "./protocol.js" */
/** @import { Snapshot, To, TransportName, User } from "./protocol.js" */
/** @import { Page, SharedStatus as Status, State } from "./types.js" */

/** How many messages of history a request asks for: normally, and at most if many are unread. */
const PAGE = 50;
const LARGEST_PAGE = 200;
/** At most this many messages are loaded to open a conversation where its reader stopped. */
export const MAX_UNREAD = 2_000;
/** The least time between two typing notices. */
const TYPING_EVERY_MS = 3_000;

export class Chat {
  #typingAt = 0;
  #wasLive = false;
  /** Presence events since the users were last read.
   * @type {PassingEvent[]} */
  #presence = [];

  /**
   * @param {User} me
   * @param {ServerAddress[]} servers
   * @param {TransportName} transport
   * @param {Page} page
   */
  constructor(me, servers, transport, page) {
    this.page = page;
    this.state = model.empty(me);
    /** Whether a first snapshot has come. */
    this.loaded = false;
    this.wire = new Wire();
    this.connection = new SharedConnection(me.id, servers, transport, {
      loadSnapshot: api.snapshot,
      snapshot: (cursor) => model.toSnapshot(this.state, cursor),
      onSnapshot: (snapshot) => this.#start(snapshot),
      onEvent: (event) => this.#apply(event),
      onStatus: (status) => this.#follow(status),
      onNote: (note) => this.outbox.adopt(note),
      onRecord: (record) => this.wire.add(this.connection.status.transport, record),
    });
    this.outbox = new Outbox({
      storage: localStorage,
      user: me.id,
      send: (command) => this.connection.send(command),
      onSent: ({ cid, text, to }, { conversation, seq, at }) => {
        this.state = model.withSent(this.state, { conversation, seq, at, cid, text, from: me.id }, to);
      },
      onChange: () => page.onChange(),
      share: (change) => this.connection.tell(change),
    });
  }

  /** Starts, or goes on where it stopped. @param {boolean} [take] whether this tab is to hold the connection */
  start(take) {
    this.connection.start(take);
  }

  stop() {
    this.connection.stop();
    this.outbox.setReady(false);
  }

  /** Shows a message at once and sends it as soon as it can. @param {To} to @param {string} text */
  say(to, text) {
    this.#typingAt = 0;
    return this.outbox.add(to, text);
  }

  /** Counts messages as read, on this page. @param {string} id @param {number} seq of the last of them */
  read(id, seq) {
    this.set(model.read(this.state, id, seq));
  }

  /** Tells the others that this user is writing; called for each key, but sent less often.
   * @param {string} conversation */
  typing(conversation) {
    const now = Date.now();
    if (now - this.#typingAt < TYPING_EVERY_MS) return;
    this.#typingAt = now;
    // Nothing depends on it, so a failure is ignored.
    this.connection.send({ type: "typing", conversation }).catch(() => {});
  }

  /** Loads older messages, or the newest if none are loaded. Does nothing while a load is under way.
   * @param {string} id */
  async loadOlder(id) {
    const conversation = this.state.conversations.get(id);
    if (!conversation || !["unknown", "more"].includes(conversation.history)) return;
    const newest = conversation.history === "unknown";
    const before = newest ? undefined : conversation.messages[0]?.seq;
    const wanted = (before ?? conversation.lastSeq + 1) - conversation.readSeq + PAGE / 2;
    const limit = Math.min(LARGEST_PAGE, Math.max(PAGE, wanted));
    this.set(model.withHistory(this.state, id, "loading"));
    try {
      const page = await api.messages(id, { before, limit });
      // A snapshot that came in the meantime has made the answer stale.
      if (this.state.conversations.get(id)?.history !== "loading") return;
      this.set((newest ? model.withNewest : model.withPage)(this.state, id, page));
    } catch (error) {
      const damaged = /** @type {api.ApiError} */ (error).code === DAMAGED;
      // The next draw of this conversation asks again; the banner says what is wrong.
      const look = () => this.set(model.withHistory(this.state, id, damaged ? "damaged" : conversation.history));
      setTimeout(look, damaged ? 0 : 1_000);
    }
  }

  /** @param {Snapshot} snapshot */
  #start(snapshot) {
    if (snapshot.me.id !== this.state.me.id) return this.page.onOtherUser(snapshot.me);
    this.loaded = true;
    this.set(model.fromSnapshot(snapshot, this.state));
    this.page.onSnapshot();
  }

  /** @param {LoggedEvent | PassingEvent} event */
  #apply(event) {
    const before = this.state;
    this.set(model.apply(before, event, Date.now()));
    if (this.state === before) return;
    const { me } = this.state;
    if (event.type === "message" && event.from === me.id) this.outbox.remove(event.cid);
    if (event.type === "presence" && event.refetch) void this.#readUsers();
    else if (event.type === "presence") this.#presence.push(event);
    this.page.onEvent(event);
  }

  /** @param {Status} status */
  #follow(status) {
    this.outbox?.setReady(status.state === "live" && status.leading);
    const isLive = status.state === "live";
    // The log does not hold who came and went meanwhile.
    if (isLive && !this.#wasLive && this.loaded) void this.#readUsers();
    this.#wasLive = isLive;
    this.page.onChange();
  }

  async #readUsers() {
    this.#presence = [];
    const users = await api.users().catch(() => null);
    if (!users) return;
    // Events that came before the answer may still be newer than it.
    this.set(this.#presence.reduce((state, event) => model.apply(state, event, 0), model.withUsers(this.state, users)));
  }

  /** @param {State} state */
  set(state) {
    this.state = state;
    this.page.onChange();
  }
}
