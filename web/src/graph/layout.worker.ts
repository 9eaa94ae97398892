import {
  forceCollide,
  forceLink,
  forceManyBody,
  forceRadial,
  forceSimulation,
  forceX,
  forceY,
  type Simulation,
  type SimulationLinkDatum,
  type SimulationNodeDatum,
} from "d3-force";
import type { LayoutAnswer, LayoutOrder } from "./layout";

/** Lays a graph out, away from the thread that draws. */

type Link = SimulationLinkDatum<SimulationNodeDatum> & { length: number };

const TICKS_A_POST = 3;
const scope = self as unknown as {
  onmessage: ((message: MessageEvent<LayoutOrder>) => void) | null;
  postMessage: (answer: LayoutAnswer, transfer: Transferable[]) => void;
};

let simulation: Simulation<SimulationNodeDatum, Link> | null = null;
let nodes: SimulationNodeDatum[] = [];
let generation = 0;
let atOnce = false;
let frozen = false;
let timer = 0;

scope.onmessage = (message) => {
  const order = message.data;
  if (order.order === "freeze") {
    frozen = order.frozen;
    if (!frozen && simulation) go();
    return;
  }
  begin(order);
};

function begin(order: Extract<LayoutOrder, { order: "begin" }>): void {
  const { positions, edges, lengths, rings, sizes } = order;
  generation = order.generation;
  atOnce = order.atOnce;
  const count = positions.length / 2;
  nodes = Array.from({ length: count }, (_, i) => ({ x: positions[2 * i]!, y: positions[2 * i + 1]! }));
  const links: Link[] = Array.from({ length: edges.length / 2 }, (_, i) => ({
    source: edges[2 * i]!,
    target: edges[2 * i + 1]!,
    length: lengths[i]!,
  }));
  const many = count > 2000;
  const ringed = rings.some((radius) => radius >= 0);
  const tie = forceLink<SimulationNodeDatum, Link>(links).distance((l) => l.length);
  // A tree hangs by its links; of a mesh they only decide who is beside whom.
  if (ringed) tie.strength(links.length < count * 1.3 ? 0.5 : 0.06);
  const crowded = sizes.some((size) => size > 0);
  const onRing = (_: SimulationNodeDatum, i: number) => rings[i]!;
  simulation = forceSimulation<SimulationNodeDatum, Link>(nodes)
    .stop()
    .alpha(order.alpha)
    .alphaMin(0.01)
    .alphaDecay(many ? 0.06 : 0.035)
    .velocityDecay(0.45)
    .force("charge", forceManyBody().strength(count < 80 ? -420 : ringed || many ? -46 : -120).theta(many ? 1.4 : 1.1))
    .force("link", tie)
    .force("room", crowded ? forceCollide((_, i: number) => sizes[i]! * 2.2) : null)
    .force("ring", ringed ? forceRadial(onRing).strength(count < 80 ? 0.9 : 0.22) : null)
    .force("x", forceX(0).strength(ringed ? 0 : 0.045))
    .force("y", forceY(0).strength(ringed ? 0 : 0.06));
  go();
}

function go(): void {
  clearTimeout(timer);
  if (!simulation || frozen) return;
  const began = performance.now();
  do {
    simulation.tick(TICKS_A_POST);
  } while (atOnce && simulation.alpha() >= simulation.alphaMin() && performance.now() - began < 8000);
  const settled = atOnce || simulation.alpha() < simulation.alphaMin();
  const positions = new Float32Array(nodes.length * 2);
  nodes.forEach((node, i) => {
    positions[2 * i] = node.x!;
    positions[2 * i + 1] = node.y!;
  });
  scope.postMessage({ generation, positions, settled }, [positions.buffer]);
  if (settled) simulation = null;
  else timer = setTimeout(go, 0) as unknown as number;
}
