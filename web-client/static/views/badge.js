/**
 * The transport in use, and how it is doing.
 */

import { html } from "../vendor/lit-html/lit-html.js";
import { capital, label } from "../transports/all.js";

/** @import { Status } from "../types.js" */

/** @param {Status} status @param {unknown} menu the others to choose from @param {{openMenu: (event: Event) => void}} actions */
export function badge({ state, unanswering, transport }, menu, { openMenu }) {
  return html`
    <button
      class="badge ${unanswering ? "unanswering" : state}" type="button" popovertarget="transports"
      title="How messages travel" @click=${openMenu}
    >
      <span class="dot" aria-hidden="true"></span>
      <span class="label">${capital(label(transport))}</span>
      <span class="detail">· ${unanswering ? "not answering" : state}</span>
      <span class="caret" aria-hidden="true"></span>
    </button>
    ${menu}
  `;
}
