/**
 * What stands between the messages and the composer: how much is new below, and who is typing.
 *
 * Loaded late.
 */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { listed, nameOf } from "./words.js";

/** @import { Conversation, ConversationActions, ConversationView, State } from "../types.js" */

/** @param {ConversationView} view @param {ConversationActions} actions */
export function toBottom({ below }, actions) {
  if (below === 0) return nothing;
  return html`<button class="to-bottom" type="button" @click=${actions.toBottom}>↓ ${below} new</button>`;
}

/** @param {State} state @param {Conversation | undefined} conversation @param {number} now */
export function typing(state, conversation, now) {
  const names = [...(conversation?.typing ?? [])]
    .filter(([, until]) => until > now)
    .map(([user]) => nameOf(state, user));
  if (names.length === 0) return nothing;
  return html`
    <span class="dots" aria-hidden="true"><i></i><i></i><i></i></span>
    <bdi>${listed(names)}</bdi> ${names.length === 1 ? "is" : "are"} typing…
  `;
}
