/**
 * The help dialog: the keys, and what the words on the page mean.
 *
 * Loaded late.
 */

import { html, render } from "../vendor/lit-html/lit-html.js";
import { styled } from "./styled.js";

await styled("/late.css");

const KEYS = [
  ["Enter", "send"],
  ["Shift + Enter", "a new line"],
  ["Ctrl + K or ⌘ + K", "find a group or a person"],
  ["Alt + ↑ or Alt + ↓", "the conversation above or below"],
  ["Esc", "back to writing"],
  ["Ctrl + `", "the wire: what passes between this page and the server"],
  ["?", "this help, when you are not writing"],
];
const WORDS = [
  ["sending…", "the message is on this page and on its way"],
  ["✓", "the server has stored it, and nothing can take it back"],
  ["not sent yet", "no answer so far; it is kept, and sent once, also after a reload"],
  ["failed", "the server said no and why: retry or discard it"],
  ["live", "what others write arrives here by itself"],
  ["not answering", "the connection stands, but a reply is more than ten seconds late"],
  ["waiting", "the connection is lost, and the next attempt comes soon"],
];

/** Shows it; the browser gives the focus back when it closes. */
export function showHelp() {
  const dialog = document.createElement("dialog");
  dialog.className = "help";
  dialog.setAttribute("aria-labelledby", "help-title");
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  render(
    html`
      <div>
        <h2 id="help-title">Keys and words</h2>
        <dl>${KEYS.map(([key, what]) => html`<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl>
        <dl>${WORDS.map(([word, what]) => html`<dt>${word}</dt><dd>${what}</dd>`)}</dl>
        <button class="primary" type="button" autofocus @click=${() => dialog.close()}>Close</button>
      </div>
    `,
    dialog,
  );
  document.body.append(dialog);
  dialog.showModal();
}
