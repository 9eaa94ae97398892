import { phyllotaxis } from "./layout";
import { Look, type SceneEdge, type SceneNode } from "./view";

/** From how many nodes on a picture shows one dot for those that are in one network. */
export const CROWD_FROM = 3000;
/** From how large on it shows each of them, and until how small again. */
export const OPENS_AT = 2.6;
export const CLOSES_AT = 2;

/** Between nodes of one network, in the units of places. */
const SPACING = 7;
/** Of pairs of networks that have to do with each other, those that have most are drawn. */
const MOST_PAIRS = 3000;

/** Many nodes, as few dots: one for each network of addresses. */
export interface Crowd {
  nodes: SceneNode[];
  edges: SceneEdge[];
  /** Which nodes each dot stands for. */
  members: number[][];
}

/** The /16 of an address, or the /32 if it is one of IPv6. */
export function networkOf(address: string | null | undefined): string {
  const four = /^(\d+)\.(\d+)\.\d+\.\d+(:\d+)?$/.exec(address ?? "");
  if (four) return `${four[1]}.${four[2]}.0.0/16`;
  const six = /^\[?([\da-f]{1,4}):([\da-f]{1,4}):/i.exec(address ?? "");
  return six ? `${six[1]}:${six[2]}::/32` : "no known address";
}

export function crowdOf(nodes: SceneNode[], edges: SceneEdge[], networks: string[]): Crowd {
  const index = new Map<string, number>();
  const members: number[][] = [];
  const of = new Uint32Array(nodes.length);
  nodes.forEach((node, i) => {
    const name = node.look === Look.Me ? node.id : networks[i]!;
    let at = index.get(name);
    if (at === undefined) {
      at = members.length;
      index.set(name, at);
      members.push([]);
    }
    members[at]!.push(i);
    of[i] = at;
  });
  const dots = [...index.keys()].map((name, at): SceneNode => {
    const first = nodes[members[at]![0]!]!;
    if (first.look === Look.Me) return first;
    const looks = members[at]!.map((i) => nodes[i]!.look);
    return { id: `network ${name}`, label: name, look: worst(looks), size: 0.5 * SPACING * Math.sqrt(looks.length) };
  });
  return { nodes: dots, edges: pairs(edges, of, dots), members };
}

/** What the pointer finds first: who is linked, and of them whom this node trusts least. */
function worst(looks: number[]): number {
  return [Look.Low, Look.Doubtful, Look.Good, Look.Up, Look.Heard].find((look) => looks.includes(look)) ?? Look.Down;
}

function pairs(edges: SceneEdge[], of: Uint32Array, dots: SceneNode[]): SceneEdge[] {
  const found = new Map<number, { edge: SceneEdge; weight: number }>();
  for (const edge of edges) {
    const [a, b] = [Math.min(of[edge.a]!, of[edge.b]!), Math.max(of[edge.a]!, of[edge.b]!)];
    if (a === b) continue;
    const key = a * dots.length + b;
    let pair = found.get(key);
    if (!pair) {
      const length = 30 + 2 * ((dots[a]!.size ?? 0) + (dots[b]!.size ?? 0));
      pair = { edge: { a, b, heard: true, tcp: false, dialled: 0, word: "", length }, weight: 0 };
      found.set(key, pair);
    }
    pair.weight += edge.heard ? 1 : 1e6;
    pair.edge.heard &&= edge.heard;
  }
  const strongest = [...found.values()].sort((x, y) => y.weight - x.weight);
  return strongest.slice(0, MOST_PAIRS).map((pair) => pair.edge);
}

/** Where each dot is, by its id. */
export type Places = Map<string, [number, number]>;

/** Where dots are: as they were, or at the rim if they are new. */
export function dotsAt(crowd: Crowd, places: Places): Float32Array {
  return Float32Array.from(crowd.nodes.flatMap((dot, i) => places.get(dot.id) ?? phyllotaxis(i, 60)));
}

/** Where nodes are: around where their dot is. */
export function nodesAt(crowd: Crowd, places: Places): Float32Array {
  const dots = dotsAt(crowd, places);
  const positions = new Float32Array(2 * crowd.members.reduce((sum, of) => sum + of.length, 0));
  crowd.members.forEach((of, dot) =>
    of.forEach((node, i) => {
      const [x, y] = of.length === 1 ? [0, 0] : phyllotaxis(i, SPACING);
      positions[2 * node] = dots[2 * dot]! + x;
      positions[2 * node + 1] = dots[2 * dot + 1]! + y;
    }),
  );
  return positions;
}
