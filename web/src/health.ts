import type { Connection } from "./api/client";
import type { Health, Status } from "./api/types";
import { remote, sentence, span } from "./format";
import type { Tone } from "./parts/small";

/** How it is, in one sentence, and what says more. */
export interface Verdict {
  tone: Tone;
  sentence: string;
  more: string;
}

export function verdict(connection: Connection, health: Health | null, status: Status | null): Verdict {
  if (connection.state === "gone") {
    const seconds = (Date.now() - connection.since) / 1000;
    return {
      tone: "bad",
      sentence: "The node does not answer.",
      more: `Since ${span(seconds)}. What is shown is what was known then; the page goes on by itself when it is back.`,
    };
  }
  if (!health) return { tone: "none", sentence: "Asking the node how it is …", more: "" };
  const failed = health.checks.filter((check) => !check.ok);
  const running = status ? `Running for ${span(status.uptime_s)} as ${remote(status.software)} in the network “${remote(status.network, 60)}”.` : "";
  const few = status?.isolation_reason ?? status?.few_peers ?? null;
  if (!health.ready) {
    return { tone: "bad", sentence: sentence(remote(health.sentence)), more: `${failed.length} of ${health.checks.length} checks fail. ${running}` };
  }
  if (few) return { tone: "warn", sentence: sentence(remote(health.sentence)), more: `${sentence(remote(few))}. ${running}` };
  return { tone: "good", sentence: sentence(remote(health.sentence)), more: running };
}
