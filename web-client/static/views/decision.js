/**
 * What can be done about a message that is not sent.
 *
 * Loaded late.
 */

import { html } from "../vendor/lit-html/lit-html.js";
import { namedInWords } from "./close-codes.js";
import { sentence } from "./words.js";

/** @import { ConversationActions, Entry } from "../types.js" */

/** @param {Entry} entry @param {ConversationActions} actions */
export function decision({ cid, state, refusal }, actions) {
  const why = namedInWords(refusal?.code ?? "") ?? sentence(refusal?.message ?? "");
  return html`
    <div class="decision">
      ${
        state === "failed"
          ? html`<span class="error">${why}</span>`
          : html`<span class="hint">It is sent as soon as the server answers.</span>`
      }
      <button class="link" type="button" @click=${() => actions.retry(cid)}>Retry</button>
      <button class="link" type="button" @click=${() => actions.discard(cid)}>Discard</button>
    </div>
  `;
}
