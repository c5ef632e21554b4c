/**
 * The transport in use, and how it is doing.
 */

import { html } from "../vendor/lit-html/lit-html.js";
import { TRANSPORTS } from "../transports/all.js";

/** @import { Status } from "../types.js" */

/** @param {Status} status @param {unknown} menu the others to choose from @param {{openMenu: () => void}} actions */
export function badge(status, menu, { openMenu }) {
  const { state, roundTripMs } = status;
  const trip = state === "live" && roundTripMs !== null ? ` · ${Math.max(1, Math.round(roundTripMs))} ms` : "";
  return html`
    <button class="badge ${state}" type="button" popovertarget="transports" title="How messages travel" @click=${openMenu}>
      <span class="dot" aria-hidden="true"></span>
      <span class="label">${TRANSPORTS[status.transport].label}</span>
      <span class="detail">· ${state}${trip}</span>
      <span class="caret" aria-hidden="true"></span>
    </button>
    ${menu}
  `;
}
