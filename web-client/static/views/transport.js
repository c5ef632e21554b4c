/**
 * The transport in use, and the others to choose from.
 */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { TRANSPORTS } from "../transports/all.js";

/** @import { Status } from "../connection.js" */
/** @import { ServerAddress, TransportName } from "../protocol.js" */

/** @type {Record<Status["state"], string>} */
const WORDS = { connecting: "connecting", live: "live", waiting: "waiting", offline: "offline", ended: "ended" };

/**
 * @param {{status: Status, servers: ServerAddress[]}} view
 * @param {{choose: (transport: TransportName) => void}} actions
 */
export function transport({ status, servers }, { choose }) {
  const { label } = TRANSPORTS[status.transport];
  const trip = status.state === "live" && status.roundTripMs !== null ? ` · ${Math.max(1, Math.round(status.roundTripMs))} ms` : "";
  return html`
    <button class="badge ${status.state}" type="button" popovertarget="transports" title="How messages travel between this page and the server">
      <span class="dot" aria-hidden="true"></span>
      <span class="label">${label}</span><span class="detail">· ${WORDS[status.state]}${trip}</span>
      <span class="caret" aria-hidden="true"></span>
    </button>
    <div id="transports" class="transports" popover>
      <fieldset>
        <legend>How messages travel</legend>
        ${repeat(servers, ({ name }) => name, ({ name, port }) => html`
          <label class="option">
            <input type="radio" name="transport" value=${name} .checked=${name === status.transport} @change=${() => choose(name)} />
            <span><b>${TRANSPORTS[name].name}</b> <span class="port">${TRANSPORTS[name].server} · port ${port}</span><br />${TRANSPORTS[name].how}</span>
          </label>
        `)}
      </fieldset>
      ${servers.length > 1 ? html`<p class="hint">You can change it in mid-conversation: the next one goes on where the last one stopped.</p>` : nothing}
    </div>
  `;
}
