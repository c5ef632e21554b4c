/**
 * The composer: the field for a new message.
 */

import { html } from "../vendor/lit-html/lit-html.js";
import { live } from "../vendor/lit-html/directives/live.js";

/** @import { ConversationActions, ConversationView } from "../types.js" */

/** The composer grows with its text up to this many lines. */
const MAX_LINES = 8;

/** @param {ConversationView} view @param {string} title @param {ConversationActions} actions */
export function composer({ draft }, title, actions) {
  // The text comes from the field: the newest input may not have been drawn yet.
  const submit = () => {
    const field = /** @type {HTMLTextAreaElement} */ (document.getElementById("composer"));
    if (field.value.trim() !== "") actions.say(field.value);
    field.focus();
  };
  /** @param {KeyboardEvent} event */
  const onKey = (event) => {
    // While an input method composes, Enter chooses a word. Key 229 is how older browsers say so.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  };
  /** @param {InputEvent} event */
  const onInput = (event) => actions.draft(/** @type {HTMLTextAreaElement} */ (event.target).value);
  /** @param {SubmitEvent} event */
  const onSubmit = (event) => (event.preventDefault(), submit());
  return html`
    <form class="composer" @submit=${onSubmit}>
      <textarea
        id="composer" name="text" dir="auto" aria-label="Message to ${title}" placeholder="Message to ${title}"
        rows=${Math.min(MAX_LINES, draft.split("\n").length)} .value=${live(draft)} @keydown=${onKey}
        @input=${onInput}
      ></textarea>
      <button class="primary" type="submit" aria-disabled=${draft.trim() === ""}>Send</button>
    </form>
  `;
}
