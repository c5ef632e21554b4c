/**
 * Where the focus goes when its element disappears: a keyboard user must not start again at the top of the page.
 *
 * Loaded late.
 */

const PLACES = ["#composer", ".composer button", ".sidebar", "#conversation"];
/** On a touch screen the composer would open the keyboard over the messages. */
const PLACES_TO_TOUCH = [".reading #conversation", ".sidebar"];

/** Focuses the composer or what stands in its place, or the lists if no conversation is open. */
export function goOn() {
  for (const place of matchMedia("(hover: hover)").matches ? PLACES : PLACES_TO_TOUCH) {
    const element = /** @type {HTMLElement | null} */ (document.querySelector(place));
    element?.focus();
    if (element && element === document.activeElement) return;
  }
}

/** Draws, and keeps the focus on the page. @param {() => void} draw */
export function keepingFocus(draw) {
  const had = /** @type {HTMLElement | null} */ (document.activeElement);
  const menu = had?.closest("[popover]");
  draw();
  const isLost = () => document.activeElement === document.body;
  if (!had || had === document.body || !isLost()) return;
  // An element that was only moved has lost the focus.
  if (had.isConnected) had.focus({ preventScroll: true });
  if (isLost()) /** @type {HTMLElement | null} */ (menu?.querySelector("input:checked"))?.focus();
  if (isLost()) goOn();
}
