/**
 * Where the reader stands in the list of messages, and how they stay there.
 *
 * A reader at the bottom stays there when messages come, but the first message that they missed stays in sight.
 * Further up, nothing that is added above or below moves the reader.
 */

/** This close to the bottom counts as being there. */
const NEAR_PX = 40;
/** This close to the top, older messages are loaded. */
const TOP_PX = 300;
/** What part of the list's height stays above the first unread message, to show what was read before. */
const CONTEXT = 0.2;

export class Scroll {
  /** Whether the reader is at the bottom. */
  sticking = true;
  /** Handles the blocks that are far from the reader, once it is loaded.
   * @type {import("./far.js").Far | undefined} */
  far;
  /** The reader missed what came after this message. */
  #readSeq = Infinity;
  /** Whether a conversation was opened and has not been put in place yet. */
  #opening = true;
  /** The topmost message in sight, and where it ended before the draw. Its beginning may move: a message that is no
   * longer the first loses the day above it.
   * @type {{message: Element, bottom: number} | null} */
  #anchor = null;
  /** Where the list was when it last moved. */
  #top = 0;
  /** @type {Element | null} */
  #watched = null;
  #resized = new ResizeObserver(() => this.sticking && this.#watched && this.#follow(this.#watched));

  /**
   * @param {object} page
   * @param {(turned: boolean) => void} page.onMove the reader has scrolled; `turned`: to the bottom or away from it
   * @param {() => void} page.onTop
   * @param {AbortSignal} page.signal until when
   */
  constructor({ onMove, onTop, signal }) {
    // A scroll event does not bubble, but it can be captured.
    const onScroll = (/** @type {Event} */ event) => {
      const list = this.list;
      if (!list || event.target !== list) return;
      const was = this.sticking;
      // A list whose height changes is briefly not at its bottom, so only scrolling up leaves it.
      if (isAtBottom(list)) this.sticking = true;
      else if (list.scrollTop < this.#top) this.sticking = false;
      this.#top = list.scrollTop;
      onMove(this.sticking !== was);
      if (this.nearTop) onTop();
    };
    document.addEventListener("scroll", onScroll, { capture: true, signal });
  }

  /** The next draw shows another conversation. */
  open() {
    this.#opening = true;
    this.sticking = true;
  }

  /** Notes the reader's place before a draw. */
  before() {
    const list = this.list;
    this.#anchor = list && !this.sticking ? topmost(list) : null;
  }

  /** Puts the reader back where they were.
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

  /** Puts the topmost message in sight back to its noted place. */
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

  /** Whether the reader is so far up that older messages should be loaded. */
  get nearTop() {
    const list = this.list;
    return list !== null && list.scrollTop < TOP_PX;
  }

  get list() {
    return document.getElementById("messages");
  }

  /** Goes to the bottom, or until the first missed message is near the top. @param {Element} list */
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
  // Unread messages stand at the end.
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
