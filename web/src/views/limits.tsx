import { useState } from "preact/hooks";
import { usePoll } from "../api/poll";
import type { ConfigValue, Limit, Peer, PeerDetail, Peers, Status } from "../api/types";
import { bytes, count, quantity, remote, shortId, words } from "../format";
import { Badge, Missing, Prose, Title, type Tone } from "../parts/small";
import { Table, type Column } from "../parts/table";
import { Bounds } from "./standing";

const part = (limit: Limit) => (limit.used === null || limit.limit <= 0 ? null : limit.used / limit.limit);

/** From here on it is said what to do. */
const HIGH = 0.7;

const LIMITS: Column<Limit>[] = [
  {
    name: "Bound",
    by: (l) => l.name,
    cell: (l) => (
      <>
        <b>{words(remote(l.name, 80))}</b>
        <br />
        <span class="muted small"><Prose of={l.help} /></span>
        {(part(l) ?? 0) >= HIGH && l.when_high && <span class="warn small"> <Prose of={l.when_high} /></span>}
      </>
    ),
  },
  { name: "Room", keep: true, by: (l) => l.room, cell: (l) => remote(l.room, 40) },
  { name: "Used", numeric: true, by: (l) => l.used, cell: (l) => quantity(l.used, l.unit) },
  { name: "Limit", numeric: true, by: (l) => l.limit, cell: (l) => quantity(l.limit, l.unit) },
  { name: "How near", keep: true, numeric: false, by: part, cell: (l) => <Nearness limit={l} /> },
];

function Nearness({ limit }: { limit: Limit }) {
  const near = part(limit);
  if (near === null) return <span class="muted">not counted</span>;
  const percent = near < 0.01 && near > 0 ? "< 1 %" : `${Math.round(near * 100)} %`;
  return (
    <span class="bar">
      <meter min={0} max={1} low={HIGH} high={0.9} optimum={0} value={Math.min(near, 1)} aria-label={`${words(remote(limit.name, 80))}: ${percent}`} />
      <span>{percent}</span>
    </span>
  );
}

const CONFIG: Column<ConfigValue>[] = [
  { name: "Key", by: (c) => c.key, cell: (c) => <code>{remote(c.key, 80)}</code> },
  { name: "Value", by: (c) => JSON.stringify(c.value), cell: (c) => <span class="mono">{remote(typeof c.value === "string" ? c.value : JSON.stringify(c.value))}</span> },
  { name: "From", keep: true, by: (c) => c.origin, cell: (c) => (c.origin === "default" ? <span class="muted">default</span> : <Badge tone="none">{remote(c.origin, 60)}</Badge>) },
];

export function Limits() {
  const limits = usePoll<{ limits: Limit[] }>("/v1/limits", 3000);
  const config = usePoll<{ values: ConfigValue[] }>("/v1/config", 60_000);
  const status = usePoll<Status>("/v1/status", 2000);
  return (
    <div class="view">
      <Title name="Storage and limits" says="Everything here is bounded: how near is it?" />
      <Storage status={status.value} />
      <section class="panel">
        <header><h2>Bounds</h2></header>
        {limits.value ? (
          <Table caption="Bounds" columns={LIMITS} rows={limits.value.limits} keyOf={(l) => `${l.room} ${l.name}`} sort={{ column: "How near", down: true }} />
        ) : (
          <Missing refusal={limits.refusal} what="its bounds" />
        )}
      </section>
      <PeerLimits />
      <section class="panel">
        <header>
          <h2>Configuration</h2>
          <span class="muted small">Each value, and where it comes from</span>
        </header>
        {config.value ? (
          <Table caption="Configuration" columns={CONFIG} rows={config.value.values} keyOf={(c) => c.key} />
        ) : (
          <Missing refusal={config.refusal} what="its configuration" />
        )}
      </section>
    </div>
  );
}

/** Of one peer: of the one for whom most waits, until another one is chosen. */
function PeerLimits() {
  const peers = usePoll<Peers>("/v1/peers", 2000).value?.peers ?? [];
  const [wish, setWish] = useState<string | null>(null);
  const most = peers.reduce<Peer | null>((a, b) => (a && a.queued_bytes >= b.queued_bytes ? a : b), null);
  const chosen = peers.find((peer) => peer.node_id === wish) ?? most;
  if (!chosen) return null;
  return (
    <section class="panel">
      <header>
        <h2>Bounds of one peer</h2>
        <select class="input right mono" aria-label="Peer" value={chosen.node_id} onChange={(event) => setWish(event.currentTarget.value)}>
          {peers.map((peer) => <option key={peer.node_id} value={peer.node_id}>{remote(shortId(peer.node_id))}</option>)}
        </select>
      </header>
      <OnePeer id={chosen.node_id} />
    </section>
  );
}

function OnePeer({ id }: { id: string }) {
  const answer = usePoll<PeerDetail>(`/v1/peers/${encodeURIComponent(id)}`, 3000);
  if (!answer.value) return <Missing refusal={answer.refusal} what="how near this peer is to its bounds" />;
  return answer.value.bounds ? <Bounds of={answer.value.bounds} /> : null;
}

function Storage({ status }: { status: Status | null }) {
  const storage = status?.storage;
  if (!status || !storage) return null;
  const [tone, sentence]: [Tone, string] = storage.failed
    ? ["bad", `Storage failed for good: ${storage.failed}`]
    : storage.waits_for
      ? ["warn", `The disk takes nothing for now: ${storage.waits_for}`]
      : storage.folder === null
        ? ["none", "In memory only: everything ends with the node."]
        : ["good", "The disk takes what it is given."];
  return (
    <section class="panel" aria-label="Storage">
      <header>
        <Badge tone={tone}><Prose of={sentence} /></Badge>
      </header>
      <dl class="tiles">
        <div class="tile"><dt>Waiting for the disk</dt><dd>{count(storage.waiting_changes)}</dd></div>
        <div class="tile"><dt>Their memory</dt><dd>{bytes(storage.waiting_bytes)}</dd></div>
        <div class="tile"><dt>Broadcasts kept</dt><dd>{count(status.gossip?.retained_messages ?? 0)}</dd></div>
        <div class="tile"><dt>Their bytes</dt><dd>{bytes(status.gossip?.retained_bytes ?? 0)}</dd></div>
      </dl>
      {storage.folder !== null && <p class="pad muted small">Folder <code>{remote(storage.folder)}</code></p>}
    </section>
  );
}
