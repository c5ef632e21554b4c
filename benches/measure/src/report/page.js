/**
 * The page: advice for the reader's own chat, and every figure as a chart and a table.
 *
 * @typedef {import('../advise/advice.js').Model} Model
 * @typedef {import('../advise/advice.js').Range} Range
 * @typedef {import('../advise/advice.js').Estimate} Estimate
 * @typedef {{ name: string, title: string, unit: string, better: 'lower' | 'higher' | 'neither' }} Measure
 * @typedef {{ scenario: string, title: string, method: string, measures: Measure[] }} Topic
 * @typedef {{ name: string, title: string, unit: string | null }} Condition
 * @typedef {{
 *   scenario: string, subject: string, conditions: Record<string, number>, figures: Record<string, number[]>,
 *   marks: Record<string, string>, withdrawn: Record<string, string>, shares: [number, number][] | null,
 *   invalid: string[],
 * }} Row
 * @typedef {{
 *   facts: string[], warnings: string[], notes: [string, string][], floor: string, incidental: string, subjects: [string, string][],
 *   conditions: Condition[], topics: Topic[], rows: Row[], model: Model,
 * }} Results
 * @typedef {{ at: number[], words: string, cells: Map<string, Row> }} TableLine
 */

import { LEAST_SAMPLES, advise, beyond } from '../advise/advice.js';
import { MARKS, html, joined, number, plain, range, spread, svg, table } from './parts.js';

/** @template {HTMLElement} T @param {string} id @returns {T} */
const element = (id) => /** @type {T} */ (document.getElementById(id));

/** @type {Results} */
const results = JSON.parse(element('results').textContent ?? '');
const titles = new Map(results.subjects);

/* The reader's chat. */

/** @param {string[]} subjects @param {string} [joint] */
const list = (subjects, joint = 'and') => {
  const names = subjects.map((subject) => titles.get(subject) ?? subject);
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} ${joint} ${names[names.length - 1]}`;
};

/** @type {[string, string, number, string, (one: Estimate) => Range | null][]} */
const COLUMNS = [
  ['latency', 'latency, median', 1, 'ms', (one) => one.p50_ms],
  ['bytes', 'each client, each hour', 1e-6, 'MB', (one) => one.hourly_bytes],
  ['processor', 'server’s processor', 1, 'cores', (one) => one.cores],
  ['memory', 'server’s memory', 1, 'MiB', (one) => one.memory_mib],
];

const RANKS = { best: 'least', level: 'not clearly apart from the least', close: 'more, too little to matter', behind: 'behind' };

function showAdvice() {
  const value = (/** @type {string} */ id) => Number(/** @type {HTMLInputElement} */ (element(id)).value);
  const rate = value('rate') / value('per');
  const group = Math.max(value('group'), 1);
  const wish = { rate_per_s: rate, rtt_ms: value('rtt'), clients: value('clients'), send_rate_per_s: rate / group };
  if (!(rate > 0) || !(wish.clients >= 1) || !(wish.rtt_ms >= 0)) {
    element('choice').textContent = 'Please enter a rate above zero, a round trip, and at least one client.';
    element('why').textContent = '';
    element('estimates').replaceChildren();
    return;
  }
  const { estimates, criteria, choice } = advise(results.model, wish);
  const all = results.model.transports.length;
  let words;
  if (choice === 'cannot_tell') words = 'Cannot tell from these figures.';
  else if ('trade' in choice) words = `Each is behind in something; ahead in what people notice first: ${list(choice.trade)}.`;
  else if (choice.fit.length === all) words = 'It does not matter which you take.';
  else if (choice.fit.length === 1) words = `Take ${list(choice.fit)}: it is behind in nothing that matters.`;
  else words = `Take ${list(choice.fit, 'or')}, whichever you like: the differences between them do not matter.`;
  const unsure = estimates.filter(({ lacking }) => Object.keys(lacking).length > 0).map(({ subject, lacking }) =>
    `Cannot tell for ${titles.get(subject) ?? subject}: ${Object.entries(lacking).map(([what, why]) => `${what} ${why}`).join(', ')}.`);
  element('choice').textContent = words;
  const limits = `What matters begins at 100 ms of latency, 1 MB an hour for each client, one hundredth of a core and `
    + `${number(results.model.memory_mib * 0.01)} MiB (one hundredth of the memory here).`;
  const outside = beyond(results.model, wish).map((one) => `Cannot tell: ${one}.`);
  element('why').textContent = [...(outside.length ? outside : unsure), limits].join(' ');
  const rows = estimates.map((one) => [
    html('th', titles.get(one.subject) ?? one.subject),
    ...COLUMNS.map(([name, , factor, unit, get]) => {
      const found = get(one);
      const rank = criteria.find((criterion) => criterion.name === name)?.standings
        .find(({ subject }) => subject === one.subject)?.rank;
      const cell = html('td', found ? spread(found, unit, factor) : one.lacking[name] ?? 'not measured', rank ?? '');
      if (rank && found && found.samples >= LEAST_SAMPLES) cell.append(html('small', RANKS[rank]));
      return cell;
    }),
  ]);
  element('estimates').replaceChildren(table('', ['transport', ...COLUMNS.map(([, title]) => title)], rows));
}

/* Every figure. */

/** @param {string} name @param {number} value */
function conditionWords(name, value) {
  const known = results.conditions.find((condition) => condition.name === name);
  const words = value === undefined ? '–' : known?.unit === null ? (value ? 'yes' : 'no') : joined(plain(value), known?.unit ?? '');
  return `${known?.title ?? name}: ${words}`;
}

const chosen = { scenario: '', figure: '', filters: /** @type {Record<string, string>} */ ({}) };

/** @param {string} label @param {[string, string][]} options @param {string} value @param {(value: string) => void} choose */
function select(label, options, value, choose) {
  const node = document.createElement('select');
  node.append(...options.map(([key, text]) => new Option(text, key, false, key === value)));
  node.id = `choose-${label.replace(/\W+/g, '-')}`;
  node.addEventListener('change', () => {
    choose(node.value);
    showFigures();
    document.getElementById(node.id)?.focus();
  });
  const around = html('label', label);
  around.append(node);
  return around;
}

function showFigures() {
  const scenarios = [...new Set(results.rows.map((row) => row.scenario))];
  const title = (/** @type {string} */ name) => results.topics.find((topic) => topic.scenario === name)?.title ?? name;
  const order = (/** @type {string} */ name) => results.topics.findIndex((topic) => topic.scenario === name);
  scenarios.sort((one, other) => order(one) - order(other));
  if (!scenarios.includes(chosen.scenario)) chosen.scenario = scenarios[0] ?? '';
  const topic = results.topics.find(({ scenario }) => scenario === chosen.scenario);
  const rows = results.rows.filter(({ scenario }) => scenario === chosen.scenario);
  const names = [...new Set(rows.flatMap((row) => [...Object.keys(row.figures), ...Object.keys(row.withdrawn)]))];
  const column = (/** @type {string} */ name) => {
    const index = topic?.measures.findIndex((measure) => measure.name === name) ?? -1;
    return index < 0 ? names.length : index;
  };
  names.sort((one, other) => column(one) - column(other));
  if (!names.includes(chosen.figure)) chosen.figure = names[0] ?? '';
  /** @type {Measure} */
  const measure = topic?.measures.find(({ name }) => name === chosen.figure)
    ?? { name: chosen.figure, title: chosen.figure, unit: '', better: 'neither' };
  const having = rows.filter((row) => row.figures[measure.name] || row.withdrawn[measure.name] || row.invalid.length);
  const conditions = [...new Set(having.flatMap((row) => Object.keys(row.conditions)))].filter((name) => name !== results.incidental);
  const values = (/** @type {string} */ name) =>
    [...new Set(having.map((row) => row.conditions[name]))].sort((one, other) => one - other);
  const varied = conditions.filter((name) => values(name).length > 1);
  for (const name of Object.keys(chosen.filters)) {
    if (!varied.includes(name) || !values(name).includes(Number(chosen.filters[name]))) delete chosen.filters[name];
  }
  const fits = (/** @type {Row} */ row) =>
    Object.entries(chosen.filters).every(([name, value]) => row.conditions[name] === Number(value));
  element('chooser').replaceChildren(
    select('Scenario', scenarios.map((name) => [name, title(name)]), chosen.scenario, (value) => { chosen.scenario = value; }),
    select('Figure', names.map((name) => [name, topic?.measures.find((one) => one.name === name)?.title ?? name]), chosen.figure, (value) => { chosen.figure = value; }),
    ...varied.map((name) => select(
      results.conditions.find((condition) => condition.name === name)?.title ?? name,
      [['', 'all'], ...values(name).map((value) => /** @type {[string, string]} */ ([String(value), conditionWords(name, value).split(': ')[1]]))],
      chosen.filters[name] ?? '',
      (value) => { if (value === '') delete chosen.filters[name]; else chosen.filters[name] = value; },
    )),
  );
  const fixed = conditions.filter((name) => !varied.includes(name)).map((name) => conditionWords(name, values(name)[0]));
  element('method').textContent = [topic?.method ?? '', ...fixed.map((words) => `Throughout: ${words}.`)].join(' ');
  /** @type {TableLine[]} */
  const lines = [];
  for (const row of having.filter(fits)) {
    const at = varied.map((name) => row.conditions[name]);
    let line = lines.find((one) => one.at.every((value, index) => value === at[index]));
    if (!line) {
      line = { at, words: varied.map((name, index) => conditionWords(name, at[index])).join(', ') || 'all', cells: new Map() };
      lines.push(line);
    }
    line.cells.set(row.subject, row);
  }
  lines.sort((one, other) => one.at.reduce((order, value, index) => order || value - other.at[index], 0));
  const subjects = results.subjects.map(([name]) => name).filter((name) => having.some((row) => row.subject === name));
  showLegend(subjects);
  showPlot(lines, measure, subjects);
  showValues(lines, measure, subjects);
  showDistribution(lines, subjects);
}

/** @param {string[]} subjects */
function showLegend(subjects) {
  element('legend').replaceChildren(...subjects.map((subject) => {
    const item = html('li', '');
    const mark = svg('svg', { class: 'chart', viewBox: '0 0 34 12', 'aria-hidden': 'true' },
      svg('path', { class: `${subject} curve`, d: 'M0 6H34' }),
      svg('path', { class: `${subject} mark`, d: MARKS.get(subject) ?? '', transform: 'translate(17 6)' }));
    item.append(mark, titles.get(subject) ?? subject);
    return item;
  }));
}

/** The text in place of a figure. @param {Row} row @param {string} name */
function withdrawn(row, name) {
  const why = row.withdrawn[name];
  return why ? `withdrawn (${why})` : 'not measured';
}

/** @param {TableLine[]} lines @param {Measure} measure @param {string[]} subjects */
function showValues(lines, measure, subjects) {
  const rows = lines.map((line) => [
    html('th', line.words),
    ...subjects.map((subject) => {
      const row = line.cells.get(subject);
      if (!row) return html('td', 'not measured');
      if (row.invalid.length) {
        const cell = html('td', 'invalid');
        cell.append(html('small', row.invalid.join('; ')));
        return cell;
      }
      if (!row.figures[measure.name]) return html('td', withdrawn(row, measure.name));
      const value = range(row.figures[measure.name]);
      const mark = row.marks[measure.name];
      const cell = html('td', spread(value, ''), mark ?? '');
      cell.append(html('small', mark ? `${mark}, n = ${value.samples}` : `n = ${value.samples}`));
      return cell;
    }),
  ]);
  const way = { lower: ', less is better', higher: ', more is better', neither: '' }[measure.better];
  const unit = measure.unit ? ` in ${measure.unit.trim()}` : '';
  const caption = `${measure.title}${unit}${way}: the median, and in brackets the lowest and the highest run`;
  const head = ['conditions', ...subjects.map((subject) => titles.get(subject) ?? subject)];
  element('values').replaceChildren(table(caption, head, rows));
}

/** @param {TableLine[]} lines @param {Measure} measure @param {string[]} subjects */
function showPlot(lines, measure, subjects) {
  const points = lines.flatMap((line, index) => subjects.flatMap((subject, column) => {
    const row = line.cells.get(subject);
    const samples = row?.figures[measure.name];
    return samples ? [{ line, index, subject, column, value: range(samples) }] : [];
  }));
  const told = element('told');
  told.textContent = points.length ? 'Point at a value, or go through them with the arrow keys.' : 'There is nothing to show here: the table below says why.';
  const width = Math.max(element('plot').clientWidth, 320);
  const step = 14;
  const group = subjects.length * step + 30;
  const [left, right, top, bottom] = [12, width - 16, 8, 8 + lines.length * group];
  const numbers = points.flatMap(({ value }) => [value.least, value.most]);
  const positive = numbers.length > 0 && Math.min(...numbers) > 0 && Math.max(...numbers) / Math.min(...numbers) > 30;
  const [from, to] = positive
    ? [Math.floor(Math.log10(Math.min(...numbers))), Math.ceil(Math.log10(Math.max(...numbers)))]
    : [Math.min(0, ...numbers), Math.max(...numbers, 1e-9)];
  const across = (/** @type {number} */ value) =>
    left + (((positive ? Math.log10(value) : value) - from) / (to - from || 1)) * (right - left);
  const chart = svg('svg', { class: 'chart', viewBox: `0 0 ${width} ${bottom + 40}`, role: 'img', 'aria-label': `${measure.title}: the table below has the same values` });
  for (const tick of ticks(from, to, positive, width)) {
    chart.append(svg('path', { class: 'grid', d: `M${across(tick)} ${top}V${bottom}` }));
    const anchor = across(tick) < left + 20 ? 'start' : across(tick) > right - 20 ? 'end' : 'middle';
    chart.append(svg('text', { class: 'soft', x: across(tick), y: bottom + 15, 'text-anchor': anchor }, plain(tick)));
  }
  chart.append(svg('text', { class: 'soft', x: left, y: bottom + 32 }, `${measure.title}${measure.unit ? `, ${measure.unit.trim()}` : ''}${positive ? ', logarithmic' : ''}`));
  lines.forEach((line, index) => chart.append(svg('text', { class: 'strong', x: left, y: top + index * group + 15 }, line.words)));
  const marks = points.map((point) => {
    const y = top + point.index * group + 30 + point.column * step;
    chart.append(svg('path', { class: `${point.subject} whisker`, d: `M${across(point.value.least)} ${y}H${across(point.value.most)}` }));
    const mark = svg('path', { class: `${point.subject} mark`, d: MARKS.get(point.subject) ?? '', transform: `translate(${across(point.value.median)} ${y})` });
    chart.append(mark);
    return mark;
  });
  let on = -1;
  const show = (/** @type {number} */ next) => {
    marks[on]?.classList.remove('on');
    on = next;
    marks[on]?.classList.add('on');
    const point = points[on];
    if (!point) return;
    const { subject, line, value } = point;
    told.textContent = `${titles.get(subject)}${line.words === 'all' ? '' : `, ${line.words}`}: ${spread(value, measure.unit)}, n = ${value.samples}`;
  };
  marks.forEach((mark, index) => mark.addEventListener('pointerenter', () => show(index)));
  element('plot').onkeydown = (event) => {
    const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!move || points.length === 0) return;
    event.preventDefault();
    show((on + move + points.length) % points.length);
  };
  element('plot').replaceChildren(chart);
}

/** @param {number} from @param {number} to @param {boolean} logarithmic @param {number} width */
function ticks(from, to, logarithmic, width) {
  if (logarithmic) return Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index));
  const rough = (to - from) / Math.max(width / 130, 2);
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.ceil(from / step);
  return Array.from({ length: Math.floor(to / step) - first + 1 }, (_, index) => (first + index) * step);
}

/** The distribution of latencies, where a single line of the table is left. @param {TableLine[]} lines @param {string[]} subjects */
function showDistribution(lines, subjects) {
  const there = lines.filter((line) => [...line.cells.values()].some((row) => row.shares));
  const around = element('distribution');
  if (there.length === 0) return around.replaceChildren();
  if (lines.length > 1) return around.replaceChildren(html('p', 'Choose one condition above to see the whole distribution of latencies.', 'soft'));
  const width = Math.max(around.clientWidth, 320);
  const [left, right, top, bottom] = [60, width - 32, 10, 310];
  const curves = subjects.flatMap((subject) => {
    const row = there[0].cells.get(subject);
    return row?.shares ? [{ subject, shares: row.shares }] : [];
  });
  const times = curves.flatMap(({ shares }) => shares.map(([, time]) => time));
  const [from, to] = [Math.floor(Math.log10(Math.min(...times))), Math.ceil(Math.log10(Math.max(...times)))];
  const across = (/** @type {number} */ time) => left + ((Math.log10(time) - from) / (to - from || 1)) * (right - left);
  const up = (/** @type {number} */ share) => bottom - (-Math.log10(1 - share) / 4) * (bottom - top);
  const chart = svg('svg', { class: 'chart', viewBox: `0 0 ${width} 350`, role: 'img', 'aria-label': 'The share of messages delivered within a time' });
  for (const share of [0, 0.5, 0.9, 0.99, 0.999, 0.9999]) {
    chart.append(svg('path', { class: 'grid', d: `M${left} ${up(share)}H${right}` }));
    chart.append(svg('text', { class: 'soft', x: left - 6, y: up(share) + 4, 'text-anchor': 'end' }, `${Number((share * 100).toFixed(2))} %`));
  }
  for (const tick of ticks(from, to, true, width)) {
    chart.append(svg('path', { class: 'grid', d: `M${across(tick)} ${top}V${bottom}` }));
    chart.append(svg('text', { class: 'soft', x: across(tick), y: bottom + 15, 'text-anchor': 'middle' }, plain(tick)));
  }
  chart.append(svg('text', { class: 'soft', x: left, y: bottom + 32 }, 'share delivered within a time, ms, logarithmic'));
  for (const { subject, shares } of curves) {
    chart.append(svg('polyline', { class: `${subject} curve`, points: shares.map(([share, time]) => `${across(time).toFixed(1)},${up(share).toFixed(1)}`).join(' ') }));
    for (const mark of [0.5, 0.9, 0.99]) {
      const point = shares.find(([share]) => share >= mark - 1e-9);
      if (point) chart.append(svg('path', { class: `${subject} mark`, d: MARKS.get(subject) ?? '', transform: `translate(${across(point[1])} ${up(point[0])})` }));
    }
  }
  around.replaceChildren(html('p', 'All runs together:', 'soft'), chart);
}

element('facts').replaceChildren(...results.facts.map((fact) => html('li', fact)));
element('warnings').replaceChildren(...results.warnings.map((warning) => html('li', warning)));
element('notes').replaceChildren(...results.notes.map(([name, note]) => html('li', `Withdrawn (${name}) until it is measured anew: ${note}`)));
for (const event of ['input', 'change']) element('wish').addEventListener(event, showAdvice);
for (const id of ['wish', 'chooser']) element(id).addEventListener('submit', (event) => event.preventDefault());
let timer = 0;
addEventListener('resize', () => {
  clearTimeout(timer);
  timer = setTimeout(showFigures, 100);
});
showAdvice();
showFigures();
