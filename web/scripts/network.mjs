// A made-up gossiping network, and the recording of it in the format of `simulate --record`.
// Delays are those of an overlay of random peers, drawn from a seed.

/** Random numbers from a seed (mulberry32): the same ones everywhere. */
export function dice(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function ids(count, roll) {
  const digit = () => Math.floor(roll() * 16).toString(16);
  return Array.from({ length: count }, () => Array.from({ length: 64 }, digit).join(""));
}

/** Nodes that each dial a few others, near ones rather than far ones: pairs of indexes. */
export function overlay(count, each, roll) {
  const edges = new Map();
  const link = (a, b) => {
    if (a !== b) edges.set(Math.min(a, b) * count + Math.max(a, b), [Math.min(a, b), Math.max(a, b)]);
  };
  for (let i = 1; i < count; i += 1) link(i, Math.floor(roll() * i));
  for (let i = 0; i < count; i += 1) {
    for (let k = 1; k < each; k += 1) {
      const near = roll() < 0.9;
      const step = near ? 1 + Math.floor(roll() ** 3 * count * 0.06) : Math.floor(roll() * count);
      link(i, (i + step) % count);
    }
  }
  return [...edges.values()];
}

/** The lines of a recording: churn, a partition that heals, and messages that spread. */
export function* recording({ nodes = 1000, seconds = 60, seed = 7, stepMs = 100, each = 3, messagesASecond = 1 }) {
  const roll = dice(seed);
  const names = ids(nodes, roll);
  yield JSON.stringify({ positron_recording: 1, seed, nodes: names, step_ms: stepMs });
  const all = overlay(nodes, each, roll);
  const delay = new Map(all.map(([a, b]) => [a * nodes + b, 8 + roll() ** 2 * 90]));
  const key = (a, b) => Math.min(a, b) * nodes + Math.max(a, b);
  const up = new Set(names.map((_, i) => i));
  const cut = new Set();
  const waiting = [];
  let sent = 0;
  const side = (i) => i < nodes / 3;
  for (let t = 0; t <= seconds * 1000; t += stepMs) {
    const line = { t_ms: t };
    if (t === 0) {
      line.up = [...up];
      line.links = all;
    }
    const second = t / 1000;
    if (t > 0 && t % 5000 === 0) {
      const victim = Math.floor(roll() * nodes);
      if (up.delete(victim)) line.down = [victim];
      const back = Math.floor(roll() * nodes);
      if (!up.has(back) && back !== victim) {
        up.add(back);
        line.up = [back];
      }
    }
    if (second === Math.floor(seconds * 0.4)) {
      line.cut = all.filter(([a, b]) => side(a) !== side(b));
      for (const [a, b] of line.cut) cut.add(key(a, b));
    }
    if (second === Math.floor(seconds * 0.6)) {
      line.links = all.filter(([a, b]) => cut.has(key(a, b)));
      cut.clear();
    }
    if (t > 0 && t % Math.round(1000 / messagesASecond) === 0) {
      const message = names[sent % nodes].slice(0, 56) + sent.toString(16).padStart(8, "0");
      waiting.push(...spread(message, Math.floor(roll() * nodes), t));
      waiting.sort((x, y) => x[4] - y[4]);
      sent += 1;
    }
    let due = 0;
    while (due < waiting.length && waiting[due][4] <= t) due += 1;
    if (due > 0) line.hops = waiting.splice(0, due);
    yield JSON.stringify(line);
  }

  /** Who has a message when: the first arrival over links that are there. */
  function spread(message, sender, begin) {
    const neighbours = Array.from({ length: nodes }, () => []);
    for (const [a, b] of all) {
      if (!up.has(a) || !up.has(b) || cut.has(key(a, b))) continue;
      neighbours[a].push(b);
      neighbours[b].push(a);
    }
    const had = new Map([[sender, begin]]);
    const done = new Set();
    const hops = new Map();
    let edge = [sender];
    while (edge.length > 0) {
      edge.sort((x, y) => had.get(x) - had.get(y));
      const from = edge.shift();
      if (done.has(from)) continue;
      done.add(from);
      for (const to of neighbours[from]) {
        const took = delay.get(key(from, to)) * (0.8 + 0.4 * roll());
        const at = had.get(from) + took;
        if (had.has(to) && had.get(to) <= at) continue;
        had.set(to, at);
        hops.set(to, [message, from, to, round(took), round(at)]);
        edge.push(to);
      }
    }
    return [...hops.values()];
  }
}

const round = (ms) => Math.round(ms * 10) / 10;
