/**
 * Style sheets that are loaded late.
 */

/** Resolves when the style sheet is there, so that nothing is shown without it.
 * @param {string} href
 * @returns {Promise<void>} */
export function styled(href) {
  if (document.querySelector(`link[href="${href}"]`)) return Promise.resolve();
  const link = document.createElement("link");
  Object.assign(link, { rel: "stylesheet", href });
  return new Promise((resolve) => {
    link.onload = link.onerror = () => resolve();
    document.head.append(link);
  });
}
