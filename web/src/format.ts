/** Numbers and times as people read them. */

export function shortId(id: string): string {
  return id.length > 16 ? id.slice(0, 8) : id;
}

export function span(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

export function ms(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0 ms";
  if (value < 0.1) return `${value.toFixed(2)} ms`;
  if (value < 10) return `${value.toFixed(1)} ms`;
  return value < 10_000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

export function bytes(value: number): string {
  let n = value;
  let unit = 0;
  while (Math.abs(n) >= 1000 && unit < UNITS.length - 1) {
    n /= 1000;
    unit += 1;
  }
  const round = unit === 0 || Math.abs(n) >= 100 || Number.isInteger(n);
  return `${round ? Math.round(n) : n.toFixed(1)} ${UNITS[unit]}`;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function count(value: number): string {
  return whole.format(value);
}

export function quantity(value: number | null | undefined, unit: string): string {
  if (value === null || value === undefined) return "–";
  if (unit.endsWith("/s")) return `${quantity(value, unit.slice(0, -2))}/s`;
  if (unit === "bytes") return bytes(value);
  if (unit === "seconds") return value < 10 ? ms(value * 1000) : span(value);
  if (unit === "ms") return ms(value);
  if (unit === "ratio") return `${(value * 100).toFixed(0)} %`;
  return Math.abs(value) < 100 && !Number.isInteger(value) ? value.toFixed(1) : count(value);
}

/** A time of day; with the date if it is not today's. */
export function clock(at: string | number): string {
  const when = new Date(at);
  if (Number.isNaN(when.getTime())) return "–";
  const time = when.toLocaleTimeString("en-GB");
  const today = new Date().toDateString() === when.toDateString();
  return today ? time : `${when.toISOString().slice(0, 10)} ${time}`;
}

/** Snake case as words. */
export function words(name: string): string {
  return sentence(name.replaceAll("_", " "));
}

/** With a capital letter in front. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * What others wrote, as it can be shown: escapes and characters that turn the direction of text
 * become visible, so that nothing can pretend to be something else.
 */
export function remote(text: unknown, longest = 400): string {
  const shown = String(text ?? "").replace(
    /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (c) => `\\u{${c.charCodeAt(0).toString(16)}}`,
  );
  return shown.length > longest ? `${shown.slice(0, longest)}…` : shown;
}

/** The same without the marks of code, where no code can be shown. */
export function plain(text: string): string {
  return text.replaceAll("`", "");
}

export function trustWord(score: number | null | undefined): string {
  if (score === null || score === undefined) return "unknown";
  if (score < 0.2) return "low";
  if (score < 0.45) return "doubtful";
  return score < 0.7 ? "neutral" : "good";
}

/** Where a peer is: its address, or who forwards between it and the node. */
export function placeOf({ address, relay }: { address?: unknown; relay?: unknown }): string {
  if (typeof address === "string") return address;
  return typeof relay === "string" ? `relayed by ${shortId(relay)}` : "relayed";
}
