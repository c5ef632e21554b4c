/**
 * What this page's JavaScript sees of its transport, remembered for a while and in bounds.
 */

/** @import { TransportName } from "./protocol.js" */
/** @import { Seen, Sight } from "./types.js" */

/** How much is remembered; what is older is forgotten. */
const MAX_SIGHTS = 500;
/** A longer text is shown by its beginning; its size is that of the whole. */
const MAX_TEXT = 2_000;

const encoder = new TextEncoder();

export class Wire {
  /** @type {Seen[]} */
  seen = [];
  count = 0;
  /** Whoever looks at it now. */
  onSight = () => {};

  /** @param {TransportName} over @param {Sight} sight */
  add(over, sight) {
    const text = sight.text ?? "";
    const bytes = encoder.encode(text).length;
    this.count += 1;
    this.seen.push({ ...sight, over, bytes, text: text.slice(0, MAX_TEXT), number: this.count, at: Date.now() });
    if (this.seen.length > MAX_SIGHTS) this.seen.splice(0, this.seen.length - MAX_SIGHTS);
    this.onSight();
  }

  clear() {
    this.seen = [];
    this.onSight();
  }
}
