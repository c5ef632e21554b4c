/**
 * Who joined and left between two messages, and what is missing there.
 *
 * Loaded late.
 */

import { html } from "../vendor/lit-html/lit-html.js";
import { between } from "../between.js";
import { counted, nameOf } from "./words.js";

/** @import { Conversation, State } from "../types.js" */

/** @param {State} state @param {Conversation} known @param {number} after @param {number} before */
export function lines(state, known, after, before) {
  return between(known, after, before).map((line) => {
    if ("user" in line) {
      const who = line.user === state.me.id ? "You" : nameOf(state, line.user);
      return html`<p class="event"><bdi>${who}</bdi> ${line.joined ? "joined" : "left"} the group.</p>`;
    }
    const were = `${counted(line.missing, "message")} ${line.missing === 1 ? "was" : "were"}`;
    return html`<p class="event gap">
      ${were} sent ${line.first ? "before you joined" : "while you were not in the group"}.
    </p>`;
  });
}
