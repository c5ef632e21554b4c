/**
 * The frame around everything that a signed-in user sees.
 */

import { html } from "../vendor/lit-html/lit-html.js";
import { wordmark } from "./words.js";

/** @import { Parts } from "../types.js" */

/** @param {Parts} parts @param {{signOut: () => void, help: () => void}} actions */
export function shell({ me, open, transport, banner, sidebar, conversation, announcement, alert }, { signOut, help }) {
  return html`
    <div class="shell ${open ? "reading" : "choosing"}">
      <header class="bar">
        <a class="skip" href="#conversation" @click=${toConversation}>Skip to the conversation</a>
        <h1 class="wordmark">${wordmark()}</h1>
        ${transport}
        <div class="me">
          <span class="name" dir="auto" title="Signed in as ${me}">${me}</span>
          <button class="quiet help-button" type="button" aria-label="Help" title="Keys and words (?)" @click=${help}>?</button>
          <button class="quiet" type="button" @click=${signOut}>Sign out</button>
        </div>
      </header>
      ${banner}
      <main class="panes">
        ${sidebar}
        <section class="pane" id="conversation" tabindex="-1" aria-label="Conversation">${conversation}</section>
      </main>
      <div id="wire"></div>
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
