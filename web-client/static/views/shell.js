/**
 * The frame around everything that a signed-in user sees.
 */

import { html } from "../vendor/lit-html/lit-html.js";
import { wordmark } from "./sign-in.js";

/**
 * @typedef {object} Parts
 * @property {string} me the user's name
 * @property {boolean} open whether a conversation is open; where there is room for one pane only, it is that one
 * @property {unknown} transport
 * @property {unknown} banner
 * @property {unknown} sidebar
 * @property {unknown} conversation
 * @property {string} announcement what a screen reader says when it has time
 * @property {string} alert what it says at once
 */

/** @param {Parts} parts @param {{signOut: () => void}} actions */
export function shell({ me, open, transport, banner, sidebar, conversation, announcement, alert }, { signOut }) {
  return html`
    <div class="shell ${open ? "reading" : "choosing"}">
      <header class="bar">
        <a class="skip" href="#conversation" @click=${toConversation}>Skip to the conversation</a>
        <h1 class="wordmark">${wordmark()}</h1>
        ${transport}
        <div class="me">
          <span class="name" dir="auto" title="Signed in as ${me}">${me}</span>
          <button class="quiet" type="button" @click=${signOut}>Sign out</button>
        </div>
      </header>
      ${banner}
      <main class="panes">
        ${sidebar}
        <section class="pane" id="conversation" tabindex="-1" aria-label="Conversation">${conversation}</section>
      </main>
      <p class="visually-hidden" role="status">${announcement}</p>
      <p class="visually-hidden" role="alert">${alert}</p>
    </div>
  `;
}

/** The fragment names the open conversation, so the link moves the focus itself. @param {MouseEvent} event */
function toConversation(event) {
  event.preventDefault();
  (document.getElementById("composer") ?? document.getElementById("conversation"))?.focus();
}
