import { ask, connection, Refusal } from "./client";
import { Store } from "./store";
import { whenTokenComes } from "./token";

/** What answers, and everything that can be asked of it: nothing else is asked. */
export interface Offers {
  serves: "node" | "network" | "recording";
  routes: { method: string; path: string }[];
}

export const offers = new Store<Offers | null>(null);

const RETRY_MS = 300;

/** Asks once what can be asked; again and again, until somebody answers. */
export async function findOut(): Promise<void> {
  while (offers.value === null) {
    try {
      offers.value = await ask<Offers>("/v1");
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      await new Promise<void>((done) => {
        const stop = whenTokenComes(() => {
          stop();
          done();
        });
        if (connection.value.state !== "denied") setTimeout(done, RETRY_MS);
      });
    }
  }
}

/** What is offered, once that is known. */
export function known(): Promise<Offers> {
  return new Promise((done) => {
    if (offers.value) return done(offers.value);
    const stop = offers.watch(() => {
      stop();
      done(offers.value!);
    });
  });
}

/** Whether this can be asked. */
export function offersRoute(of: Offers, method: string, path: string): boolean {
  const asked = path.replace(/\?.*$/, "").split("/");
  return of.routes.some((route) => {
    const parts = route.path.split("/");
    const fits = (part: string, i: number) => part.startsWith("{") || part === asked[i];
    return route.method === method && parts.length === asked.length && parts.every(fits);
  });
}
