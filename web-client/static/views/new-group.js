/**
 * Making a group.
 *
 * Loaded late.
 */

import { html } from "../vendor/lit-html/lit-html.js";
import { sentence } from "./words.js";

/** @import { SidebarActions, Ui } from "../types.js" */

/** @param {Ui["newGroup"]} newGroup @param {SidebarActions} actions */
export function newGroup({ busy, error }, actions) {
  /** @param {SubmitEvent} event */
  const onSubmit = (event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    actions.createGroup(String(new FormData(form).get("group")));
  };
  return html`
    <form class="new-group" @submit=${onSubmit} novalidate>
      <label for="new-group">Name of the group</label>
      <div class="row">
        <input
          id="new-group" name="group" autocomplete="off" maxlength="32"
          aria-invalid=${error !== ""} aria-describedby="new-group-note"
        />
        <button class="primary" type="submit" aria-disabled=${busy}>Create</button>
      </div>
      <p id="new-group-note" class="error" role="alert">${sentence(error)}</p>
    </form>
  `;
}
