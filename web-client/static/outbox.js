/**
 * The messages that a user has written and the server has not acknowledged yet.
 *
 * Each keeps its `cid` through every attempt, so an attempt with an unknown outcome can be repeated:
 * the server stores one message for all attempts.
 * They are kept in the browser's storage, one item each, and survive a reload.
 * All tabs show the same. The tab that holds the connection sends for all, to keep the order of writing.
 */

import { Backoff } from "./backoff.js";
import { DAMAGED } from "./codes.js";

/** @import { Refusal, Sent, To } from "./protocol.js" */
/** @import { Change, Entry, Surroundings } from "./types.js" */

/** After this long without an acknowledgement, the user may retry or discard a message. */
export const PATIENCE_MS = 10_000;
/** Refusals for a passing reason; after `storage_unavailable`, the message may even be stored. */
const PASSING_REFUSALS = new Set([
  "busy",
  "internal",
  "rate_limited",
  "shutting_down",
  "storage_unavailable",
  "unauthenticated",
]);

/**
 * A name for one message, made before the first attempt to send it and kept through all others.
 * The server stores one message for all attempts with the same name.
 */
export function newCid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** An address as one text, so that addresses can be compared.
 * @param {To} to */
export function addressKey(to) {
  return "user" in to ? `user ${to.user}` : `conversation ${to.conversation}`;
}

/** What to send now: each conversation's first message that has not failed, unless it is under way or must wait.
 * With one at a time, the server gets them in the order of writing.
 * @param {readonly Entry[]} entries
 * @param {number} now
 * @returns {Entry[]} */
export function due(entries, now) {
  /** @type {Map<string, Entry>} */
  const first = new Map();
  for (const entry of entries) {
    const key = addressKey(entry.to);
    if (entry.state !== "failed" && !first.has(key)) first.set(key, entry);
  }
  return [...first.values()].filter(({ state, notBefore }) => state === "queued" && notBefore <= now);
}

export class Outbox {
  /** @type {readonly Entry[]} */
  entries = [];
  #ready = false;
  /** What this tab itself is sending at this moment.
   * @type {Set<string>} */
  #underWay = new Set();

  /** @param {Surroundings} surroundings */
  constructor({
    storage,
    user,
    send,
    onSent,
    onChange,
    share = () => {},
    now = Date.now,
    later = (run, ms) => void setTimeout(run, ms),
    backoff = new Backoff(),
  }) {
    this.storage = storage;
    this.prefix = `switchboard.outbox.${user}.`;
    this.send = send;
    this.onSent = onSent;
    this.onChange = onChange;
    this.share = share;
    this.now = now;
    this.later = later;
    this.backoff = backoff;
    this.entries = this.#stored();
  }

  /** What waits to go to one conversation. @param {string | null} key its address as one text */
  of(key) {
    return this.entries.filter(({ to }) => addressKey(to) === key);
  }

  /** Adds a message, and sends it as soon as it can. @param {To} to @param {string} text */
  add(to, text) {
    const now = this.now();
    /** @type {Entry} */
    const entry = {
      cid: newCid(),
      to,
      text,
      at: new Date(now).toISOString(),
      order: (this.entries.at(-1)?.order ?? 0) + 1,
      state: "queued",
      refusal: null,
      notBefore: 0,
      since: now,
    };
    this.entries = [...this.entries, entry];
    this.#store(entry);
    this.onChange();
    this.#flush();
    return entry.cid;
  }

  /** Whether this tab holds a connection. When it gets one, it retries at once what had no answer, and what another
   * tab was sending.
   * @param {boolean} ready */
  setReady(ready) {
    if (this.#ready === ready) return;
    this.#ready = ready;
    if (!ready) return;
    this.entries = this.entries.map((entry) => {
      const state = entry.state === "sending" && !this.#underWay.has(entry.cid) ? "queued" : entry.state;
      return entry.refusal ? { ...entry, state } : { ...entry, state, notBefore: 0 };
    });
    this.#flush();
  }

  /** Takes over what another tab did with a message. @param {Change} change */
  adopt({ cid, entry, sent }) {
    const known = this.entries.find((one) => one.cid === cid);
    if (entry === null) {
      if (known && sent) this.onSent(known, sent);
      this.entries = this.entries.filter((one) => one.cid !== cid);
    } else if (this.#underWay.has(cid)) {
      return;
    } else if (known) {
      this.entries = this.entries.map((one) => (one.cid === cid ? entry : one));
    } else {
      this.entries = [...this.entries, entry].sort((a, b) => a.order - b.order);
    }
    this.onChange();
    this.#flush();
  }

  /** Tries again, at once. @param {string} cid */
  retry(cid) {
    const entry = this.entries.find((one) => one.cid === cid);
    if (!entry) return;
    const state = entry.state === "sending" ? "sending" : "queued";
    this.#change(cid, { state, refusal: null, notBefore: 0, since: this.now() });
    this.#flush();
  }

  /** Forgets a message: it was discarded, or it is stored.
   * @param {string} cid @param {Sent} [sent] */
  remove(cid, sent) {
    if (!this.entries.some((entry) => entry.cid === cid)) return;
    this.entries = this.entries.filter((entry) => entry.cid !== cid);
    this.storage.removeItem(this.prefix + cid);
    this.share({ cid, entry: null, sent });
    this.onChange();
    this.#flush();
  }

  #flush() {
    if (!this.#ready) return;
    for (const entry of due(this.entries, this.now())) void this.#attempt(entry);
  }

  /** @param {Entry} entry */
  async #attempt(entry) {
    const { cid, to, text } = entry;
    this.#underWay.add(cid);
    this.#change(cid, { state: "sending" });
    const reply = await this.send({ type: "send", to, cid, text }).catch(() => null);
    this.#underWay.delete(cid);
    if (reply?.ok?.type === "sent") {
      this.backoff.reset();
      this.onSent(entry, reply.ok);
      this.remove(cid, reply.ok);
    } else if (reply?.refusal && !isPassing(reply.refusal)) {
      this.#change(cid, { state: "failed", refusal: reply.refusal });
    } else {
      const wait = reply?.refusal?.retry_after_ms ?? this.backoff.next();
      this.#change(cid, { state: "queued", refusal: reply?.refusal ?? null, notBefore: this.now() + wait });
      this.later(() => this.#flush(), wait);
    }
    this.#flush();
  }

  /** @param {string} cid @param {Partial<Entry>} change */
  #change(cid, change) {
    this.entries = this.entries.map((entry) => (entry.cid === cid ? { ...entry, ...change } : entry));
    const entry = this.entries.find((one) => one.cid === cid);
    if (entry) this.#store(entry);
    this.onChange();
  }

  /** @param {Entry} entry */
  #store(entry) {
    this.share({ cid: entry.cid, entry });
    try {
      this.storage.setItem(this.prefix + entry.cid, JSON.stringify(entry));
    } catch {
      // The storage is full: the message is still sent, but would not survive a reload.
    }
  }

  /** What an earlier page left behind. Whether its last attempt arrived is unknown, so it is made again.
   * @returns {Entry[]} */
  #stored() {
    const keys = Array.from({ length: this.storage.length }, (_, index) => this.storage.key(index) ?? "");
    return keys
      .filter((key) => key.startsWith(this.prefix))
      .map((key) => /** @type {Entry} */ (JSON.parse(this.storage.getItem(key) ?? "")))
      .map((entry) => (entry.state === "sending" ? { ...entry, state: /** @type {const} */ ("queued") } : entry))
      .map((entry) => ({ ...entry, notBefore: 0, since: this.now() }))
      .sort((a, b) => a.order - b.order);
  }
}

/** Whether the same request may succeed later. Its outcome may be unknown, so it must not change.
 * @param {Refusal} refusal */
export function isPassing({ code, retry_after_ms: wait }) {
  return code !== DAMAGED && (typeof wait === "number" || PASSING_REFUSALS.has(code));
}
