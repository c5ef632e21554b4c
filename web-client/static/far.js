/**
 * The blocks of messages that are far from the reader: they are not laid out, and keep the height that they had.
 *
 * `content-visibility` says the same in one line of CSS. But whenever a block begins or ceases to be skipped, or goes,
 * Chromium walks through all the others, as for `contain: style`: up to 20 ms where there are 10,000 messages.
 * Loaded late.
 */

/** What is this close to the part in sight is laid out before it comes into sight, and can be found by the browser. */
const NEARBY = "1500px 0px";

export class Far {
  /** Tells which blocks are far from the reader.
   * @type {IntersectionObserver | null} */
  #near = null;
  /** @type {WeakSet<Element>} */
  #known = new WeakSet();
  /** @type {Element | null} */
  #watched = null;

  /** @param {{before: () => void, hold: () => void}} scroll what keeps the reader in place */
  constructor(scroll) {
    this.scroll = scroll;
  }

  /** Takes care of the blocks of a list. @param {Element} list @param {Element[]} blocks */
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

  /** @param {IntersectionObserverEntry[]} entries */
  #setAside(entries) {
    this.scroll.before();
    for (const { target, isIntersecting, boundingClientRect } of entries) {
      const block = /** @type {HTMLElement} */ (target);
      block.style.blockSize = isIntersecting ? "" : `${boundingClientRect.height}px`;
      block.classList.toggle("far", !isIntersecting);
    }
    // In a narrower window it has another height than it had.
    this.scroll.hold();
  }
}
