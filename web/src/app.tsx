import { useEffect, useState } from "preact/hooks";
import { connection } from "./api/client";
import { offers } from "./api/offers";
import { usePoll } from "./api/poll";
import { useStore } from "./api/store";
import { keepToken } from "./api/token";
import type { Health, Peers as PeersAnswer, Status } from "./api/types";
import { plain, remote, shortId, span } from "./format";
import { verdict } from "./health";
import * as Icons from "./parts/icons";
import { Badge, Segments } from "./parts/small";
import { go, route } from "./route";
import { chooseTheme, theme } from "./theme";
import { Dht } from "./views/dht";
import { Gossip } from "./views/gossip";
import { Nat } from "./views/later";
import { Limits } from "./views/limits";
import { Logs } from "./views/logs";
import { Network } from "./views/network";
import { Overview } from "./views/overview";
import { Peers } from "./views/peers";
import { Topology } from "./views/topology";

const VIEWS = [
  ["", "Overview", Icons.OverviewIcon],
  ["topology", "Topology", Icons.TopologyIcon],
  ["peers", "Peers", Icons.PeersIcon],
  ["gossip", "Gossip", Icons.GossipIcon],
  ["limits", "Storage and limits", Icons.LimitsIcon],
  ["logs", "Logs", Icons.LogsIcon],
  ["dht", "DHT", Icons.DhtIcon],
  ["nat", "NAT", Icons.NatIcon],
  ["network", "Simulated network", Icons.PlayIcon],
] as const;

/** Who has no node of its own opens on its network. */
offers.watch(() => {
  if (offers.value?.serves !== "node" && route.value.length === 0) go("network");
});

export function App() {
  const link = useStore(connection);
  if (link.state === "denied") return <Gate />;
  return <Shell />;
}

function Shell() {
  const [view = "", chosen] = useStore(route);
  const serves = useStore(offers)?.serves ?? "node";
  const simulated = serves !== "node";
  const shown = VIEWS.filter(([name]) => (simulated ? name === "network" : true));
  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        document.getElementById("main")?.focus();
      }}>
        To the content
      </a>
      <header class="side">
        <div class="brand">
          <Icons.Mark />
          <span>Positron{simulated ? <span class="small muted">{serves === "recording" ? "recording" : "simulation"}</span> : <Who />}</span>
        </div>
        <nav aria-label="Views">
          <ul>
            {shown.map(([name, word, Icon]) => (
              <li key={name}>
                {(name === "dht" || name === "network") && !simulated && <div class="rule" />}
                <a href={`#/${name}`} aria-current={view === name ? "page" : undefined}>
                  <Icon />
                  {word}
                  {name === "peers" && <PeerCount />}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <div class="foot">
          {!simulated && <Pulse />}
          <ThemeChoice />
        </div>
      </header>
      <main class="main" id="main" tabIndex={-1}>
        <Gone />
        <View view={view} chosen={chosen} />
      </main>
    </div>
  );
}

function View({ view, chosen }: { view: string; chosen: string | undefined }) {
  switch (view) {
    case "topology":
      return <Topology />;
    case "peers":
      return <Peers chosen={chosen} />;
    case "gossip":
      return <Gossip />;
    case "limits":
      return <Limits />;
    case "logs":
      return <Logs />;
    case "dht":
      return <Dht />;
    case "nat":
      return <Nat />;
    case "network":
      return <Network />;
    default:
      return <Overview />;
  }
}

function Who() {
  const status = usePoll<Status>("/v1/status", 2000);
  return <span class="small muted mono">{status.value ? remote(shortId(status.value.node_id)) : "…"}</span>;
}

function PeerCount() {
  const answer = usePoll<PeersAnswer>("/v1/peers", 2000);
  return answer.value ? <span class="count">{answer.value.peers.length}</span> : null;
}

const SPOKEN_EACH_MS = 10_000;

/** How it is, in a word for all views; and in a sentence for readers, at most each ten seconds. */
function Pulse() {
  const link = useStore(connection);
  const health = usePoll<Health>("/readyz", 2000);
  const status = usePoll<Status>("/v1/status", 2000);
  const says = verdict(link, health.value, status.value);
  const [spoken, setSpoken] = useState({ sentence: "", at: 0 });
  useEffect(() => {
    if (says.sentence === spoken.sentence) return;
    const wait = Math.max(0, spoken.at + SPOKEN_EACH_MS - Date.now());
    const timer = setTimeout(() => setSpoken({ sentence: plain(says.sentence), at: Date.now() }), wait);
    return () => clearTimeout(timer);
  }, [says.sentence, spoken]);
  const word = { good: "Healthy", warn: "Few peers", bad: link.state === "gone" ? "No answer" : "Not ready", none: "Asking …" }[says.tone];
  return (
    <div>
      <Badge tone={says.tone}>{word}</Badge>
      <p class="hidden" role="status" aria-live="polite">{spoken.sentence}</p>
    </div>
  );
}

function ThemeChoice() {
  const value = useStore(theme);
  return (
    <Segments
      label="Theme"
      value={value}
      choose={chooseTheme}
      choices={[
        ["auto", "Auto"],
        ["light", "Light"],
        ["dark", "Dark"],
      ]}
    />
  );
}

function Gone() {
  const link = useStore(connection);
  const [, tick] = useState(0);
  useEffect(() => {
    if (link.state !== "gone") return;
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [link.state]);
  if (link.state !== "gone") return null;
  return (
    <div class="band bad">
      The node has not answered for {span((Date.now() - link.since) / 1000)}: it stopped, or is not reachable from here. This page asks on and shows what it knew.
    </div>
  );
}

function Gate() {
  const submit = (event: Event) => {
    event.preventDefault();
    const given = String(new FormData(event.currentTarget as HTMLFormElement).get("token")).trim();
    if (given !== "") keepToken(given.replace(/^.*#token=/, ""));
  };
  return (
    <main class="gate">
      <form class="panel" onSubmit={submit}>
        <div class="brand"><Icons.Mark /><span>Positron</span></div>
        <h1>This node wants to see its token</h1>
        <p class="muted">
          <code>positron-net dashboard</code> on the machine of the node prints the whole address, or opens it. The token stays in this browser until its tab is closed.
        </p>
        <label class="field">
          Token, or the whole address
          <input name="token" type="password" class="mono" autocomplete="off" required />
        </label>
        <div class="row"><button type="submit" class="button main-act">Open</button></div>
      </form>
    </main>
  );
}
