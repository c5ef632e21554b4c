/**
 * What a screen reader says about new messages: those that come in one pause are one announcement.
 *
 * The list of messages is not announced itself, or paging and catching up would be read aloud.
 * Loaded late.
 */

/** The least time between two announcements. */
const PAUSE_MS = 3_000;

export class Announcer {
  /** What is being said. */
  words = "";
  /** @type {{from: string, text: string}[]} */
  #waiting = [];
  #paused = false;

  /** @param {() => void} onChange @param {(run: () => void, ms: number) => void} [later] */
  constructor(onChange, later = (run, ms) => void setTimeout(run, ms)) {
    this.onChange = onChange;
    this.later = later;
  }

  /** A message has come. @param {string} from its writer's name @param {string} text */
  message(from, text) {
    this.#waiting.push({ from, text });
    if (!this.#paused) this.#speak();
  }

  #speak() {
    const news = this.#waiting.splice(0);
    this.#paused = news.length > 0;
    if (!this.#paused) return;
    const writers = [...new Set(news.map(({ from }) => from))];
    const [{ from, text }] = news;
    this.words = news.length === 1 ? `${from}: ${text}` : `${news.length} new messages from ${writers.join(", ")}`;
    this.onChange();
    this.later(() => this.#speak(), PAUSE_MS);
  }
}
