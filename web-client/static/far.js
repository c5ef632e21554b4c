/**
 * Messages that are far from the reader: they are not laid out, and many of them are dropped.
 *
 * A block of messages that is not laid out keeps the height that it had.
 * `content-visibility` does the same in one line of CSS. But whenever a block is skipped, shown again or removed,
 * Chromium walks through all others, as for `contain: style`. With 10,000 messages, this takes up to 20 ms.
 * Loaded late.
 */

import { change } from "./model.js";
import { whenIdle } from "./deferred.js";

/** @import { Page } from "./page.js" */
/** @import { State } from "./types.js" */

/** How many messages of a conversation stay loaded while its reader is at the bottom. */
const MOST = 600;
/** How many are dropped at once: a user would notice the removal of thousands. */
const STEP = 50;
/** Messages this close to the visible part are laid out already, and the browser's search finds them. */
const NEARBY = "1500px 0px";

export class Far {
  /** Tells which blocks are far from the reader.
   * @type {IntersectionObserver | null} */
  #near = null;
  /** @type {WeakSet<Element>} */
  #known = new WeakSet();
  /** @type {Element | null} */
  #watched = null;
  #willTrim = false;

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
  }

  /** Watches the blocks of a list. @param {Element} list @param {Element[]} blocks */
  watch(list, blocks) {
    if (list !== this.#watched) {
      this.#near?.disconnect();
      this.#near = new IntersectionObserver((entries) => this.#setAside(entries), { root: list, rootMargin: NEARBY });
      this.#known = new WeakSet();
      this.#watched = list;
    }
    for (const block of blocks) {
      if (!this.#known.has(block)) this.#near?.observe(block);
      this.#known.add(block);
    }
  }

  /** Drops some of the messages far above a reader at the bottom; the server still has them.
   * Never in the frame that paints a message. @param {string} id */
  trimSoon(id) {
    const count = () => this.page.chat.state.conversations.get(id)?.messages.length ?? 0;
    if (this.#willTrim || count() <= MOST) return;
    this.#willTrim = true;
    whenIdle(() => {
      this.#willTrim = false;
      const { chat, scroll, opened } = this.page;
      if (opened.conversation?.id !== id || !scroll.sticking || count() <= MOST) return;
      chat.set(trimmed(chat.state, id, Math.max(MOST / 2, count() - STEP)));
    });
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #setAside(entries) {
    const { scroll } = this.page;
    scroll.before();
    for (const { target, isIntersecting, boundingClientRect } of entries) {
      const block = /** @type {HTMLElement} */ (target);
      block.style.blockSize = isIntersecting ? "" : `${boundingClientRect.height}px`;
      block.classList.toggle("far", !isIntersecting);
    }
    // In a window of another width, a block has another height.
    scroll.hold();
  }
}

/** Keeps only the newest messages; those before them can be loaded again.
 * @param {State} state @param {string} conversationId @param {number} count @returns {State} */
export function trimmed(state, conversationId, count) {
  return change(state, conversationId, ({ messages, notes, history }) => {
    if (messages.length <= count || history === "loading") return {};
    const kept = messages.slice(-count);
    const stillNear = notes.filter(({ after }) => after >= kept[0].seq);
    return { messages: kept, notes: stillNear, history: /** @type {const} */ ("more") };
  });
}
