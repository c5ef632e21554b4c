/**
 * The Wire drawer: what this page's JavaScript sees of its transport, while it happens.
 *
 * Loaded late.
 */

import { html, nothing, render } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { goOn } from "../focus.js";
import { capital, label } from "../transports/all.js";
import { inWords } from "./close-codes.js";
import { styled } from "./styled.js";

/** @import { Chat } from "../chat.js" */
/** @import { Seen } from "../types.js" */

await styled("/late.css");

/** The least time between two draws: quicker than one reads, slower than messages may come. */
const REDRAW_MS = 250;
const ARROWS = { up: "↑", down: "↓", end: "✕" };
const DIRECTIONS = { up: "sent", down: "received", end: "ended" };

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});

export class WireDrawer {
  /** @type {Chat | null} */
  #chat = null;
  #paused = false;
  /** @type {readonly Seen[]} */
  #shown = [];
  #due = false;
  /** @type {HTMLElement | null} */
  #cameFrom = null;

  get #root() {
    return /** @type {HTMLElement} */ (document.getElementById("wire"));
  }

  /** Opens it, or closes it if it is open. @param {Chat} chat */
  toggle(chat) {
    if (this.#chat) return this.close();
    this.#chat = chat;
    this.#cameFrom = /** @type {HTMLElement | null} */ (document.activeElement);
    chat.wire.onRecord = () => this.#soon();
    this.#draw();
    // A user who is writing keeps the focus.
    if (!this.#cameFrom?.matches("input, textarea")) document.getElementById("wire-close")?.focus();
  }

  close() {
    if (!this.#chat) return;
    this.#chat.wire.onRecord = () => {};
    this.#chat = null;
    const hadFocus = this.#root.contains(document.activeElement);
    render(nothing, this.#root);
    if (hadFocus) this.#cameFrom?.focus();
    if (document.activeElement === document.body) goOn();
  }

  #soon() {
    if (this.#due) return;
    this.#due = true;
    setTimeout(() => {
      this.#due = false;
      if (this.#chat) this.#draw();
    }, REDRAW_MS);
  }

  #draw() {
    if (!this.#chat) return;
    const { wire, connection } = this.#chat;
    const { transport, leading } = connection.status;
    if (!this.#paused) this.#shown = wire.seen.toReversed();
    const pause = () => ((this.#paused = !this.#paused), this.#draw());
    const take = () => {
      connection.take();
      // This button disappears.
      document.getElementById("wire-close")?.focus();
    };
    const over = label(transport);
    const own = html`What this page's JavaScript sees of ${over}. Headers, pings and masks are hidden
      from it, so it cannot tell what a message costs.`;
    const shared = html`Another tab holds the ${over} connection; this one sees only what that tab passes on.
      <button class="link" type="button" @click=${take}>Hold it here</button>`;
    render(
      html`
        <section class="drawer" aria-labelledby="wire-title" @keydown=${this.#onKey}>
          <header>
            <h2 id="wire-title">Wire</h2>
            <p class="hint">${leading ? own : shared}</p>
            <button class="small" type="button" aria-pressed=${this.#paused} @click=${pause}>Pause</button>
            <button class="small" type="button" @click=${() => wire.clear()}>Clear</button>
            <button class="small" type="button" id="wire-close" @click=${() => this.close()}>Close</button>
          </header>
          <div class="log" tabindex="0" role="region" aria-label="What passed, the newest first">
            <table>
              <thead>
                <tr><th>Time</th><th>Over</th><th>What</th><th class="number">Took</th><th>Content</th></tr>
              </thead>
              <tbody>${repeat(this.#shown, ({ number }) => number, row)}</tbody>
            </table>
            ${this.#shown.length === 0 ? html`<p class="hint">Nothing has passed yet.</p>` : nothing}
          </div>
        </section>
      `,
      this.#root,
    );
  }

  #onKey = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    this.close();
  };
}

/** @param {Seen} seen */
function row({ at, over, direction, what, ms, text, closing }) {
  return html`
    <tr class=${direction}>
      <td class="number">${clock.format(at)}</td>
      <td>${capital(label(over))}</td>
      <td><span aria-hidden="true">${ARROWS[direction]}</span>
        <span class="visually-hidden">${DIRECTIONS[direction]}</span> ${what}${closing ? `: ${inWords(closing)}` : ""}</td>
      <td class="number">${ms === undefined ? nothing : `${Math.round(ms)} ms`}</td>
      <td>${text === "" ? nothing : content(text)}</td>
    </tr>
  `;
}

/** @param {string} text */
function content(text) {
  return html`<details><summary><code>${text.slice(0, 160)}</code></summary><pre tabindex="0">${pretty(text)}</pre></details>`;
}

/** @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
