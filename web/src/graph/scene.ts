import { quadtree, type Quadtree } from "d3-quadtree";
import { select } from "d3-selection";
import { zoom, zoomIdentity, type D3ZoomEvent, type ZoomBehavior, type ZoomTransform } from "d3-zoom";
import { phyllotaxis, ringRadii, type LayoutAnswer, type LayoutOrder } from "./layout";
import { drawEdges, drawGlow, drawHovered, drawLabels, drawNodes, drawSelection } from "./paint";
import { palette, wantsLessMotion, whenThemeChanges } from "./palette";
import { edgesOf, Look, type Glow, type SceneEdge, type SceneNode, type View } from "./view";

export interface Told {
  hover(index: number, x: number, y: number): void;
  select(index: number): void;
  /** How much larger everything is than where all of it is seen. */
  zoomed(times: number): void;
  /** How much of the foot of the canvas is covered, in pixels. */
  foot(): number;
}

const REACH_PX = 18;
const CACHE_FROM_EDGES = 600;
/** While a layout moves, nobody can follow more of them. */
const MOST_MOVING_EDGES = 5000;
const SHARPEN_AFTER_MS = 140;

/**
 * A network on a canvas. Draws only when something changed; edges stay on a canvas of their own
 * while nothing moves, because they are most of the work. What the pointer is on is drawn on a
 * canvas above, and told at once: a pointer that moves paints nothing else.
 */
export class Scene {
  private view: View;
  private readonly context: CanvasRenderingContext2D;
  private readonly over: CanvasRenderingContext2D;
  private readonly edgeLayer = document.createElement("canvas");
  private edgesAt: ZoomTransform | null = null;
  private worker: Worker | null = null;
  private generation = 0;
  private tree: Quadtree<number> | null = null;
  private frame = 0;
  private sharpen = 0;
  private moving = false;
  private fitted = true;
  private fittedScale = 1;
  private readonly scale = Math.min(window.devicePixelRatio || 1, 2);
  private readonly zoom: ZoomBehavior<HTMLCanvasElement, unknown>;
  private readonly stops: (() => void)[] = [];
  /** How many frames were drawn, for whoever measures. */
  frames = 0;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    above: HTMLCanvasElement,
    private readonly told: Told,
  ) {
    this.context = canvas.getContext("2d", { alpha: false })!;
    this.over = above.getContext("2d")!;
    this.view = {
      nodes: [],
      edges: [],
      positions: new Float32Array(),
      degree: new Uint16Array(),
      edgesOf: () => [],
      transform: zoomIdentity,
      width: 1,
      height: 1,
      colours: palette(),
      glow: null,
      selected: -1,
      hovered: -1,
    };
    this.zoom = zoom<HTMLCanvasElement, unknown>()
      .scaleExtent([0.02, 12])
      .on("zoom", (event: D3ZoomEvent<HTMLCanvasElement, unknown>) => {
        if (event.sourceEvent) this.fitted = false;
        this.view.transform = event.transform;
        this.hover(-1);
        this.moved();
        this.told.zoomed(event.transform.k / this.fittedScale);
      });
    select(canvas).call(this.zoom).on("dblclick.zoom", () => this.fit());
    const size = new ResizeObserver(() => this.resize());
    size.observe(canvas);
    this.stops.push(
      () => size.disconnect(),
      whenThemeChanges(() => this.recolour()),
      this.on(canvas, "pointermove", (e) => this.pointer(e as PointerEvent)),
      this.on(canvas, "pointerleave", () => this.hover(-1)),
      this.on(canvas, "click", (e) => this.select(this.at(e as PointerEvent))),
      this.on(document, "visibilitychange", () =>
        this.order({ order: "freeze", frozen: document.hidden }),
      ),
    );
    this.resize();
  }

  destroy(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.sharpen);
    this.worker?.terminate();
    for (const stop of this.stops) stop();
    select(this.canvas).on(".zoom", null);
  }

  /** Shows a graph whose places are known. Where it is looked at stays. */
  showAt(nodes: SceneNode[], edges: SceneEdge[], positions: Float32Array): void {
    const selected = this.view.nodes[this.view.selected]?.id;
    this.generation += 1;
    this.moving = false;
    this.hover(-1);
    Object.assign(this.view, { nodes, positions, glow: null });
    this.view.selected = selected ? nodes.findIndex((node) => node.id === selected) : -1;
    this.draw(edges);
    this.findable();
  }

  /**
   * Shows another graph. Nodes that were there before stay where they are. `ties` are the edges by
   * which it is laid out, if other ones than those that are drawn; null: as it was laid out before.
   */
  show(nodes: SceneNode[], edges: SceneEdge[], ties: SceneEdge[] | null = edges): void {
    const before = new Map(this.view.nodes.map((node, i) => [node.id, i]));
    const old = this.view.positions;
    const selected = this.view.nodes[this.view.selected]?.id;
    const positions = new Float32Array(nodes.length * 2);
    let fresh = 0;
    nodes.forEach((node, i) => {
      const was = before.get(node.id);
      if (was === undefined) fresh += 1;
      const [x, y] =
        was === undefined ? phyllotaxis(i, 22) : [old[2 * was]!, old[2 * was + 1]!];
      positions[2 * i] = x;
      positions[2 * i + 1] = y;
    });
    const stay = nodes.length === this.view.nodes.length && nodes.every((node, i) => node.id === this.view.nodes[i]!.id);
    const same = stay && this.sameEdges(edges);
    if (!same || fresh > 0) this.hover(-1);
    if (nodes.length !== before.size) this.view.glow = null;
    this.view.selected = selected ? nodes.findIndex((node) => node.id === selected) : -1;
    if (same && ties === edges) {
      // Nothing lies elsewhere: what was drawn of edges stays.
      Object.assign(this.view, { nodes, edges });
      this.ask();
      return;
    }
    Object.assign(this.view, { nodes, positions });
    this.draw(edges);
    if (ties && !(same && ties === edges)) this.layOut(ties, fresh > nodes.length / 4 ? 1 : 0.25);
  }

  private draw(edges: SceneEdge[]): void {
    const degree = new Uint16Array(this.view.nodes.length);
    for (const { a, b } of edges) {
      degree[a]! += 1;
      degree[b]! += 1;
    }
    Object.assign(this.view, { edges, degree, edgesOf: edgesOf(edges) });
    this.tree = null;
    this.edgesAt = null;
    this.ask();
  }

  glow(glow: Glow | null): void {
    this.view.glow = glow;
    this.ask();
  }

  /** Shows everything there is. */
  fit(): void {
    const { positions, width, height } = this.view;
    this.fitted = true;
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < positions.length; i += 2) {
      left = Math.min(left, positions[i]!);
      right = Math.max(right, positions[i]!);
      top = Math.min(top, positions[i + 1]!);
      bottom = Math.max(bottom, positions[i + 1]!);
    }
    if (!(right >= left)) return;
    const [room, foot] = [40, 40 + this.told.foot()];
    const scale = Math.min(
      (width - 2 * room) / Math.max(right - left, 1),
      (height - room - foot) / Math.max(bottom - top, 1),
      2.2,
    );
    this.fittedScale = Math.max(scale, 0.02);
    const to = zoomIdentity
      .translate(width / 2, room + (height - room - foot) / 2)
      .scale(this.fittedScale)
      .translate(-(left + right) / 2, -(top + bottom) / 2);
    select(this.canvas).call(this.zoom.transform, to);
  }

  zoomBy(factor: number): void {
    this.fitted = false;
    select(this.canvas).call(this.zoom.scaleBy, factor);
  }

  select(index: number): void {
    this.view.selected = index;
    this.ask();
    this.told.select(index);
  }

  /** The neighbour that lies best in a direction, for arrow keys. */
  neighbour(dx: number, dy: number): number {
    const { positions, selected, nodes } = this.view;
    if (nodes.length === 0) return -1;
    if (selected < 0) return Math.max(0, nodes.findIndex((node) => node.look === Look.Me));
    let best = selected;
    let bestScore = 0.2;
    for (const { a, b } of this.view.edgesOf(selected)) {
      const other = a === selected ? b : a;
      const x = positions[2 * other]! - positions[2 * selected]!;
      const y = positions[2 * other + 1]! - positions[2 * selected + 1]!;
      const score = (x * dx + y * dy) / (Math.hypot(x, y) || 1);
      if (score > bestScore) [best, bestScore] = [other, score];
    }
    return best;
  }

  /** Where nodes are, by their ids. */
  places(): Map<string, [number, number]> {
    const { nodes, positions } = this.view;
    return new Map(nodes.map((node, i) => [node.id, [positions[2 * i]!, positions[2 * i + 1]!]]));
  }

  /** Where a node is on the canvas. */
  place(index: number): [number, number] {
    const { positions, transform } = this.view;
    return transform.apply([positions[2 * index]!, positions[2 * index + 1]!]);
  }

  private sameEdges(edges: SceneEdge[]): boolean {
    const old = this.view.edges;
    return (
      old.length === edges.length && old.every((e, i) => {
        const now = edges[i]!;
        return e.a === now.a && e.b === now.b && e.heard === now.heard && e.tcp === now.tcp && e.dialled === now.dialled;
      })
    );
  }

  private layOut(tied: SceneEdge[], alpha: number): void {
    this.generation += 1;
    if (!this.worker) {
      this.worker = new Worker(new URL("./layout.worker.ts", import.meta.url), { type: "module" });
      this.worker.onmessage = (message: MessageEvent<LayoutAnswer>) => this.laidOut(message.data);
    }
    const edges = new Uint32Array(tied.length * 2);
    tied.forEach((edge, i) => edges.set([edge.a, edge.b], 2 * i));
    const depths = this.view.nodes.map((node) => node.ring ?? -1);
    const radii = ringRadii(depths.filter((depth) => depth >= 0));
    this.moving = true;
    this.order({
      order: "begin",
      generation: this.generation,
      positions: this.view.positions.slice(),
      edges,
      lengths: Float32Array.from(tied, (edge) => edge.length),
      sizes: Float32Array.from(this.view.nodes, (node) => node.size ?? 0),
      rings: Float32Array.from(depths, (depth) => (depth < 0 ? -1 : radii[depth]!)),
      alpha,
      atOnce: wantsLessMotion(),
    });
  }

  private order(order: LayoutOrder): void {
    this.worker?.postMessage(order);
  }

  private laidOut(answer: LayoutAnswer): void {
    if (answer.generation !== this.generation) return;
    this.view.positions = answer.positions;
    this.moving = !answer.settled;
    this.tree = null;
    this.edgesAt = null;
    if (answer.settled) this.findable();
    if (this.fitted) this.fit();
    this.ask();
  }

  /** Who lies where, before a pointer asks. */
  private findable(): Quadtree<number> {
    const { positions, nodes } = this.view;
    this.view.edgesOf(0);
    return (this.tree ??= quadtree<number>()
      .x((i) => positions[2 * i]!)
      .y((i) => positions[2 * i + 1]!)
      .addAll(nodes.map((_, i) => i)));
  }

  private on(target: EventTarget, name: string, then: (event: Event) => void): () => void {
    target.addEventListener(name, then);
    return () => target.removeEventListener(name, then);
  }

  private resize(): void {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width === 0 || height === 0) return;
    Object.assign(this.view, { width, height });
    for (const one of [this.canvas, this.over.canvas, this.edgeLayer]) {
      one.width = Math.round(width * this.scale);
      one.height = Math.round(height * this.scale);
    }
    this.edgesAt = null;
    if (this.fitted) this.fit();
    this.paint();
  }

  private recolour(): void {
    this.view.colours = palette();
    this.edgesAt = null;
    this.ask();
  }

  private moved(): void {
    clearTimeout(this.sharpen);
    this.sharpen = window.setTimeout(() => {
      this.edgesAt = null;
      this.ask();
    }, SHARPEN_AFTER_MS);
    this.ask();
  }

  private pointer(event: PointerEvent): void {
    if (event.buttons !== 0 || this.moving) return;
    this.hover(this.at(event));
  }

  private hover(index: number): void {
    if (index === this.view.hovered) return;
    this.view.hovered = index;
    this.canvas.classList.toggle("pointing", index >= 0);
    const [x, y] = index < 0 ? [0, 0] : this.place(index);
    this.told.hover(index, x, y);
    this.paintOver();
  }

  private at(event: PointerEvent): number {
    const { positions, transform, nodes } = this.view;
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = transform.invert([event.clientX - box.left, event.clientY - box.top]);
    const near = this.findable().find(x, y, REACH_PX / transform.k);
    if (near !== undefined || !nodes.some((node) => node.size)) return near ?? -1;
    // Those that are larger than the reach of a pointer are few.
    return nodes.findIndex((node, i) => Math.hypot(positions[2 * i]! - x, positions[2 * i + 1]! - y) <= (node.size ?? 0));
  }

  /** Asks for a frame. */
  ask(): void {
    this.frame ||= requestAnimationFrame(() => this.paint());
  }

  private paint(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.frames += 1;
    const { context, view } = this;
    context.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    context.fillStyle = view.colours.ground;
    context.fillRect(0, 0, view.width, view.height);
    this.paintEdges();
    drawGlow(context, view);
    drawNodes(context, view);
    drawSelection(context, view);
    drawLabels(context, view);
    this.paintOver();
  }

  private paintOver(): void {
    const { over, view } = this;
    over.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    over.clearRect(0, 0, view.width, view.height);
    drawHovered(over, view);
  }

  private paintEdges(): void {
    const { context, view, edgeLayer } = this;
    if (view.edges.length < CACHE_FROM_EDGES || this.moving) {
      drawEdges(context, view, MOST_MOVING_EDGES);
      return;
    }
    if (!this.edgesAt) {
      const layer = edgeLayer.getContext("2d")!;
      layer.setTransform(this.scale, 0, 0, this.scale, 0, 0);
      layer.clearRect(0, 0, view.width, view.height);
      drawEdges(layer, view);
      this.edgesAt = view.transform;
    }
    // What was drawn for another transform is stretched until the picture rests.
    const { k, x, y } = this.edgesAt;
    const stretch = view.transform.k / k;
    context.drawImage(
      edgeLayer,
      view.transform.x - x * stretch,
      view.transform.y - y * stretch,
      view.width * stretch,
      view.height * stretch,
    );
  }
}
