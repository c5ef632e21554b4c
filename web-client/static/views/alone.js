/**
 * What is shown while there is nothing yet, and how to be two users.
 *
 * Loaded late.
 */

import { html } from "../vendor/lit-html/lit-html.js";

/** What the pane shows before anything is chosen. */
export function nothingOpen() {
  return html`
    <div class="empty">
      <h2>Pick somebody to talk to</h2>
      <p>Choose a person or a group on the left.</p>
      <p>To see both ends of a conversation: ${secondUser()}</p>
      <p>Then switch transports at the top of the page while you talk. The conversation goes on.</p>
    </div>
  `;
}

/** What an empty list of people says. */
export const nobody = () => html`Alone here? ${secondUser()}`;

/** The other name of this machine has cookies of its own, so to the server it is another browser.
 * Elsewhere a private window does the same. */
function secondUser() {
  const other = { localhost: "127.0.0.1", "127.0.0.1": "localhost" }[location.hostname];
  if (!other) return html`Open this page in a private window and create a second account there.`;
  const href = `${location.protocol}//${other}:${location.port}/`;
  return html`<a href=${href} target="_blank" rel="noopener">Open a second user in a new tab</a>: this machine is also
    called ${other}, and each name has its own cookies and so its own sign-in.`;
}
