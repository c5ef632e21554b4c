/**
 * Where the focus goes when what had it is gone: a keyboard's user must not start again from the top of the page.
 *
 * Loaded late.
 */

const PLACES = ["#composer", ".composer button", ".sidebar", "#conversation"];
/** On a touch screen the composer would open the keyboard over the messages. */
const PLACES_TO_TOUCH = [".reading #conversation", ".sidebar"];

/** Where one goes on: at the composer or what stands in its place, and where no conversation is open, at the lists. */
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
  // An element that was only moved has lost it on the way.
  if (had.isConnected) had.focus({ preventScroll: true });
  if (isLost()) /** @type {HTMLElement | null} */ (menu?.querySelector("input:checked"))?.focus();
  if (isLost()) goOn();
}
