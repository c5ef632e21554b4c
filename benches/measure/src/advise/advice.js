/**
 * The verdict, calculated in the page: the same rules as `model.rs` and `verdict.rs`, on the same model.
 * A test gives both the same chats and compares what they say.
 *
 * @typedef {{ median: number, least: number, most: number, samples: number }} Range
 * @typedef {{ points: [number, number, Range][] }} Grid
 * @typedef {{
 *   subject: string, paced: boolean, p50_ms: Grid, total_bytes: Grid,
 *   lone_bytes: Range | null, added_bytes: Range | null, hourly_bytes: Range | null, hourly_cpu_ms: Range | null,
 *   send_bytes: Range | null, delivery_us: Range | null, publishing_us: Range | null, connection_kib: Range | null,
 *   withdrawn: Record<string, string>,
 * }} Transport
 * @typedef {{ memory_mib: number, cores: number, text_bytes: number, transports: Transport[] }} Model
 * @typedef {{ rate_per_s: number, rtt_ms: number, clients: number, send_rate_per_s: number }} Wish
 * @typedef {{
 *   subject: string, p50_ms: Range | null, hourly_bytes: Range | null, cores: Range | null,
 *   memory_mib: Range | null, lacking: Record<string, string>,
 * }} Estimate
 * @typedef {'best' | 'level' | 'close' | 'behind'} Rank
 * @typedef {{ subject: string, value: Range, rank: Rank }} Standing
 * @typedef {{ name: string, noticed: number, standings: Standing[] }} Criterion
 * @typedef {{ fit: string[] } | { trade: string[] } | 'cannot_tell'} Choice
 */

/** With fewer samples there is no ranking: as in `../ranking.rs`. */
export const LEAST_SAMPLES = 3;

/** Why latency is unknown if a transport needs more than the measured machine has. */
const TOO_MUCH = 'unknown: it needs more than the measured machine has';

/** Why latency and bytes are unknown at a rate or a round trip that was not measured. */
const OUTSIDE = 'unknown outside of what was measured';

/** @type {Range} */
const NOTHING = { median: 0, least: 0, most: 0, samples: Infinity };

/** @param {Range} one @param {Range} other @returns {Range} */
function plus(one, other) {
  return {
    median: one.median + other.median,
    least: one.least + other.least,
    most: one.most + other.most,
    samples: Math.min(one.samples, other.samples),
  };
}

/** @param {Range} range @param {number} factor @returns {Range} */
function times({ median, least, most, samples }, factor) {
  return { median: median * factor, least: least * factor, most: most * factor, samples };
}

/**
 * The nearest values below and above a value, and how far it is from the first to the second, from 0 to 1.
 *
 * @param {number[]} values @param {number} value @returns {[number, number, number] | null}
 */
function between(values, value) {
  const sorted = [...values].sort((one, other) => one - other);
  if (sorted.length === 0) return null;
  const inside = Math.min(Math.max(value, sorted[0]), sorted[sorted.length - 1]);
  const above = sorted.find((known) => known >= inside) ?? inside;
  const below = sorted.findLast((known) => known <= inside) ?? inside;
  return [below, above, above > below ? (inside - below) / (above - below) : 0];
}

/**
 * The figure at a rate and a round trip, interpolated between the four nearest points.
 *
 * @param {Grid} grid @param {number} rate @param {number} trip @returns {Range | null}
 */
export function at({ points }, rate, trip) {
  const along = between(points.map((point) => Math.log(point[0])), Math.log(rate));
  const down = between(points.map((point) => point[1]), trip);
  if (!along || !down) return null;
  let sum = NOTHING;
  for (const [index, share] of [[0, 1 - along[2]], [1, along[2]]]) {
    for (const [side, part] of [[0, 1 - down[2]], [1, down[2]]]) {
      if (share * part === 0) continue;
      const known = points.find((point) => Math.log(point[0]) === along[index] && point[1] === down[side]);
      if (!known) return null;
      sum = plus(sum, times(known[2], share * part));
    }
  }
  return sum;
}

/**
 * The latency measured nearest, but at least half a round trip plus the latency without a round trip.
 *
 * @param {Transport} transport @param {Wish} wish @returns {Range | null}
 */
function latency(transport, { rate_per_s: rate, rtt_ms: trip }) {
  const own = at(transport.p50_ms, rate, 0);
  const found = at(transport.p50_ms, rate, trip);
  return own && found && {
    median: Math.max(found.median, own.median + trip / 2),
    least: Math.max(found.least, own.least + trip / 2),
    most: Math.max(found.most, own.most + trip / 2),
    samples: Math.min(found.samples, own.samples),
  };
}

/** @param {Model} model @param {Transport} transport @param {Wish} wish @returns {Estimate} */
function estimate(model, transport, wish) {
  const { rate_per_s: rate, rtt_ms: trip, clients, send_rate_per_s: sends } = wish;
  const { hourly_bytes: quiet, hourly_cpu_ms: idle, delivery_us: delivery, publishing_us: publishing } = transport;
  const each = transport.paced ? transport.added_bytes : at(transport.total_bytes, rate, trip) ?? transport.lone_bytes;
  const sending = transport.send_bytes ? times(transport.send_bytes, sends * 3600) : NOTHING;
  const busy = idle && delivery && publishing
    && plus(plus(times(idle, 1 / 3600e3), times(delivery, rate / 1e6)), times(publishing, sends / 1e6));
  const outside = beyond(model, wish).length > 0;
  const hourly_bytes = outside ? null : quiet && each && plus(plus(quiet, times(each, rate * 3600)), sending);
  const cores = busy && times(busy, clients);
  const memory_mib = transport.connection_kib && times(transport.connection_kib, clients / 1024);
  const tooMuch = (cores?.median ?? 0) > model.cores || (memory_mib?.median ?? 0) > model.memory_mib;
  const p50_ms = tooMuch || outside ? null : latency(transport, wish);
  /** @type {Record<string, string>} */
  const lacking = {};
  for (const [name, value] of Object.entries({ bytes: hourly_bytes, latency: p50_ms, memory: memory_mib, processor: cores })) {
    if (value) continue;
    const why = transport.withdrawn[name];
    if (why) lacking[name] = `withdrawn (${why})`;
    else if (outside && (name === 'latency' || name === 'bytes')) lacking[name] = OUTSIDE;
    else lacking[name] = tooMuch && name === 'latency' ? TOO_MUCH : 'not measured';
  }
  return { subject: transport.subject, p50_ms, hourly_bytes, cores, memory_mib, lacking };
}

/** @param {Range} one @param {Range} other */
function apart(one, other) {
  const enough = Math.min(one.samples, other.samples) >= LEAST_SAMPLES;
  return enough && (one.most < other.least || other.most < one.least);
}

/** @param {string} name @param {number} noticed @param {[string, Range | null][]} values @returns {Criterion} */
function criterion(name, noticed, values) {
  const known = values.flatMap(([subject, value]) => (value ? [{ subject, value }] : []));
  const best = known.reduce(
    (first, one) => (first === null || one.value.median < first.value.median ? one : first),
    /** @type {{ subject: string, value: Range } | null} */ (null),
  );
  const standings = known.map(({ subject, value }) => {
    const first = best ?? { subject, value };
    /** @type {Rank} */
    let rank = 'behind';
    if (first.subject === subject) rank = 'best';
    else if (!apart(value, first.value)) rank = 'level';
    else if (value.median - first.value.median < noticed) rank = 'close';
    return { subject, value, rank };
  });
  return { name, noticed, standings };
}

/** @param {Criterion[]} criteria @param {Estimate[]} estimates @returns {Choice} */
function choose(criteria, estimates) {
  const known = criteria.filter(({ standings }) =>
    standings.length >= 2 && standings.every(({ value }) => value.samples >= LEAST_SAMPLES));
  if (!known.some(({ name }) => name === 'latency')) return 'cannot_tell';
  let subjects = estimates.map(({ subject }) => subject);
  const rank = (/** @type {Criterion} */ { standings }, /** @type {string} */ subject) =>
    standings.find((standing) => standing.subject === subject)?.rank;
  const left = subjects.filter((subject) => !known.some((one) => rank(one, subject) === 'behind'));
  // A missing figure neither recommends a transport nor rules it out.
  const fit = left.filter((subject) => known.every((one) => rank(one, subject)));
  if (fit.length > 0) return { fit };
  if (left.length > 0) return 'cannot_tell';
  for (const one of known) {
    const ahead = subjects.filter((subject) => (rank(one, subject) ?? 'behind') !== 'behind');
    if (ahead.length > 0) subjects = ahead;
  }
  return { trade: subjects };
}

/**
 * An estimate for each transport in a chat, how the transports compare, and which of them fit.
 *
 * @param {Model} model @param {Wish} wish @returns {{ estimates: Estimate[], criteria: Criterion[], choice: Choice }}
 */
export function advise(model, wish) {
  const estimates = model.transports.map((transport) => estimate(model, transport, wish));
  /** @param {(one: Estimate) => Range | null} value @returns {[string, Range | null][]} */
  const values = (value) => estimates.map((one) => [one.subject, value(one)]);
  const criteria = [
    criterion('latency', 100, values((one) => one.p50_ms)),
    criterion('bytes', 1e6, values((one) => one.hourly_bytes)),
    criterion('processor', 0.01, values((one) => one.cores)),
    criterion('memory', model.memory_mib * 0.01, values((one) => one.memory_mib)),
  ];
  return { estimates, criteria, choice: choose(criteria, estimates) };
}

/**
 * In which way a wish lies outside of what was measured. Then there is no advice.
 *
 * @param {Model} model @param {Wish} wish @returns {string[]}
 */
export function beyond(model, wish) {
  const points = model.transports.flatMap((transport) => transport.p50_ms.points);
  if (points.length === 0) return [];
  const outside = (/** @type {string} */ what, /** @type {number} */ value, /** @type {number[]} */ known) => {
    const [least, most] = [Math.min(...known), Math.max(...known)];
    return value < least || value > most ? [`the ${what} lies outside of the measured ${least} to ${most}`] : [];
  };
  return [
    // At the lowest measured rate each message is sent alone already, so lower rates are the same.
    ...outside('rate in messages a second', wish.rate_per_s, [0, ...points.map((point) => point[0])]),
    ...outside('round trip in ms', wish.rtt_ms, points.map((point) => point[1])),
  ];
}
