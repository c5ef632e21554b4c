/**
 * What the keyboard does anywhere on the page.
 *
 * Loaded late.
 */

/**
 * Ctrl+K or ⌘K: find. Alt+↑ and Alt+↓: the conversation above or below. Escape: back to writing.
 * Ctrl+`: the Wire drawer. ?: the help, but not while the user is writing.
 * @param {{showWire: () => void, help: () => void}} actions
 * @param {AbortSignal} signal until when
 */
export function bindKeys({ showWire, help }, signal) {
  /** @param {KeyboardEvent} event */
  const onKey = (event) => {
    if (event.isComposing) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      document.getElementById("find")?.focus();
    } else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      step(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.ctrlKey && event.code === "Backquote") {
      event.preventDefault();
      showWire();
    } else if (event.key === "?" && !isWriting(event.target)) {
      event.preventDefault();
      help();
    } else if (event.key === "Escape" && !document.querySelector(":popover-open, dialog[open]")) {
      document.getElementById("composer")?.focus();
    }
  };
  addEventListener("keydown", onKey, { signal });
}

/** @param {EventTarget | null} target */
function isWriting(target) {
  return target instanceof HTMLTextAreaElement || (target instanceof HTMLInputElement && target.type !== "radio");
}

/** @param {1 | -1} direction */
function step(direction) {
  const links = /** @type {HTMLAnchorElement[]} */ ([...document.querySelectorAll(".sidebar a.entry")]);
  const current = links.findIndex((link) => link.ariaCurrent === "page");
  const next = current === -1 && direction === -1 ? links.length - 1 : current + direction;
  links[next]?.click();
}
