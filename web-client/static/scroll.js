/**
 * Where the reader stands in the list of messages, and how they stay there.
 *
 * At the bottom, new messages keep them at the bottom; further up, nothing that is added above or below moves them.
 */

/** This close to the bottom counts as being there. */
const NEAR_PX = 40;
/** This close to the top, older messages are read. */
const TOP_PX = 300;

export class Scroll {
  /** Whether the reader is at the bottom. */
  sticking = true;
  /** Whether a conversation was opened and has not been put in place yet. */
  #opening = true;
  #height = 0;
  /** @type {string | undefined} */
  #first;
  /** @type {Element | null} */
  #watched = null;
  #resized = new ResizeObserver(() => this.sticking && this.toBottom());

  /** @param {() => void} onMove the reader has come to the bottom or left it @param {() => void} onTop */
  constructor(onMove, onTop) {
    // A scroll event does not bubble, but it can be caught on its way down.
    const onScroll = (/** @type {Event} */ event) => {
      const list = this.#list;
      if (!list || event.target !== list) return;
      const sticking = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_PX;
      if (sticking !== this.sticking) {
        this.sticking = sticking;
        onMove();
      }
      if (list.scrollTop < TOP_PX) onTop();
    };
    document.addEventListener("scroll", onScroll, true);
  }

  /** The next thing drawn is another conversation. */
  open() {
    this.#opening = true;
    this.sticking = true;
  }

  /** Notes how things are before they are drawn anew. */
  before() {
    this.#height = this.#list?.scrollHeight ?? 0;
  }

  /** Puts the reader where they were.
   * @param {string | undefined} first the key of the first message drawn
   * @param {boolean} settled whether the conversation's messages have been read */
  after(first, settled) {
    const list = this.#list;
    if (!list) return;
    this.#watch(list);
    const added = first !== this.#first;
    this.#first = first;
    if (this.#opening) {
      this.#opening = !settled;
      const divider = list.querySelector(".divider");
      if (divider) divider.scrollIntoView({ block: "center" });
      else this.toBottom();
    } else if (this.sticking) {
      this.toBottom();
    } else if (added) {
      list.scrollTop += list.scrollHeight - this.#height;
    }
  }

  toBottom() {
    const list = this.#list;
    if (list) list.scrollTop = list.scrollHeight;
  }

  /** Whether there is room for more above without scrolling. */
  get short() {
    const list = this.#list;
    return list !== null && list.scrollHeight <= list.clientHeight + TOP_PX;
  }

  get #list() {
    return document.getElementById("messages");
  }

  /** @param {Element} list */
  #watch(list) {
    if (list === this.#watched) return;
    this.#resized.disconnect();
    this.#resized.observe(list);
    this.#watched = list;
  }
}
