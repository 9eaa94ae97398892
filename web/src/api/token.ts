/**
 * The bearer token: it comes in the fragment, which no server and no log sees, and leaves the
 * address bar at once. It lives as long as the tab; tabs of the same node hand it to one another.
 */

const KEY = "positron-token";
const channel = new BroadcastChannel("positron-token");
const waiting = new Set<() => void>();

export function token(): string | null {
  return sessionStorage.getItem(KEY);
}

export function keepToken(value: string): void {
  sessionStorage.setItem(KEY, value.trim());
  for (const wake of waiting) wake();
}

/** Calls `wake` when a token was given. Returns how to stop that. */
export function whenTokenComes(wake: () => void): () => void {
  waiting.add(wake);
  return () => waiting.delete(wake);
}

/** Takes the token out of the address bar. */
export function takeTokenFromAddress(): void {
  const fields = new URLSearchParams(location.hash.replace(/^#\/?/, ""));
  const given = fields.get("token");
  if (given === null) return;
  history.replaceState(null, "", `${location.pathname}${location.search}#/`);
  keepToken(given);
  window.dispatchEvent(new Event("hashchange"));
}

channel.onmessage = (message: MessageEvent<{ ask?: true; token?: string }>) => {
  const mine = token();
  if (message.data.ask && mine) channel.postMessage({ token: mine });
  if (message.data.token && !mine) keepToken(message.data.token);
};

export function askOtherTabs(): void {
  if (!token()) channel.postMessage({ ask: true });
}
