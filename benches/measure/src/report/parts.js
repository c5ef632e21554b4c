/**
 * What the page is put together from: numbers as people read them, and elements.
 *
 * @typedef {import('../advise/advice.js').Range} Range
 */

/** The subjects' marks, as in the charts. */
export const MARKS = new Map([
  ['websocket', 'M-4 0A4 4 0 1 0 4 0A4 4 0 1 0-4 0Z'],
  ['sse', 'M-3.6-3.6H3.6V3.6H-3.6Z'],
  ['longpoll', 'M0-4.6 4.4 3.4H-4.4Z'],
  ['shortpoll', 'M0-5 5 0 0 5-5 0Z'],
  ['tcp', 'M-4-4 4 4M4-4-4 4'],
]);

/** @param {number} value */
export function number(value) {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  const digits = size === 0 || Math.abs(value - Math.round(value)) < 1e-9
    ? 0 : Math.min(Math.max(2 - Math.floor(Math.log10(size)), 0), 6);
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** The same without zeros at its end, for numbers that were chosen and not measured. @param {number} value */
export const plain = (value) => value.toLocaleString('en', { maximumFractionDigits: 6 });

/** @param {string} text @param {string} unit */
export const joined = (text, unit) => (unit === '' ? text : /^[/ %×]/.test(unit) ? text + unit : `${text} ${unit}`);

/** @param {Range} range @param {string} unit @param {number} [factor] */
export function spread({ median, least, most }, unit, factor = 1) {
  const [low, high] = [number(least * factor), number(most * factor)];
  return joined(low === high ? number(median * factor) : `${number(median * factor)} (${low}–${high})`, unit);
}

/** @param {number[]} samples @returns {Range} */
export function range(samples) {
  const sorted = [...samples].sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, least: sorted[0], most: sorted[sorted.length - 1], samples: sorted.length };
}

/** @param {string} tag @param {Record<string, string | number>} attributes @param {...(Node | string)} children */
export function svg(tag, attributes, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** @param {string} tag @param {string} text @param {string} [className] */
export function html(tag, text, className = '') {
  const node = document.createElement(tag);
  node.textContent = text;
  if (className) node.className = className;
  return node;
}

/** @param {string} caption @param {string[]} head @param {Node[][]} rows */
export function table(caption, head, rows) {
  const node = document.createElement('table');
  if (caption) node.append(html('caption', caption));
  const line = (/** @type {Node[]} */ cells) => {
    const row = document.createElement('tr');
    row.append(...cells);
    return row;
  };
  node.append(line(head.map((text) => {
    const cell = html('th', text);
    cell.setAttribute('scope', 'col');
    return cell;
  })), ...rows.map(line));
  return node;
}
