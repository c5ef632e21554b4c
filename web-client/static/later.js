/**
 * What the page does not need at first, besides views.
 *
 * Loaded late.
 */

export { Far } from "./far.js";
export { goOn, keepingFocus } from "./focus.js";
export { bindKeys } from "./keys.js";
export { Reading } from "./reading.js";
