import { Store } from "./store";
import { token, whenTokenComes } from "./token";

/** Whether the node answers. */
export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "gone"; since: number }
  | { state: "denied" };

export const connection = new Store<Connection>({ state: "connecting" });

/** An answer that is no success: what, in words, and what helps. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly sentence: string,
    readonly remedy: string,
  ) {
    super(sentence);
  }
}

export function answered(): void {
  if (connection.value.state !== "live") connection.value = { state: "live" };
}

export function silent(): void {
  if (connection.value.state !== "gone") connection.value = { state: "gone", since: Date.now() };
}

export function denied(): void {
  if (connection.value.state !== "denied") connection.value = { state: "denied" };
}

whenTokenComes(() => {
  if (connection.value.state === "denied") connection.value = { state: "connecting" };
});

export function headers(more: Record<string, string> = {}): Record<string, string> {
  const mine = token();
  return mine ? { ...more, Authorization: `Bearer ${mine}` } : more;
}

/** Asks the node. Throws a {@link Refusal} for what it does not grant, in its own words. */
export async function ask<T>(path: string, signal?: AbortSignal): Promise<T> {
  return read<T>(await send("GET", path, undefined, signal));
}

/** Tells the node to do something. */
export async function tell<T>(
  path: string,
  body: unknown = {},
  method: "POST" | "PUT" = "POST",
): Promise<T> {
  return read<T>(await send(method, path, body));
}

/** `/readyz` says 503 with the same document as 200: both are answers. */
export async function askHealth<T>(): Promise<T> {
  const response = await send("GET", "/readyz");
  return response.status === 503 ? ((await response.json()) as T) : read<T>(response);
}

async function send(
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<Response> {
  const content: Record<string, string> =
    body === undefined ? {} : { "Content-Type": "application/json" };
  const shown = token();
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: headers({ Accept: "application/json", ...content }),
      body: body === undefined ? null : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      signal: signal ?? AbortSignal.timeout(20_000),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    silent();
    throw new Refusal(0, "no_answer", "The node does not answer.", "Is it running?");
  }
  // A token that came meanwhile has not been shown yet.
  if (response.status === 401 && shown === token()) denied();
  else if (response.status !== 401) answered();
  return response;
}

async function read<T>(response: Response): Promise<T> {
  if (response.ok) {
    try {
      return (await response.json()) as T;
    } catch {
      throw new Refusal(response.status, "unreadable", "The answer is not JSON.", "Is this a node?");
    }
  }
  const said = await response.json().catch(() => null);
  const error = (said as { error?: Record<string, unknown> } | null)?.error ?? {};
  throw new Refusal(
    response.status,
    String(error.code ?? "refused"),
    String(error.sentence ?? `The node refuses with ${response.status}.`),
    String(error.remedy ?? ""),
  );
}
