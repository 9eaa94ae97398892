import type { DhtQuestion, DhtTable } from "../api/types";

/** Where places are on a ring: its whole turn is the space of all of them. */

export interface Point {
  x: number;
  y: number;
}

/** The part of the whole space that lies before a place: its first 32 bits tell. */
export function part(place: string): number {
  const bits = Number.parseInt(place.slice(0, 8), 16);
  return Number.isNaN(bits) ? 0 : bits / 2 ** 32;
}

/** A place at this distance from the middle; the ring begins at the top and goes on to the right. */
export function at(place: string, radius: number): Point {
  const turn = part(place) * 2 * Math.PI;
  return { x: radius * Math.sin(turn), y: -radius * Math.cos(turn) };
}

/** What is drawn as a node. */
export interface Dot {
  id: string;
  place: string;
  address: string;
  alive: boolean;
  rttMs: number | null;
  failures: number;
  bits: number;
}

/** Everybody in the table, in the order of their places. */
export function dots(table: DhtTable): Dot[] {
  const all = table.buckets.flatMap((bucket) => bucket.members.map((one) => ({
    id: one.node_id,
    place: one.place,
    address: one.address,
    alive: one.alive,
    rttMs: one.rtt_ms,
    failures: one.failures,
    bits: bucket.common_bits,
  })));
  return all.sort((x, y) => (x.place < y.place ? -1 : 1));
}

export type Stage = "ahead" | "asked" | "slow" | "failed" | "answered";

/** What a question has come to at a moment of its lookup. */
export function stage(of: DhtQuestion, nowMs: number, overMs: number): Stage {
  if (nowMs < of.at_ms) return "ahead";
  if (of.answer_ms !== null) return nowMs < of.at_ms + of.answer_ms ? "asked" : "answered";
  if (nowMs < overMs) return "asked";
  return of.end === "failed" ? "failed" : "slow";
}

/** When the last answer of these came, in milliseconds from the first question on. */
export function end(steps: DhtQuestion[], tookMs: number): number {
  return Math.max(tookMs, 1, ...steps.map((one) => one.at_ms + (one.answer_ms ?? 0)));
}
