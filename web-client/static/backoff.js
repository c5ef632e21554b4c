/**
 * How long to wait before the next attempt: full jitter under a doubling ceiling.
 *
 * A server that comes back must not meet all its clients at once, so each draws its own wait.
 */

/** The ceiling of the first wait. */
export const BASE_MS = 500;
/** The ceiling that no later wait exceeds. */
export const CAP_MS = 15_000;
/** After a connection that lived this long, waiting starts from the base again. */
export const HEALTHY_MS = 10_000;
/** A loss that ends within this time is not shown. */
export const UNNOTICED_MS = 1_000;

export class Backoff {
  /** @param {() => number} random evenly from 0 to 1 */
  constructor(random = Math.random) {
    this.random = random;
    this.attempts = 0;
  }

  /** The next wait, in milliseconds. */
  next() {
    const ceiling = Math.min(CAP_MS, BASE_MS * 2 ** this.attempts);
    this.attempts += 1;
    return this.random() * ceiling;
  }

  reset() {
    this.attempts = 0;
  }
}
