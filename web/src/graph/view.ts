import type { ZoomTransform } from "d3-zoom";
import type { Palette } from "./palette";

/** What a node is drawn as: shape and colour both say it. */
export const Look = { Me: 0, Good: 1, Doubtful: 2, Low: 3, Heard: 4, Down: 5, Up: 6 } as const;

export interface SceneNode {
  id: string;
  label: string;
  look: number;
  /** How many hops from the node in the middle, where there is one. */
  ring?: number;
  /** How far it reaches at least, in the units of places: a dot that stands for many is large. */
  size?: number;
}

export interface SceneEdge {
  a: number;
  b: number;
  heard: boolean;
  tcp: boolean;
  /** 1: a dialled b, -1: b dialled a, 0: unknown. */
  dialled: number;
  /** Said beside the edge where there is room. */
  word: string;
  length: number;
}

/** A message on its way: over an edge, how far. */
export interface Spark {
  from: number;
  to: number;
  part: number;
}

export interface Glow {
  /** It is about one message: whoever lacks it is dimmed. */
  one: boolean;
  /** For each node since when it has the message, 0 to 1 as it fades; below 0: it has it not. */
  heat: Float32Array;
  sparks: Spark[];
  /** Ways that it went: pairs of indexes. */
  trail: number[];
}

/** What is drawn, as the painters see it. */
export interface View {
  nodes: SceneNode[];
  edges: SceneEdge[];
  positions: Float32Array;
  degree: Uint16Array;
  /** The edges of each node. */
  edgesOf(node: number): readonly SceneEdge[];
  transform: ZoomTransform;
  width: number;
  height: number;
  colours: Palette;
  glow: Glow | null;
  selected: number;
  hovered: number;
}

/** Finds the edges of a node, once somebody asks. */
export function edgesOf(edges: readonly SceneEdge[]): (node: number) => readonly SceneEdge[] {
  let found: Map<number, SceneEdge[]> | null = null;
  return (node) => {
    if (!found) {
      found = new Map();
      for (const edge of edges) {
        for (const end of [edge.a, edge.b]) {
          const known = found.get(end);
          if (known) known.push(edge);
          else found.set(end, [edge]);
        }
      }
    }
    return found.get(node) ?? [];
  };
}
