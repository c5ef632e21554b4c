/**
 * Leaving a group, and what stands in place of the composer afterwards.
 *
 * Loaded late.
 */

import { html } from "../vendor/lit-html/lit-html.js";

/** @import { ConversationActions } from "../types.js" */

/** Leaving asks once; the safe answer is first. @param {string} title @param {ConversationActions} actions */
export function askLeave(title, actions) {
  return html`
    <div class="ask" role="group" aria-label="Leave ${title}?">
      <button class="small" type="button" @click=${() => actions.askLeave(false)}>Stay</button>
      <button class="small danger" type="button" @click=${actions.leave}>Leave</button>
    </div>
  `;
}

/** @param {ConversationActions} actions */
export function left(actions) {
  return html`
    <div class="composer left">
      <p>You left this group: you can read what you saw of it, and not write.</p>
      <button class="primary" type="button" @click=${actions.join}>Join again</button>
    </div>
  `;
}
