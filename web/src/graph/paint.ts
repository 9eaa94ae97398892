import type { Palette } from "./palette";
import { Look, type SceneEdge, type View } from "./view";

/** How a network looks. Each function draws one layer, in batches of one colour. */

const EDGES_A_PATH = 400;
const MOST_DASHED = 4000;
const MOST_ARROWS = 120;
const MOST_SHAPES = 3000;
/** Batches after those of looks: who has the message, and who has it since just now. */
const LIT = 7;
const LIT_JUST_NOW = 8;
const TAU = Math.PI * 2;

/** Draws at most so many edges: an even part of them where there are more. */
export function drawEdges(context: CanvasRenderingContext2D, view: View, most = Infinity): void {
  const { colours } = view;
  const dense = view.edges.length > 1500;
  const each = Math.ceil(view.edges.length / most) || 1;
  const edges = each === 1 ? view.edges : view.edges.filter((_, i) => i % each === 0);
  const heard = edges.filter((edge) => edge.heard);
  const own = edges.filter((edge) => !edge.heard);
  context.lineCap = "butt";
  context.globalAlpha = dense ? 0.3 * Math.sqrt(Math.min(1, MOST_DASHED / edges.length)) : 0.55;
  context.strokeStyle = colours.heard;
  context.lineWidth = dense ? 0.6 : 1;
  if (heard.length <= MOST_DASHED) context.setLineDash([4, 4]);
  strokeAll(context, view, heard);
  context.setLineDash([]);

  context.globalAlpha = own.length > 1500 ? 0.26 : own.length > 200 ? 0.5 : 1;
  context.strokeStyle = colours.edge;
  context.lineWidth = own.length > 1500 ? 0.7 : own.length > 200 ? 1 : view.nodes.length > 300 ? 1.2 : 1.6;
  strokeAll(context, view, own);
  if (own.length <= MOST_ARROWS && view.nodes.length <= 300) {
    drawTcp(context, view, own);
    drawArrows(context, view, own);
  }
  context.globalAlpha = 1;
}

function strokeAll(context: CanvasRenderingContext2D, view: View, edges: readonly SceneEdge[]): void {
  const { positions, transform, width, height } = view;
  const { k, x, y } = transform;
  let inPath = 0;
  context.beginPath();
  for (const { a, b } of edges) {
    const ax = positions[2 * a]! * k + x;
    const ay = positions[2 * a + 1]! * k + y;
    const bx = positions[2 * b]! * k + x;
    const by = positions[2 * b + 1]! * k + y;
    const outside =
      (ax < 0 && bx < 0) || (ay < 0 && by < 0) || (ax > width && bx > width) || (ay > height && by > height);
    if (outside) continue;
    context.moveTo(ax, ay);
    context.lineTo(bx, by);
    if (++inPath < EDGES_A_PATH) continue;
    context.stroke();
    context.beginPath();
    inPath = 0;
  }
  context.stroke();
}

/** TCP is a double line. */
function drawTcp(context: CanvasRenderingContext2D, view: View, own: SceneEdge[]): void {
  const tcp = own.filter((edge) => edge.tcp);
  context.lineWidth = 4.4;
  strokeAll(context, view, tcp);
  context.strokeStyle = view.colours.ground;
  context.lineWidth = 2;
  strokeAll(context, view, tcp);
}

/** From who dialled to who was dialled. */
function drawArrows(context: CanvasRenderingContext2D, view: View, own: SceneEdge[]): void {
  const { positions, transform, colours } = view;
  const away = radius(view) * 1.35 + 8;
  context.fillStyle = colours.edge;
  context.beginPath();
  for (const { a, b, dialled } of own) {
    if (dialled === 0) continue;
    const [from, to] = dialled > 0 ? [a, b] : [b, a];
    const [fx, fy] = transform.apply([positions[2 * from]!, positions[2 * from + 1]!]);
    const [tx, ty] = transform.apply([positions[2 * to]!, positions[2 * to + 1]!]);
    const length = Math.hypot(tx - fx, ty - fy);
    if (length < 48) continue;
    const [ux, uy] = [(tx - fx) / length, (ty - fy) / length];
    const [px, py] = [tx - ux * away, ty - uy * away];
    context.moveTo(px, py);
    context.lineTo(px - ux * 9 - uy * 4.5, py - uy * 9 + ux * 4.5);
    context.lineTo(px - ux * 9 + uy * 4.5, py - uy * 9 - ux * 4.5);
    context.closePath();
  }
  context.fill();
}

/** How large nodes are drawn, in pixels. */
export function radius(view: View): number {
  const n = view.nodes.length;
  const base = n <= 60 ? 8 : n <= 300 ? 5.5 : n <= 1500 ? 3.6 : 2;
  return Math.max(n > 1500 ? 1.1 : 1.8, Math.min(base * Math.sqrt(view.transform.k * 1.2), base * 1.6));
}

/** How far one node reaches, in pixels. */
function reach(view: View, node: number): number {
  return Math.max(radius(view), (view.nodes[node]!.size ?? 0) * view.transform.k);
}

export function drawNodes(context: CanvasRenderingContext2D, view: View): void {
  const { nodes, colours, glow } = view;
  const batches: number[][] = Array.from({ length: LIT_JUST_NOW + 1 }, () => []);
  nodes.forEach((node, i) => {
    const heat = node.look === Look.Me ? -1 : (glow?.heat[i] ?? -1);
    batches[heat < 0 ? node.look : heat < 0.6 ? LIT : LIT_JUST_NOW]!.push(i);
  });
  const r = radius(view);
  const fills = lookColours(colours, glow?.one ?? false);
  batches.forEach((batch, look) => {
    if (batch.length === 0) return;
    context.fillStyle = fills[look]!;
    if (nodes.length > MOST_SHAPES) squares(context, view, batch, r);
    else shapes(context, view, batch, r, look);
  });
}

function lookColours(colours: Palette, dim: boolean): string[] {
  const by: string[] = [];
  by[Look.Me] = colours.accent;
  by[Look.Good] = colours.good;
  by[Look.Doubtful] = colours.warn;
  by[Look.Low] = colours.bad;
  by[Look.Heard] = colours.heard;
  by[Look.Down] = colours.faint;
  by[Look.Up] = dim ? colours.heard : colours.good;
  by[LIT] = colours.accent;
  by[LIT_JUST_NOW] = colours.text;
  return by;
}

function squares(context: CanvasRenderingContext2D, view: View, batch: number[], r: number): void {
  const { positions, transform, width, height } = view;
  const { k, x, y } = transform;
  for (const i of batch) {
    const px = positions[2 * i]! * k + x;
    const py = positions[2 * i + 1]! * k + y;
    if (px < -r || py < -r || px > width + r || py > height + r) continue;
    context.fillRect(px - r, py - r, 2 * r, 2 * r);
  }
}

function shapes(
  context: CanvasRenderingContext2D,
  view: View,
  batch: number[],
  r: number,
  look: number,
): void {
  const { positions, transform, width, height, colours } = view;
  const { k, x, y } = transform;
  const small = view.nodes.length > 300;
  context.beginPath();
  for (const i of batch) {
    const px = positions[2 * i]! * k + x;
    const py = positions[2 * i + 1]! * k + y;
    const far = 20 + (view.nodes[i]!.size ?? 0) * k;
    if (px < -far || py < -far || px > width + far || py > height + far) continue;
    const own = Math.max(r, (view.nodes[i]!.size ?? 0) * k);
    shape(context, px, py, look === Look.Me ? own * 1.35 : own, look);
  }
  if (!small) {
    // A rim of the ground keeps nodes apart from edges.
    context.lineWidth = 3;
    context.strokeStyle = colours.ground;
    context.stroke();
  }
  if (look === Look.Heard || look === Look.Down) {
    // What is only heard of, or is not there, is hollow.
    const fill = context.fillStyle;
    context.fillStyle = colours.ground;
    context.fill();
    context.strokeStyle = fill;
    context.lineWidth = small ? 1 : 1.8;
    context.stroke();
  } else {
    context.fill();
  }
  if (look === Look.Me) ring(context, view, batch, r * 1.35 + 4.5, colours.accent, 1.6);
}

function shape(context: CanvasRenderingContext2D, x: number, y: number, r: number, look: number): void {
  if (look === Look.Doubtful) {
    const d = r * 1.25;
    context.moveTo(x, y - d);
    context.lineTo(x + d, y);
    context.lineTo(x, y + d);
    context.lineTo(x - d, y);
    context.closePath();
  } else if (look === Look.Low) {
    const d = r * 1.2;
    context.moveTo(x, y - d);
    context.lineTo(x + d, y + d * 0.8);
    context.lineTo(x - d, y + d * 0.8);
    context.closePath();
  } else if (look === Look.Down) {
    context.moveTo(x - r * 0.8, y - r * 0.8);
    context.lineTo(x + r * 0.8, y + r * 0.8);
    context.moveTo(x + r * 0.8, y - r * 0.8);
    context.lineTo(x - r * 0.8, y + r * 0.8);
  } else {
    context.moveTo(x + r, y);
    context.arc(x, y, r, 0, TAU);
  }
}

function ring(
  context: CanvasRenderingContext2D,
  view: View,
  which: number[],
  r: number,
  colour: string,
  line: number,
): void {
  context.strokeStyle = colour;
  context.lineWidth = line;
  context.beginPath();
  for (const i of which) {
    const [x, y] = view.transform.apply([view.positions[2 * i]!, view.positions[2 * i + 1]!]);
    context.moveTo(x + r, y);
    context.arc(x, y, r, 0, TAU);
  }
  context.stroke();
}

/** Messages on their way, and a halo around those that just came to have one. */
export function drawGlow(context: CanvasRenderingContext2D, view: View): void {
  const { glow, positions, transform, colours } = view;
  if (!glow) return;
  const { k, x, y } = transform;
  context.strokeStyle = colours.accent;
  context.lineWidth = view.nodes.length > 300 ? 0.9 : 1.4;
  context.globalAlpha = view.nodes.length > 300 ? 0.26 : 0.42;
  context.beginPath();
  for (let i = 0; i < glow.trail.length; i += 2) {
    const [from, to] = [glow.trail[i]!, glow.trail[i + 1]!];
    context.moveTo(positions[2 * from]! * k + x, positions[2 * from + 1]! * k + y);
    context.lineTo(positions[2 * to]! * k + x, positions[2 * to + 1]! * k + y);
  }
  context.stroke();
  context.lineCap = "round";
  for (const [thickness, alpha] of [
    [5, 0.16],
    [1.6, 0.95],
  ] as const) {
    context.lineWidth = view.nodes.length > 300 ? thickness * 0.7 : thickness;
    context.globalAlpha = alpha;
    context.beginPath();
    for (const { from, to, part } of glow.sparks) {
      const fx = positions[2 * from]! * k + x;
      const fy = positions[2 * from + 1]! * k + y;
      const dx = positions[2 * to]! * k + x - fx;
      const dy = positions[2 * to + 1]! * k + y - fy;
      const tail = Math.max(0, part * 2 - 1);
      const head = Math.min(1, part * 2);
      context.moveTo(fx + dx * tail, fy + dy * tail);
      context.lineTo(fx + dx * head, fy + dy * head);
    }
    context.stroke();
  }
  const r = radius(view);
  context.fillStyle = colours.accent;
  for (let step = 1; step <= 4; step += 1) {
    // Halos in four steps of brightness: four batches instead of one fill for each node.
    context.globalAlpha = (view.nodes.length > 300 ? 0.045 : 0.07) * step;
    context.beginPath();
    glow.heat.forEach((heat, i) => {
      if (heat <= 0 || Math.ceil(heat * 4) !== step) return;
      const px = positions[2 * i]! * k + x;
      const py = positions[2 * i + 1]! * k + y;
      context.moveTo(px + r * 3, py);
      context.arc(px, py, r + Math.min(r, 5) * (0.6 + 1.8 * heat), 0, TAU);
    });
    context.fill();
  }
  context.globalAlpha = 1;
  context.lineCap = "butt";
}

export function drawSelection(context: CanvasRenderingContext2D, view: View): void {
  const { selected, colours } = view;
  if (selected < 0) return;
  drawEdgesOf(context, view, selected);
  ring(context, view, [selected], reach(view, selected) + 6, colours.text, 2);
}

/** What the pointer is on: drawn on a canvas of its own, so that nothing else is drawn for it. */
export function drawHovered(context: CanvasRenderingContext2D, view: View): void {
  const { selected, hovered, colours } = view;
  if (hovered < 0) return;
  if (selected < 0) drawEdgesOf(context, view, hovered);
  ring(context, view, [hovered], reach(view, hovered) + 5, colours.muted, 1.4);
  if (hovered === selected) return;
  beginLabels(context, view);
  drawLabel(context, view, hovered);
}

function drawEdgesOf(context: CanvasRenderingContext2D, view: View, node: number): void {
  if (view.nodes.length <= 8) return;
  context.strokeStyle = view.colours.accent;
  context.lineWidth = 1.4;
  context.globalAlpha = 0.8;
  strokeAll(context, view, view.edgesOf(node));
  context.globalAlpha = 1;
}

/** Names where there is room: of all, of those in the middle of things, or of none. */
export function drawLabels(context: CanvasRenderingContext2D, view: View): void {
  const { nodes, transform, colours, degree, selected } = view;
  const all = nodes.length <= 40 || (nodes.length <= 1500 && transform.k > 2.4);
  const least = all ? 0 : nodes.length <= 150 ? 6 : Infinity;
  beginLabels(context, view);
  nodes.forEach((node, i) => {
    if (i === selected || node.look === Look.Me || degree[i]! >= least) drawLabel(context, view, i);
  });
  const spoken = view.edges.filter((edge) => edge.word !== "");
  if (spoken.length > 24) return;
  context.font = `11px ${colours.font}`;
  context.textBaseline = "middle";
  for (const { a, b, word } of spoken) {
    const [ax, ay] = transform.apply([view.positions[2 * a]!, view.positions[2 * a + 1]!]);
    const [bx, by] = transform.apply([view.positions[2 * b]!, view.positions[2 * b + 1]!]);
    if (Math.hypot(ax - bx, ay - by) < 90) continue;
    halo(context, word, ax + (bx - ax) * 0.56, ay + (by - ay) * 0.56, colours.muted, colours);
  }
}

function beginLabels(context: CanvasRenderingContext2D, view: View): void {
  context.font = `500 12px ${view.colours.font}`;
  context.textAlign = "center";
  context.textBaseline = "top";
  context.lineJoin = "round";
}

function drawLabel(context: CanvasRenderingContext2D, view: View, i: number): void {
  const { colours, positions, transform, width, height } = view;
  const { label, look } = view.nodes[i]!;
  const [x, y] = transform.apply([positions[2 * i]!, positions[2 * i + 1]!]);
  if (x < 0 || y < 0 || x > width || y > height) return;
  halo(context, label, x, y + reach(view, i) + 6, look === Look.Heard ? colours.muted : colours.text, colours);
}

function halo(
  context: CanvasRenderingContext2D,
  text: string,
  x: number,
  y: number,
  colour: string,
  colours: Palette,
): void {
  context.strokeStyle = colours.ground;
  context.lineWidth = 5;
  context.strokeText(text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}
