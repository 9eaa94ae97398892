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

const GOLDEN = Math.PI * (3 - Math.sqrt(5));

/** The i-th place of a sunflower: an even disc, from which a layout settles quickly. */
export function phyllotaxis(i: number, spacing: number): [number, number] {
  const r = spacing * Math.sqrt(i + 0.5);
  return [r * Math.cos(i * GOLDEN), r * Math.sin(i * GOLDEN)];
}
