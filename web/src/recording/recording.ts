/**
 * A recording of a whole network: what `--record` writes. A line of JSON says who takes part, and
 * each further line what changed in a step. See README.md for the format.
 */

export interface Hop {
  message: string;
  from: number;
  to: number;
  /** When `from` sent it and when `to` had it, in virtual milliseconds. */
  start: number;
  end: number;
}

/** A message of the recording and how it spread. */
export interface Message {
  id: string;
  sender: number;
  began: number;
  ended: number;
  hops: Hop[];
  /** When each node had it first. */
  arrivals: Map<number, number>;
  /** From whom each node had it first. */
  parents: Map<number, number>;
}

export interface Link {
  a: number;
  b: number;
}

interface Step {
  t: number;
  up: number[];
  down: number[];
  links: [number, number][];
  cut: [number, number][];
}

/** What there is at a moment. */
export interface Moment {
  up: Uint8Array;
  /** Keys of links: `a * nodes + b` with a below b. */
  links: Set<number>;
}

const MOMENT_EACH_STEPS = 50;
/** The part of the most links that there ever are at a time. */
const TOGETHER = 0.9;
const MOST_NODES = 20_000;
const MOST_STEPS = 200_000;

export class Unreadable extends Error {}

export class Recording {
  readonly ids: string[];
  readonly names: string[] | null;
  readonly seed: string;
  readonly stepMs: number;
  readonly messages = new Map<string, Message>();
  /** All hops, in the order in which they end. Sorted when somebody asks. */
  private readonly allHops: Hop[] = [];
  private sortedHops = 0;
  private readonly steps: Step[] = [];
  private readonly moments: { step: number; moment: Moment }[] = [];
  private readonly ever = new Map<number, number>();
  private readonly latest: Moment;
  /** How many links there are after each step. */
  private readonly linked: number[] = [];
  /** Lines that made no sense. */
  skipped = 0;

  constructor(first: string) {
    const head = parse(first);
    if (head?.positron_recording !== 1 || !Array.isArray(head.nodes)) {
      throw new Unreadable("This is no recording: its first line does not say so.");
    }
    if (head.nodes.length > MOST_NODES) {
      throw new Unreadable(`This recording has ${head.nodes.length} nodes; ${MOST_NODES} are the most.`);
    }
    this.ids = head.nodes.map(String);
    this.names = Array.isArray(head.names) ? head.names.map(String) : null;
    this.seed = String(head.seed ?? "not told");
    this.stepMs = Number(head.step_ms) > 0 ? Number(head.step_ms) : 1000;
    this.latest = { up: new Uint8Array(this.ids.length), links: new Set() };
  }

  /** Takes one more line. */
  take(line: string): void {
    const said = line === "" ? null : parse(line);
    const t = Number(said?.t_ms);
    const last = this.steps.at(-1)?.t ?? -Infinity;
    if (!said || !Number.isFinite(t) || t < last || this.steps.length >= MOST_STEPS) {
      if (line !== "") this.skipped += 1;
      return;
    }
    const step: Step = {
      t,
      up: this.nodesOf(said.up),
      down: this.nodesOf(said.down),
      links: this.pairsOf(said.links),
      cut: this.pairsOf(said.cut),
    };
    if (this.steps.length % MOMENT_EACH_STEPS === 0) {
      this.moments.push({ step: this.steps.length, moment: copy(this.latest) });
    }
    this.steps.push(step);
    this.apply(this.latest, step);
    this.linked.push(this.latest.links.size);
    for (const pair of step.links) {
      const key = this.key(pair);
      this.ever.set(key, (this.ever.get(key) ?? 0) + 1);
    }
    if (Array.isArray(said.hops)) for (const hop of said.hops) this.takeHop(hop, t);
  }

  get lengthMs(): number {
    return this.steps.at(-1)?.t ?? 0;
  }

  get startMs(): number {
    return this.steps[0]?.t ?? 0;
  }

  /** When the network has come together: from then on there is something to see. */
  get togetherMs(): number {
    const most = this.linked.reduce((a, b) => Math.max(a, b), 0);
    const step = this.linked.findIndex((links) => links >= most * TOGETHER);
    return this.steps[step]?.t ?? this.startMs;
  }

  /** All links that there ever were, by which the picture is laid out: nothing jumps in time. */
  everLinked(): Link[] {
    return [...this.ever.keys()].map((key) => this.link(key));
  }

  link(key: number): Link {
    return { a: Math.floor(key / this.ids.length), b: key % this.ids.length };
  }

  /** The step at a time. */
  stepAt(t: number): number {
    let [low, high] = [0, this.steps.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.steps[middle]!.t <= t) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** What there is after a step: the nearest moment before it that was kept, and changes since. */
  at(step: number): Moment {
    const kept = this.moments[Math.min(Math.floor(Math.max(step, 0) / MOMENT_EACH_STEPS), this.moments.length - 1)];
    if (!kept) return copy(this.latest);
    const moment = copy(kept.moment);
    for (let i = kept.step; i <= step && i < this.steps.length; i += 1) this.apply(moment, this.steps[i]!);
    return moment;
  }

  /** What changes with a step, in words; nothing if only messages move. */
  told(step: number): string {
    const of = this.steps[step];
    if (!of) return "";
    const parts = [
      of.up.length > 0 ? `${nodes(of.up.length)} came up` : "",
      of.down.length > 0 ? `${nodes(of.down.length)} went down` : "",
      of.cut.length > 0 ? `${links(of.cut.length)} cut` : "",
      of.links.length > 0 ? `${links(of.links.length)} made` : "",
    ];
    return parts.filter((part) => part !== "").join(", ");
  }

  /** Hops that end in a span of time. */
  hopsBetween(from: number, to: number): Hop[] {
    if (this.sortedHops !== this.allHops.length) {
      this.allHops.sort((x, y) => x.end - y.end);
      this.sortedHops = this.allHops.length;
    }
    const hops = this.allHops;
    let [low, high] = [0, hops.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (hops[middle]!.end < from) low = middle + 1;
      else high = middle;
    }
    const found: Hop[] = [];
    for (let i = low; i < hops.length && hops[i]!.end <= to; i += 1) found.push(hops[i]!);
    return found;
  }

  /** How much happened in each of so many equal spans of time. */
  activity(spans: number): { hops: number[]; changes: number[] } {
    const hops = new Array<number>(spans).fill(0);
    const changes = new Array<number>(spans).fill(0);
    const [start, long] = [this.startMs, Math.max(1, this.lengthMs - this.startMs)];
    const place = (t: number) => Math.max(0, Math.min(spans - 1, Math.floor(((t - start) / long) * spans)));
    for (const hop of this.allHops) hops[place(hop.end)]! += 1;
    this.steps.forEach((step, i) => {
      if (i > 0) changes[place(step.t)]! += step.down.length + step.up.length + step.cut.length;
    });
    return { hops, changes };
  }

  private takeHop(said: unknown, t: number): void {
    if (!Array.isArray(said)) return;
    const [name, from, to, delay, at] = said as unknown[];
    if (!this.isNode(from) || !this.isNode(to)) {
      this.skipped += 1;
      return;
    }
    const id = String(name);
    const took = Math.max(0, Number(delay) || 0);
    let message = this.messages.get(id);
    if (!message) {
      const began = (Number.isFinite(Number(at)) && at !== undefined ? Number(at) : t) - took;
      message = {
        id,
        sender: from,
        began,
        ended: began,
        hops: [],
        arrivals: new Map([[from, began]]),
        parents: new Map(),
      };
      this.messages.set(id, message);
    }
    const had = message.arrivals.get(from) ?? t - took;
    const end = at !== undefined && Number.isFinite(Number(at)) ? Number(at) : had + took;
    const hop = { message: id, from, to, start: end - took, end };
    this.allHops.push(hop);
    message.hops.push(hop);
    const before = message.arrivals.get(to);
    if (before === undefined || end < before) {
      message.arrivals.set(to, end);
      message.parents.set(to, from);
    }
    message.ended = Math.max(message.ended, message.arrivals.get(to)!);
  }

  private apply(moment: Moment, step: Step): void {
    for (const i of step.up) moment.up[i] = 1;
    for (const pair of step.links) moment.links.add(this.key(pair));
    for (const pair of step.cut) moment.links.delete(this.key(pair));
    for (const i of step.down) moment.up[i] = 0;
  }

  private key([a, b]: [number, number]): number {
    return Math.min(a, b) * this.ids.length + Math.max(a, b);
  }

  private isNode(said: unknown): said is number {
    return Number.isInteger(said) && (said as number) >= 0 && (said as number) < this.ids.length;
  }

  private nodesOf(said: unknown): number[] {
    return Array.isArray(said) ? said.filter((one) => this.isNode(one)) : [];
  }

  private pairsOf(said: unknown): [number, number][] {
    if (!Array.isArray(said)) return [];
    return said.filter((pair) => Array.isArray(pair) && this.isNode(pair[0]) && this.isNode(pair[1])) as [number, number][];
  }
}

const nodes = (n: number) => `${n} ${n === 1 ? "node" : "nodes"}`;
const links = (n: number) => `${n} ${n === 1 ? "link" : "links"}`;

function copy(moment: Moment): Moment {
  return { up: moment.up.slice(), links: new Set(moment.links) };
}

function parse(line: string): Record<string, unknown> | null {
  try {
    const said: unknown = JSON.parse(line);
    return typeof said === "object" && said !== null ? (said as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** Reads a recording as it comes; `grew` is called now and then, and at the end. */
export async function read(
  stream: ReadableStream<Uint8Array>,
  grew: (recording: Recording, whole: boolean) => void,
): Promise<void> {
  const reader = (stream as ReadableStream<BufferSource>).pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let recording: Recording | null = null;
  let shown = performance.now();
  for (;;) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : lines.pop()!;
    for (const line of lines) {
      if (recording) recording.take(line);
      else if (line !== "") recording = new Recording(line);
    }
    if (done) break;
    if (recording && recording.lengthMs > 0 && performance.now() - shown > 400) {
      shown = performance.now();
      grew(recording, false);
    }
  }
  if (!recording) throw new Unreadable("The recording is empty.");
  grew(recording, true);
}

/** Over how many hops a node had a message. */
export function depthOf(message: Message, node: number): number {
  let depth = 0;
  let at: number | undefined = node;
  // A recording may say what cannot be: that two have it from one another.
  while (at !== undefined && at !== message.sender && depth <= message.parents.size) {
    at = message.parents.get(at);
    depth += 1;
  }
  return depth;
}

/** In what time about half of a message's way is gone: by that it is shown slowly or fast. */
export function paceOf(message: Message): number {
  const delays = [...message.arrivals.values()].map((at) => at - message.began).sort((x, y) => x - y);
  return Math.max(1, quantile(delays, 0.5));
}

/** When something moves next that is not on its way yet; nothing if all is over. */
export function nextStart(message: Message, t: number): number | null {
  let next: number | null = null;
  for (const hop of message.hops) {
    if (hop.end <= t) continue;
    if (hop.start <= t) return t;
    if (next === null || hop.start < next) next = hop.start;
  }
  return next;
}

/** The value below which a part of them lies. */
export function quantile(sorted: number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}
