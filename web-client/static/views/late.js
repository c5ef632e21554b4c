/**
 * The views that the page does not need at first, with their style sheet.
 */

import { styled } from "./styled.js";

export { nobody, nothingOpen } from "./alone.js";
export { toBottom, typing } from "./below.js";
export { lines } from "./between.js";
export { banner } from "./banner.js";
export { decision } from "./decision.js";
export { askLeave, left } from "./membership.js";
export { menu } from "./menu.js";
export { newGroup } from "./new-group.js";

await styled("/late.css");
