import { answered, connection, denied, headers, silent } from "./client";
import { known, offersRoute } from "./offers";
import { reloadAll } from "./poll";
import { Store } from "./store";
import { whenTokenComes } from "./token";
import type { NodeEvent } from "./types";

/** The latest events, newest first. */
export const events = new Store<NodeEvent[]>([]);

const KEPT = 200;
const LONGEST_PAUSE_MS = 10_000;

/** What tabs say to one another: an event, a gap, "what was there so far?", and that. */
type Word = NodeEvent | "gap" | "kept?" | { kept: NodeEvent[] };
const channel = new BroadcastChannel("positron-events");
let lastId: string | null = null;
let reads = false;

/**
 * One stream for all tabs: browsers keep at most six connections to a server. The tab that holds
 * the lock reads it and tells the others; when it closes, the next one goes on after the last id.
 */
export async function listen(): Promise<void> {
  if (!offersRoute(await known(), "GET", "/v1/events")) return;
  channel.onmessage = (message: MessageEvent<Word>) => {
    const word = message.data;
    if (word === "gap") reloadAll();
    else if (word === "kept?") {
      if (reads) say({ kept: events.value });
    } else if ("kept" in word) {
      if (events.value.length > 0) return;
      for (const event of [...word.kept].reverse()) take(event);
    } else take(word);
  };
  say("kept?");
  if (navigator.locks) {
    void navigator.locks.request("positron-events", () => readForever());
  } else {
    void readForever();
  }
}

function say(word: Word): void {
  channel.postMessage(word);
}

async function readForever(): Promise<never> {
  reads = true;
  let pause = 500;
  for (;;) {
    try {
      if (await readOnce()) pause = 500;
    } catch {
      silent();
    }
    if (connection.value.state === "denied") await tokenCame();
    await after(pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}

/** Reads the stream until it ends. Says whether it had begun. */
async function readOnce(): Promise<boolean> {
  const more: Record<string, string> = { Accept: "text/event-stream" };
  if (lastId !== null) more["Last-Event-ID"] = lastId;
  // Whoever comes first is told what the node has kept; whoever comes back, what came since.
  const response = await fetch(`/v1/events?last=${KEPT}`, {
    headers: headers(more),
    cache: "no-store",
    credentials: "omit",
  });
  if (response.status === 401) denied();
  if (!response.ok || !response.body) return false;
  const wasGone = connection.value.state === "gone";
  answered();
  if (wasGone) reloadAll();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return true;
    rest += value;
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop() ?? "";
    for (const block of blocks) handle(block);
  }
}

function handle(block: string): void {
  let name = "message";
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "id") lastId = value;
    else if (field === "event") name = value;
    else if (field === "data") data.push(value);
  }
  if (name === "gap") {
    say("gap");
    reloadAll();
    return;
  }
  if (data.length === 0) return;
  let said: unknown;
  try {
    said = JSON.parse(data.join("\n"));
  } catch {
    said = { text: data.join("\n") };
  }
  const id = lastId === null ? null : Number(lastId);
  const told = said as Record<string, unknown>;
  const at = Date.parse(String(told.at));
  const event = { id, name, at: Number.isNaN(at) ? Date.now() : at, data: told };
  say(event);
  take(event);
}

function take(event: NodeEvent): void {
  if (event.id !== null) lastId = String(event.id);
  events.value = [event, ...events.value].slice(0, KEPT);
}

function after(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

function tokenCame(): Promise<void> {
  return new Promise((done) => {
    const stop = whenTokenComes(() => {
      stop();
      done();
    });
  });
}
