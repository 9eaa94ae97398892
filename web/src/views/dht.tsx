import { useState } from "preact/hooks";
import { Refusal, tell } from "../api/client";
import { usePoll } from "../api/poll";
import type { DhtBucket, DhtContact, DhtFound, DhtRecord, DhtTable } from "../api/types";
import { bytes, count, ms, remote, shortId, span, words } from "../format";
import { Address, Badge, Empty, Id, Missing, Outcome, Prose, Title, type Said } from "../parts/small";
import { Table, type Column } from "../parts/table";
import { Controls, Questions, usePlayer } from "./lookup";
import { Ring } from "./ring";
import { ValuesForm } from "./values";

export function Dht() {
  const polled = usePoll<DhtTable>("/v1/dht", 2000);
  const table = polled.value;
  return (
    <div class="view">
      <Title name="DHT" says="Who keeps what, and who is near whom" />
      {table ? <Parts of={table} /> : <section class="panel"><Missing refusal={polled.refusal} what="its hash table" /></section>}
    </div>
  );
}

function Parts({ of }: { of: DhtTable }) {
  const [chosen, setChosen] = useState<string | null>(null);
  const [found, setFound] = useState<DhtFound | null>(null);
  const player = usePlayer(found);
  return (
    <>
      <Summary of={of} />
      <section class="panel" aria-label="Lookup">
        <Find tell={setFound} />
        <div class="ring-and-list">
          <div>
            <Ring table={of} lookup={player.moment} chosen={chosen} choose={setChosen} />
            <Controls of={player} />
          </div>
          {found ? <FoundList of={found} chosen={chosen} /> : <Contacts of={of} chosen={chosen} />}
        </div>
      </section>
      <ValuesForm />
      <section class="panel">
        <header><h2>Buckets</h2><span class="muted small">How many first bits of their places are those of this node’s</span></header>
        {of.buckets.length > 0
          ? <Table caption="Buckets" columns={BUCKETS} rows={of.buckets} keyOf={(b) => String(b.common_bits)} />
          : <Empty title="Nobody is known.">Whoever is connected is asked whether it serves the table.</Empty>}
      </section>
      <Records name="Kept here for others" of={of.kept_values} columns={KEPT} none="Nothing is kept for others." />
      <Records name="Published by this node" of={of.published_values} columns={PUBLISHED} none="This node publishes nothing." />
    </>
  );
}

function Summary({ of }: { of: DhtTable }) {
  const { recent } = of;
  const ms = (value: number) => (value < 10 ? value.toFixed(1) : count(value));
  const tiles: [string, string][] = [
    ["Keys here", count(of.stored_keys)],
    ["For others", bytes(of.stored_bytes)],
    ["Tombstones", count(of.tombstones)],
    ["Nodes known", count(of.total_nodes)],
    ["In all, about", of.network_size === null ? "–" : count(of.network_size)],
    ["Found somebody", of.success === null ? "–" : `${(of.success * 100).toFixed(1)} %`],
    ["Hops p50 / p99", recent.operations === 0 ? "–" : `${recent.hops_p50} / ${recent.hops_p99}`],
    ["ms p50 / p99", recent.operations === 0 ? "–" : `${ms(recent.took_ms_p50)} / ${ms(recent.took_ms_p99)}`],
    ["Published, by few", `${count(of.published)}, ${count(of.under_replicated)}`],
  ];
  return (
    <section class="panel" aria-label="This node and the table">
      <header>
        <Badge tone={of.mode === "server" ? "good" : "none"}>{of.mode === "server" ? "Serves the table" : "Only asks"}</Badge>
        <span class="small muted"><Prose of={of.why} /></span>
        {of.place !== null && <span class="right small muted">at <code title={remote(of.place)}>{remote(shortId(of.place))}</code></span>}
      </header>
      <dl class="tiles">{tiles.map(([name, value]) => <div class="tile" key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
    </section>
  );
}

function Find({ tell: say }: { tell: (found: DhtFound | null) => void }) {
  const [said, setSaid] = useState<Said | null>(null);
  const [busy, setBusy] = useState(false);
  const find = async (event: Event) => {
    event.preventDefault();
    const target = String(new FormData(event.currentTarget as HTMLFormElement).get("target")).trim();
    setBusy(true);
    setSaid(null);
    try {
      const found = await tell<DhtFound>("/v1/dht/find", { target });
      say(found);
      const places = found.node?.addresses.map((one) => remote(one, 80)).join(", ");
      if (found.node) setSaid({ ok: true, text: `It is at ${places || "no address that it tells"}.` });
      else if (found.nearest.steps.length === 0) setSaid({ ok: null, text: "Nobody could be asked: no other node that serves the table is known." });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      setSaid({ ok: false, text: `${error.sentence} ${error.remedy}` });
    }
    setBusy(false);
  };
  return (
    <header>
      <h2>Who is near</h2>
      <form class="row grow" onSubmit={(event) => void find(event)}>
        <input name="target" class="input mono grow" aria-label="Id of a node, or a key" placeholder="Id of a node, or a key" required maxLength={1024} spellcheck={false} autocomplete="off" />
        <button type="submit" class="button" disabled={busy}>Find</button>
      </form>
      <Outcome of={said} />
    </header>
  );
}

function FoundList({ of, chosen }: { of: DhtFound; chosen: string | null }) {
  if (of.nearest.steps.length === 0) return <Empty title="Nobody was asked.">No other node that serves the table is known.</Empty>;
  return <Questions of={of} chosen={chosen} />;
}

const CONTACTS: Column<DhtContact>[] = [
  { name: "Node", keep: true, by: (c) => c.node_id, cell: (c) => <Id id={c.node_id} /> },
  { name: "Address", keep: true, by: (c) => c.address, cell: (c) => <Address of={c.address} /> },
  { name: "Place", keep: true, by: (c) => c.place, cell: (c) => <code title={remote(c.place)}>{remote(shortId(c.place))}</code> },
  { name: "Round trip", numeric: true, by: (c) => c.rtt_ms, cell: (c) => ms(c.rtt_ms) },
  { name: "State", keep: true, by: (c) => (c.alive ? c.failures : 99), cell: (c) => <State of={c} /> },
];

function State({ of }: { of: DhtContact }) {
  if (!of.alive) return <Badge tone="bad">Does not answer</Badge>;
  return of.failures > 0 ? <Badge tone="warn">Missed {of.failures}</Badge> : <Badge tone="good">Answers</Badge>;
}

function Contacts({ of, chosen }: { of: DhtTable; chosen: string | null }) {
  const all = of.buckets.flatMap((bucket) => bucket.members);
  if (all.length === 0) return <Empty title="Nobody is known.">Whoever is connected is asked whether it serves the table.</Empty>;
  return <Table caption="Nodes of the routing table" columns={CONTACTS} rows={all} keyOf={(c) => c.node_id} chosen={(c) => c.node_id === chosen} sort={{ column: "Place" }} />;
}

const BUCKETS: Column<DhtBucket>[] = [
  { name: "Common bits", numeric: true, by: (b) => b.common_bits, cell: (b) => b.common_bits },
  {
    name: "Members",
    keep: true,
    by: (b) => b.members.length,
    cell: (b) => (
      <span class="bar">
        <meter min={0} max={b.capacity} value={Math.min(b.members.length, b.capacity)} aria-label={`${b.members.length} of ${b.capacity} members`} />
        <span>{b.members.length} / {b.capacity}</span>
      </span>
    ),
  },
  { name: "Answer", numeric: true, by: (b) => b.members.filter((c) => c.alive).length, cell: (b) => b.members.filter((c) => c.alive).length },
  { name: "In reserve", numeric: true, by: (b) => b.candidates, cell: (b) => b.candidates },
];

const KEY: Column<DhtRecord> = { name: "Key", keep: true, by: (r) => r.key, cell: (r) => <code title={remote(r.key)}>{remote(r.key.slice(0, 16))}</code> };
const KIND: Column<DhtRecord> = { name: "Kind", keep: true, by: (r) => r.kind, cell: (r) => words(remote(r.kind, 40)) };
const SIZE: Column<DhtRecord> = { name: "Value", numeric: true, by: (r) => r.value_bytes, cell: (r) => (r.value_bytes === null ? "deleted" : bytes(r.value_bytes)) };
const FOR: Column<DhtRecord> = { name: "Kept for", numeric: true, by: (r) => r.remaining_s, cell: (r) => span(r.remaining_s) };

const KEPT: Column<DhtRecord>[] = [
  KEY, KIND, SIZE,
  { name: "Publisher", keep: true, by: (r) => r.publisher ?? "", cell: (r) => <Id id={r.publisher ?? ""} /> },
  { name: "Brought by", keep: true, by: (r) => r.from ?? "", cell: (r) => <Id id={r.from ?? ""} /> },
  FOR,
];

const PUBLISHED: Column<DhtRecord>[] = [
  KEY, KIND, SIZE,
  { name: "On other nodes", numeric: true, by: (r) => r.holders ?? 0, cell: (r) => r.holders ?? 0 },
  FOR,
];

function Records({ name, of, columns, none }: { name: string; of: DhtRecord[]; columns: Column<DhtRecord>[]; none: string }) {
  return (
    <section class="panel">
      <header><h2>{name}</h2><span class="muted small">{of.length >= 256 ? "The 256 that end first" : "Those first that end first"}</span></header>
      {of.length > 0
        ? <Table caption={name} columns={columns} rows={of} keyOf={(r) => `${r.key} ${r.publisher ?? ""} ${r.kind}`} sort={{ column: "Kept for" }} />
        : <Empty title={none} />}
    </section>
  );
}
