import { useEffect, useState } from "preact/hooks";
import { ask, askHealth, connection, Refusal } from "./client";
import { offers, offersRoute } from "./offers";
import { whenTokenComes } from "./token";

/** What is known of an answer: the last one, and why there is no newer one. */
export interface Polled<T> {
  value: T | null;
  refusal: Refusal | null;
}

/** One question that is asked again and again while somebody watches, once for all who do. */
class Question {
  value: unknown = null;
  refusal: Refusal | null = null;
  private readonly watchers = new Map<() => void, number>();
  private timer: number | undefined;
  private asking = false;
  private again = false;

  constructor(private readonly path: string) {}

  watch(wake: () => void, everyMs: number): () => void {
    this.watchers.set(wake, everyMs);
    void this.load();
    return () => {
      this.watchers.delete(wake);
      if (this.watchers.size === 0) clearTimeout(this.timer);
    };
  }

  async load(): Promise<void> {
    // What can be asked is known soon; everything is asked again then.
    if (!offers.value) return;
    if (!offersRoute(offers.value, "GET", this.path)) {
      this.refusal ??= new Refusal(404, "not_offered", "This is not told here.", "");
      for (const wake of [...this.watchers.keys()]) wake();
      return;
    }
    if (this.asking) {
      this.again = true;
      return;
    }
    this.asking = true;
    this.again = false;
    clearTimeout(this.timer);
    if (!document.hidden && connection.value.state !== "denied") {
      try {
        this.value = await (this.path === "/readyz" ? askHealth() : ask(this.path));
        this.refusal = null;
      } catch (error) {
        this.refusal = error instanceof Refusal ? error : new Refusal(0, "bug", String(error), "");
      }
      for (const wake of [...this.watchers.keys()]) wake();
    }
    this.asking = false;
    if (this.watchers.size === 0) return;
    const every = this.again ? 50 : Math.min(...this.watchers.values());
    this.timer = window.setTimeout(() => void this.load(), every);
  }
}

const questions = new Map<string, Question>();

function question(path: string): Question {
  let found = questions.get(path);
  if (!found) questions.set(path, (found = new Question(path)));
  return found;
}

/** Asks everything again that is watched: after a gap, a new token, or a page that woke up. */
export function reloadAll(): void {
  for (const one of questions.values()) void one.load();
}

export function reload(...paths: string[]): void {
  for (const path of paths) void questions.get(path)?.load();
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) reloadAll();
});
whenTokenComes(reloadAll);
offers.watch(reloadAll);

export function usePoll<T>(path: string, everyMs: number): Polled<T> {
  const [, redraw] = useState(0);
  const one = question(path);
  useEffect(() => one.watch(() => redraw((n) => n + 1), everyMs), [one, everyMs]);
  return { value: one.value as T | null, refusal: one.refusal };
}
