import type { Trace } from "../api/types";
import { Look, type SceneEdge, type SceneNode } from "../graph/view";
import { remote, shortId } from "../format";

/** One hop of a message: who had it from whom, when after it began. */
export interface Hop {
  from: number;
  to: number;
  fromMs: number;
  afterMs: number;
  how: string;
  reported: boolean;
}

export interface Tree {
  nodes: SceneNode[];
  edges: SceneEdge[];
  hops: Hop[];
}

/** The way of a message as far as it is known: what this node saw, and what others reported. */
export function treeOf(trace: Trace, me: string | null): Tree {
  const own = trace.local?.own === true;
  const self = (own ? trace.sender : null) ?? me;
  const nodes: SceneNode[] = [{ id: self ?? "this node", label: own ? "this node, the sender" : "this node", look: Look.Me, ring: 0 }];
  const hops: Hop[] = [];
  const index = new Map<string, number>();
  const at = (id: string, ring: number): number => {
    const known = index.get(id.slice(0, 12));
    if (known !== undefined) return known;
    nodes.push({ id, label: remote(shortId(id), 24), look: Look.Up, ring });
    index.set(id.slice(0, 12), nodes.length - 1);
    return nodes.length - 1;
  };
  if (self) index.set(self.slice(0, 12), 0);
  for (const { peer, after_ms, how, not_sent } of trace.local?.forwarded ?? []) {
    if (not_sent) continue;
    hops.push({ from: 0, to: at(peer, 1), fromMs: 0, afterMs: after_ms, how: how ?? "push", reported: false });
  }
  const sample = trace.network?.sample ?? [];
  const places = sample.map((one, i) => one.origin ? 0 : at(one.id ?? `hidden ${i}`, Math.max(1, Math.min(64, one.depth))));
  sample.forEach((one, i) => {
    const to = places[i]!;
    if (one.id === null) nodes[to]!.label = `depth ${one.depth}`;
    const from = one.parent === null ? 0 : (places[one.parent] ?? 0);
    const parent = one.parent === null ? null : sample[one.parent];
    const fromMs = parent?.after_ms ?? Math.max(0, one.after_ms - (one.hop_ms ?? one.after_ms));
    // Through whom a node of the sample has it is not known where that one is not in the sample.
    if (from === to || hops.some((hop) => hop.to === to && !hop.reported)) return;
    hops.push({ from, to, fromMs: Math.min(fromMs, one.after_ms), afterMs: one.after_ms, how: "reported", reported: true });
  });
  const edges = hops.map((hop): SceneEdge => ({
    a: hop.from,
    b: hop.to,
    heard: hop.reported,
    tcp: false,
    dialled: 0,
    word: "",
    length: 90,
  }));
  return { nodes, edges, hops };
}
