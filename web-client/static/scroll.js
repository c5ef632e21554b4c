/**
 * Where the reader stands in the list of messages, and how they stay there.
 *
 * At the bottom, new messages keep them at the bottom, but never push out of sight the first one that they missed.
 * Further up, nothing that is added above or below moves them.
 */

/** This close to the bottom counts as being there. */
const NEAR_PX = 40;
/** This close to the top, older messages are read. */
const TOP_PX = 300;
/** How much of what was read before stays in sight above the first unread message: this part of the list's height. */
const CONTEXT = 0.2;

export class Scroll {
  /** Whether the reader is at the bottom. */
  sticking = true;
  /** What takes care of the blocks that are far from the reader, once it is loaded.
   * @type {import("./far.js").Far | undefined} */
  far;
  /** After which message the reader missed something. */
  #readSeq = Infinity;
  /** Whether a conversation was opened and has not been put in place yet. */
  #opening = true;
  /** The topmost message in sight, and where it ended before the list was drawn. Where it began would not do: the
   * day above the first message goes with its place.
   * @type {{message: Element, bottom: number} | null} */
  #anchor = null;
  /** Where the list was when it last moved. */
  #top = 0;
  /** @type {Element | null} */
  #watched = null;
  #resized = new ResizeObserver(() => this.sticking && this.#watched && this.#follow(this.#watched));

  /**
   * @param {object} page
   * @param {(turned: boolean) => void} page.onMove the reader has scrolled, and `turned`: to the bottom or away from it
   * @param {() => void} page.onTop
   * @param {AbortSignal} page.signal until when
   */
  constructor({ onMove, onTop, signal }) {
    // A scroll event does not bubble, but it can be caught on its way down.
    const onScroll = (/** @type {Event} */ event) => {
      const list = this.list;
      if (!list || event.target !== list) return;
      const was = this.sticking;
      // A list that changes its height is not at its bottom for a moment: only who scrolls up leaves it.
      if (isAtBottom(list)) this.sticking = true;
      else if (list.scrollTop < this.#top) this.sticking = false;
      this.#top = list.scrollTop;
      onMove(this.sticking !== was);
      if (this.nearTop) onTop();
    };
    document.addEventListener("scroll", onScroll, { capture: true, signal });
  }

  /** The next thing drawn is another conversation. */
  open() {
    this.#opening = true;
    this.sticking = true;
  }

  /** Notes how things are before they are drawn anew. */
  before() {
    const list = this.list;
    this.#anchor = list && !this.sticking ? topmost(list) : null;
  }

  /** Puts the reader where they were.
   * @param {boolean} settled whether the conversation's messages have been read
   * @param {number} readSeq after which message they missed something; Infinity: they missed nothing */
  after(settled, readSeq) {
    const list = this.list;
    this.#readSeq = readSeq;
    if (!list) return;
    if (list !== this.#watched) {
      this.#resized.disconnect();
      this.#resized.observe(list);
      this.#watched = list;
    }
    this.far?.watch(list, blocksOf(list));
    if (this.#opening || this.sticking) this.#follow(list);
    else this.hold();
    if (settled) this.#opening = false;
  }

  /** Puts the topmost message in sight back to where it was noted. */
  hold() {
    if (!this.#watched || this.sticking || !this.#anchor?.message.isConnected) return;
    const moved = this.#anchor.message.getBoundingClientRect().bottom - this.#anchor.bottom;
    if (moved !== 0) this.#watched.scrollTop += moved;
    this.#top = this.#watched.scrollTop;
  }

  /** Keeps the reader at the bottom from now on, wherever they were. */
  stick() {
    this.sticking = true;
    this.toBottom();
  }

  toBottom() {
    this.list?.scrollTo(0, this.list.scrollHeight);
  }

  /** Whether the reader is so far up that older messages should be read. */
  get nearTop() {
    const list = this.list;
    return list !== null && list.scrollTop < TOP_PX;
  }

  get list() {
    return document.getElementById("messages");
  }

  /** Goes to the bottom, or as far as the first missed message lets it. @param {Element} list */
  #follow(list) {
    list.scrollTop = list.scrollHeight;
    const first = firstAfter(list, this.#readSeq);
    const hidden = first ? list.getBoundingClientRect().top - first.getBoundingClientRect().top : 0;
    if (hidden > 0) list.scrollTop -= hidden + list.clientHeight * CONTEXT;
    this.sticking = isAtBottom(list);
    this.#top = list.scrollTop;
  }
}

/** @param {Element} list */
const isAtBottom = (list) => list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_PX;

/** @param {Element} message */
export const seqOf = (message) => Number(/** @type {HTMLElement} */ (message).dataset.seq ?? 0);

/** Found as children: a search would look at each of thousands of messages. @param {Element} list */
export function blocksOf(list) {
  return [...(list.querySelector(".messages")?.children ?? [])];
}

/** The first message after a seq. @param {Element} list @param {number} readSeq */
function firstAfter(list, readSeq) {
  const isUnread = (/** @type {Element} */ one) => seqOf(one) > readSeq;
  /** @type {Element | undefined} */
  let first;
  // What is unread stands at the end.
  for (const block of blocksOf(list).reverse()) {
    const here = [...block.children].find(isUnread);
    if (!here) break;
    first = here;
  }
  return first;
}

/** @param {Element} list */
function topmost(list) {
  const { top } = list.getBoundingClientRect();
  const below = (/** @type {Element} */ one) => one.getBoundingClientRect().bottom > top;
  const block = blocksOf(list).find(below);
  const message = block && [...block.children].find(below);
  return message ? { message, bottom: message.getBoundingClientRect().bottom } : null;
}
