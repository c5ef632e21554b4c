/**
 * The transports to choose from, and which tab holds the connection.
 *
 * Loaded late.
 */

import { html, nothing } from "../vendor/lit-html/lit-html.js";
import { repeat } from "../vendor/lit-html/directives/repeat.js";
import { capital } from "../transports/all.js";

/** @import { ServerAddress, TransportName } from "../protocol.js" */
/** @import { SharedStatus as Status } from "../types.js" */

const FREELY = "You can change it in mid-conversation: the next one goes on where the last one stopped.";

/**
 * @param {{status: Status, servers: ServerAddress[]}} view
 * @param {{choose: (transport: TransportName) => void, take: () => void, showWire: () => void}} actions
 */
export function menu({ status, servers }, { choose, take, showWire }) {
  return html`
  <div id="transports" class="transports" popover>
    <fieldset>
      <legend>How messages travel</legend>
      ${repeat(
        servers,
        ({ name }) => name,
        (server) => option(server, server.name === status.transport, choose),
      )}
    </fieldset>
    ${servers.length > 1 ? html`<p class="hint">${FREELY}</p>` : nothing}
    <p class="hint">
      ${
        status.leading
          ? "This tab holds the connection; other tabs of yours share it."
          : html`Another tab of yours holds the connection, and this one shares it:
              a browser opens no more than six to one server.
              <button class="link" type="button" @click=${take}>Hold it here</button>`
      }
    </p>
    <p class="hint">
      <button class="link" type="button" @click=${showWire}>Show the wire</button> (Ctrl + \`)
    </p>
  </div>
  `;
}

/**
 * @param {ServerAddress} address
 * @param {boolean} chosen
 * @param {(transport: TransportName) => void} choose
 */
function option({ name, port, title, server, about }, chosen, choose) {
  return html`
    <label class="option">
      <input
        type="radio" name="transport" value=${name}
        .checked=${chosen} @change=${() => choose(name)}
      />
      <span><b>${capital(title)}</b> <span class="port">${server} · port ${port}</span><br />${about}</span>
    </label>
  `;
}
