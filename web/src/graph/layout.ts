/** What the page and its layout worker say to one another. */

export type LayoutOrder =
  | {
      order: "begin";
      generation: number;
      /** x, y of each node. */
      positions: Float32Array;
      /** Pairs of indexes. */
      edges: Uint32Array;
      /** How long each edge would like to be. */
      lengths: Float32Array;
      /** How far from the middle each node would like to be; below 0: anywhere. */
      rings: Float32Array;
      /** How far each node reaches: twice as far there is to be no other one. */
      sizes: Float32Array;
      /** How lively it starts: 1 from nothing, less when little changed. */
      alpha: number;
      /** Answer once, when it is settled. */
      atOnce: boolean;
    }
  | { order: "freeze"; frozen: boolean };

export interface LayoutAnswer {
  generation: number;
  positions: Float32Array;
  settled: boolean;
}

/**
 * The radius of each ring around the node in the middle: by how many hops away it is, and by how
 * much room those need that are on it.
 */
export function ringRadii(depths: number[]): number[] {
  const counts: number[] = [];
  for (const depth of depths) counts[depth] = (counts[depth] ?? 0) + 1;
  const radii = [0];
  for (let depth = 1; depth < counts.length; depth += 1) {
    const n = counts[depth] ?? 0;
    const room = (n * (n <= 60 ? 62 : 14)) / (2 * Math.PI);
    radii[depth] = Math.max(radii[depth - 1]! + 118, room);
  }
  return radii;
}

const GOLDEN = Math.PI * (3 - Math.sqrt(5));

/** The i-th place of a sunflower: an even disc, from which a layout settles quickly. */
export function phyllotaxis(i: number, spacing: number): [number, number] {
  const r = spacing * Math.sqrt(i + 0.5);
  return [r * Math.cos(i * GOLDEN), r * Math.sin(i * GOLDEN)];
}
