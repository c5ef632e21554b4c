/**
 * Where the reader stands in the list of messages, and how they stay there.
 *
 * At the bottom, new messages keep them at the bottom; further up, nothing that is added above or below moves them.
 */

/** This close to the bottom counts as being there. */
const NEAR_PX = 40;
/** This close to the top, older messages are read. */
const TOP_PX = 300;
/** What is this close to the part in sight is laid out before it comes into sight, and can be found by the browser. */
const NEARBY = "1500px 0px";

export class Scroll {
  /** Whether the reader is at the bottom. */
  sticking = true;
  /** Whether a conversation was opened and has not been put in place yet. */
  #opening = true;
  /** The topmost message in sight, and where it ended before it was drawn anew. Its beginning is of no use: the day
   * that stands above a first message goes when it is the first no more.
   * @type {{message: Element, bottom: number} | null} */
  #anchor = null;
  /** Tells which blocks of messages are far from the reader.
   * @type {IntersectionObserver | null} */
  #near = null;
  /** @type {WeakSet<Element>} */
  #known = new WeakSet();
  /** @type {Element | null} */
  #watched = null;
  #resized = new ResizeObserver(() => this.sticking && this.toBottom());

  /**
   * @param {object} page
   * @param {() => void} page.onMove the reader has come to the bottom or left it
   * @param {() => void} page.onTop
   * @param {AbortSignal} page.signal until when
   */
  constructor({ onMove, onTop, signal }) {
    // A scroll event does not bubble, but it can be caught on its way down.
    const onScroll = (/** @type {Event} */ event) => {
      const list = this.#list;
      if (!list || event.target !== list) return;
      const sticking = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_PX;
      if (sticking !== this.sticking) {
        this.sticking = sticking;
        onMove();
      }
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
    const list = this.#list;
    this.#anchor = list && !this.sticking ? topmost(list) : null;
  }

  /** Puts the reader where they were.
   * @param {boolean} settled whether the conversation's messages have been read */
  after(settled) {
    const list = this.#list;
    if (!list) return;
    this.#watch(list);
    for (const block of blocksOf(list)) {
      if (!this.#known.has(block)) this.#near?.observe(block);
      this.#known.add(block);
    }
    if (this.#opening) {
      this.#opening = !settled;
      const divider = list.querySelector(".divider");
      if (divider) divider.scrollIntoView({ block: "center" });
      else this.toBottom();
    } else if (this.sticking) {
      this.toBottom();
    } else {
      this.#hold(list);
    }
  }

  toBottom() {
    const list = this.#list;
    if (list) list.scrollTop = list.scrollHeight;
  }

  /** Whether the reader is so far up that older messages should be read. */
  get nearTop() {
    const list = this.#list;
    return list !== null && list.scrollTop < TOP_PX;
  }

  get #list() {
    return document.getElementById("messages");
  }

  /** @param {Element} list */
  #watch(list) {
    if (list === this.#watched) return;
    this.#resized.disconnect();
    this.#resized.observe(list);
    this.#near?.disconnect();
    this.#near = new IntersectionObserver((entries) => this.#setAside(entries), { root: list, rootMargin: NEARBY });
    this.#known = new WeakSet();
    this.#watched = list;
  }

  /** What is far from the reader is not laid out, and keeps the height that it had.
   * `content-visibility` says the same in one line of CSS. But whenever a block begins or ceases to be skipped, or goes,
   * Chromium walks through all the others, as for `contain: style`: up to 20 ms where there are 10,000 messages.
   * @param {IntersectionObserverEntry[]} entries */
  #setAside(entries) {
    this.before();
    for (const { target, isIntersecting, boundingClientRect } of entries) {
      const block = /** @type {HTMLElement} */ (target);
      block.style.blockSize = isIntersecting ? "" : `${boundingClientRect.height}px`;
      block.classList.toggle("far", !isIntersecting);
    }
    // In a narrower window it has another height than it had.
    if (this.#watched && !this.sticking) this.#hold(this.#watched);
  }

  /** Puts the topmost message in sight back to where it was noted. @param {Element} list */
  #hold(list) {
    if (!this.#anchor?.message.isConnected) return;
    const moved = this.#anchor.message.getBoundingClientRect().bottom - this.#anchor.bottom;
    if (moved !== 0) list.scrollTop += moved;
  }
}

/** They are looked up as children: to search the list would mean to look at each of thousands of messages.
 * @param {Element} list */
function blocksOf(list) {
  return [...(list.querySelector(".messages")?.children ?? [])];
}

/** @param {Element} list */
function topmost(list) {
  const { top } = list.getBoundingClientRect();
  const below = (/** @type {Element} */ one) => one.getBoundingClientRect().bottom > top;
  const block = blocksOf(list).find(below);
  const message = block && [...block.children].find(below);
  return message ? { message, bottom: message.getBoundingClientRect().bottom } : null;
}
