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

export function verdict(connection: Connection, asked: Health | null, status: Status | null): Verdict {
  if (connection.state === "gone") {
    const seconds = (Date.now() - connection.since) / 1000;
    return {
      tone: "bad",
      sentence: "The node does not answer.",
      more: `Since ${span(seconds)}. What is shown is what was known then; the page goes on by itself when it is back.`,
    };
  }
  const health = asked?.sentence ? { ...asked, checks: asked.checks ?? [] } : known(status);
  if (!health) return { tone: "none", sentence: "Asking the node how it is …", more: "" };
  const failed = health.checks.filter((check) => !check.ok);
  const running = status ? `Running for ${span(status.uptime_s)} as ${remote(status.software)} in the network “${remote(status.network, 60)}”.` : "";
  const few = status?.isolation_reason ?? status?.few_peers ?? null;
  if (!health.ready) {
    const how = health.checks.length > 0 ? `${failed.length} of ${health.checks.length} checks fail. ` : "";
    return { tone: "bad", sentence: sentence(remote(health.sentence)), more: how + running };
  }
  if (few) return { tone: "warn", sentence: sentence(remote(health.sentence)), more: `${sentence(remote(few))}. ${running}` };
  return { tone: "good", sentence: sentence(remote(health.sentence)), more: running };
}

/** What a node that has no checks says by its numbers. */
function known(status: Status | null): Health | null {
  if (!status) return null;
  const peers = status.active_peers;
  const said = peers === 0 ? "no peer" : peers === 1 ? "1 peer" : `${peers} peers`;
  return { ready: peers > 0, sentence: `${said} ${peers > 1 ? "are" : "is"} connected.`, checks: [] };
}
