/**
 * Tells the server what the reader has seen. What has not been in sight stays unread.
 *
 * Loaded late.
 */

import { isPassing } from "./outbox.js";
import { blocksOf, seqOf } from "./scroll.js";
import { reachesUnread } from "./selectors.js";

/** @import { Page } from "./page.js" */
/** @import { LoggedEvent, PassingEvent } from "./protocol.js" */
/** @import { Conversation } from "./types.js" */

/** The least time between two read marks of a conversation: not each of twenty messages a second needs its own. */
const MARK_EVERY_MS = 1_000;

export class Reading {
  /** How far the server knows each conversation to be read, and when this page told it last.
   * @type {Map<string, {seq: number, at: number}>} */
  #marked = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #later;

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
  }

  stop() {
    clearTimeout(this.#later);
  }

  /** A snapshot has replaced the state: its read marks count now. */
  forget() {
    this.#marked.clear();
  }

  /** Another page of this user may have told the server. @param {LoggedEvent | PassingEvent} event */
  hear(event) {
    if (event.type === "read") this.#raise(event.conversation, event.seq);
  }

  /** Counts as read what is in sight, and no more. */
  see() {
    const { page } = this;
    const { conversation: open, key } = page.opened;
    const { list, sticking } = page.scroll;
    if (!open || !list || key !== page.ui.open || document.visibilityState === "hidden" || !page.isSettled(open)) return;
    // If there are too many unread messages to load, none counts as read until the reader is at the bottom.
    if (sticking || reachesUnread(open, open.readSeq)) this.#mark(open, lastSeen(list));
  }

  /** @param {Conversation} conversation @param {number} seen */
  #mark({ id, readSeq: before, messages }, seen) {
    const { chat } = this.page;
    const seq = Math.max(before, seen);
    if (!this.#marked.has(id)) this.#marked.set(id, { seq: before, at: 0 });
    if (before < seq) chat.read(id, seq);
    // The server itself marks what this user writes.
    if (this.#known(id).seq < seq) this.#raise(id, messages.findLast(({ from }) => from === chat.state.me.id)?.seq ?? 0);
    const known = this.#known(id);
    if (known.seq >= seq || chat.connection.status.state !== "live") return;
    const now = Date.now();
    const wait = known.at + MARK_EVERY_MS - now;
    if (wait > 0) return this.#lookLater(wait);
    this.#marked.set(id, { seq, at: now });
    // A mark whose outcome is unknown is sent again.
    const again = () => {
      this.#marked.set(id, { ...known, at: now });
      this.#lookLater(MARK_EVERY_MS);
    };
    const asked = chat.connection.send({ type: "mark_read", conversation: id, seq });
    asked.then(({ refusal }) => refusal && isPassing(refusal) && again(), again);
  }

  /** @param {string} id */
  #known(id) {
    return this.#marked.get(id) ?? { seq: 0, at: 0 };
  }

  /** @param {string} id @param {number} seq */
  #raise(id, seq) {
    const known = this.#marked.get(id);
    if (known && known.seq < seq) this.#marked.set(id, { ...known, seq });
  }

  /** @param {number} ms */
  #lookLater(ms) {
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.see(), ms);
  }
}

/** The seq of the last message that has been in sight to its end; 0 if there is none.
 * @param {Element} list */
function lastSeen(list) {
  const edge = list.getBoundingClientRect().bottom + 1;
  const isAbove = (/** @type {Element} */ one) => one.getBoundingClientRect().bottom <= edge;
  for (const block of blocksOf(list).reverse()) {
    // Messages that are not laid out have no place of their own.
    const isFar = block.classList.contains("far");
    const all = isFar && !isAbove(block) ? [] : [...block.children];
    const last = all.findLast((one) => seqOf(one) > 0 && (isFar || isAbove(one)));
    if (last) return seqOf(last);
  }
  return 0;
}
