/**
 * What this page's JavaScript sees of its transport: the newest records, up to a limit.
 */

/** @import { TransportName } from "./protocol.js" */
/** @import { Seen, WireRecord } from "./types.js" */

/** How many records are kept; older ones are dropped. */
const MAX_SIGHTS = 500;
/** A longer text is cut to this length. */
const MAX_TEXT = 2_000;

export class Wire {
  /** @type {Seen[]} */
  seen = [];
  count = 0;
  /** Called at each change. */
  onRecord = () => {};

  /** @param {TransportName} over @param {WireRecord} record */
  add(over, record) {
    const text = (record.text ?? "").slice(0, MAX_TEXT);
    this.count += 1;
    this.seen.push({ ...record, over, text, number: this.count, at: Date.now() });
    if (this.seen.length > MAX_SIGHTS) this.seen.splice(0, this.seen.length - MAX_SIGHTS);
    this.onRecord();
  }

  clear() {
    this.seen = [];
    this.onRecord();
  }
}
