import { useState } from "preact/hooks";
import { Refusal, tell } from "../api/client";
import { reload, usePoll } from "../api/poll";
import type { Ban, Dial, Lost, Peer, PeerDetail, Peers as PeersAnswer, Status } from "../api/types";
import { bytes, clock, ms, placeOf, remote, sentence, shortId, span, trustWord, words } from "../format";
import { Address, Badge, Copy, Dialog, Empty, Id, Missing, Outcome, Prose, Segments, Title, type Said, type Tone } from "../parts/small";
import { Table, type Column } from "../parts/table";
import { go } from "../route";
import { Bounds, Why } from "./standing";

type Tab = "live" | "lost" | "dials" | "bans";

export function Peers({ chosen }: { chosen: string | undefined }) {
  const [tab, setTab] = useState<Tab>("live");
  const [banning, setBanning] = useState<string | null>(null);
  const answer = usePoll<PeersAnswer>("/v1/peers", 2000);
  const live = answer.value?.peers ?? [];
  const lost = answer.value?.lost ?? [];
  const says = answer.value ? `${live.length} connected, ${lost.length} of the last 256 lost` : "";
  return (
    <div class="view">
      <Title name="Peers" says={says}>
        <Segments
          label="Which peers"
          value={tab}
          choose={setTab}
          choices={[
            ["live", "Connected"],
            ["lost", "Lost"],
            ["dials", "Dials"],
            ["bans", "Bans"],
          ]}
        />
        <button type="button" class="button" onClick={() => setBanning("")}>
          Ban an address …
        </button>
      </Title>
      <div class={chosen ? "beside" : undefined}>
        <section class="panel">
          {tab === "dials" && <Dials />}
          {tab === "bans" && <Bans />}
          {tab === "live" &&
            (answer.value ? <Live peers={live} chosen={chosen} /> : <Missing refusal={answer.refusal} what="its peers" />)}
          {tab === "lost" &&
            (answer.value ? <LostPeers lost={lost} /> : <Missing refusal={answer.refusal} what="its lost peers" />)}
        </section>
        {chosen && <Detail id={chosen} lost={lost} ban={setBanning} />}
      </div>
      <BanDialog whom={banning} close={() => setBanning(null)} />
    </div>
  );
}

export function trustTone(score: number | null | undefined): Tone {
  const word = trustWord(score);
  if (word === "low") return "bad";
  if (word === "doubtful") return "warn";
  return word === "good" ? "good" : "none";
}

const way = (direction: string | null | undefined) =>
  direction === "inbound" ? "they dialled" : direction === "outbound" ? "we dialled" : "–";

const LIVE: Column<Peer>[] = [
  { name: "Peer", keep: true, by: (p) => p.node_id, cell: (p) => <Id id={p.node_id} /> },
  { name: "Address", by: placeOf, cell: (p) => <Address of={placeOf(p)} /> },
  { name: "Over", keep: true, by: (p) => p.transport, cell: (p) => remote(p.transport).toUpperCase() },
  { name: "Direction", keep: true, by: (p) => p.direction, cell: (p) => way(p.direction) },
  { name: "Round trip", numeric: true, by: (p) => p.rtt_ms, cell: (p) => ms(p.rtt_ms) },
  {
    name: "Trust",
    keep: true,
    by: (p) => p.trust_score,
    cell: (p) => <Badge tone={trustTone(p.trust_score)}>{`${trustWord(p.trust_score)} ${p.trust_score.toFixed(2)}`}</Badge>,
  },
  { name: "Connected", numeric: true, by: (p) => p.connected_s, cell: (p) => span(p.connected_s) },
  { name: "Waiting", numeric: true, by: (p) => p.queued_bytes, cell: (p) => bytes(p.queued_bytes) },
];

function Live({ peers, chosen }: { peers: Peer[]; chosen: string | undefined }) {
  const dials = usePoll<{ dials: Dial[] }>("/v1/dials", 5000);
  const status = usePoll<Status>("/v1/status", 2000);
  if (peers.length > 0) {
    return (
      <Table
        caption="Connected peers"
        columns={LIVE}
        rows={peers}
        keyOf={(p) => p.node_id}
        chosen={(p) => p.node_id === chosen}
        sort={{ column: "Connected", down: true }}
      />
    );
  }
  const failed = (dials.value?.dials ?? []).filter((dial) => dial.outcome === "failed");
  return (
    <>
      <Empty title={noPeers(dials.value?.dials ?? [])}>
        <Prose of={`${sentence(status.value?.isolation_reason ?? "others are waited for")}. ${failed[0]?.remedy ?? ""}`} />
      </Empty>
      <Join />
    </>
  );
}

/** Makes a link to a node that somebody named. */
function Join() {
  const [said, setSaid] = useState<Said | null>(null);
  const [asking, setAsking] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    const target = String(new FormData(event.currentTarget as HTMLFormElement).get("target")).trim();
    setAsking(true);
    setSaid(await order("join", { target }, "It is connected."));
    setAsking(false);
  };
  return (
    <form class="row middle pad" onSubmit={(event) => void submit(event)}>
      <input class="input mono wide-input" name="target" aria-label="Whom to join" placeholder="an invite, or host:port" required spellcheck={false} />
      <button type="submit" class="button main-act" disabled={asking}>{asking ? "Dialling …" : "Join"}</button>
      <Outcome of={said} />
    </form>
  );
}

/** "No peers yet: 3 dials, 3 × refused." */
export function noPeers(dials: Dial[]): string {
  if (dials.length === 0) return "No peers yet: nobody was dialled.";
  const reasons = new Map<string, number>();
  for (const dial of dials) {
    const why = dial.outcome === "failed" ? (dial.reason ?? "failed") : dial.outcome;
    reasons.set(why, (reasons.get(why) ?? 0) + 1);
  }
  const parts = [...reasons].map(([why, n]) => `${n} × ${remote(why, 60).replaceAll("_", " ")}`);
  return `No peers yet: ${dials.length} ${dials.length === 1 ? "dial" : "dials"}, ${parts.join(", ")}.`;
}

const LOST: Column<Lost>[] = [
  { name: "Lost", keep: true, numeric: true, by: (p) => -p.age_s, cell: (p) => <span title={p.lost_at}>{span(p.age_s)} ago</span> },
  { name: "Peer", keep: true, by: (p) => p.node_id, cell: (p) => <Id id={p.node_id} /> },
  { name: "Address", by: placeOf, cell: (p) => <Address of={placeOf(p)} /> },
  { name: "Over", keep: true, by: (p) => p.transport, cell: (p) => remote(p.transport).toUpperCase() },
  { name: "Was connected", keep: true, by: (p) => p.connected_s, cell: (p) => span(p.connected_s) },
  { name: "Ended by", keep: true, by: (p) => p.by, cell: (p) => ({ us: "this node", peer: "the peer", network: "the network" })[p.by] ?? remote(p.by) },
  {
    name: "Why",
    by: (p) => p.reason,
    cell: (p) => (
      <>
        <b>{words(remote(p.reason, 60))}</b> <span class="muted"><Prose of={`${p.sentence} ${p.remedy}`} /></span>
      </>
    ),
  },
];

function LostPeers({ lost }: { lost: Lost[] }) {
  if (lost.length === 0) return <Empty title="No peer was lost since this node started.">The last 256 stay here, with the reason and who ended it.</Empty>;
  return <Table caption="Lost peers" columns={LOST} rows={lost} keyOf={(p, i) => `${p.node_id} ${p.lost_at} ${i}`} sort={{ column: "Lost", down: true }} />;
}

const OUTCOMES: Record<Dial["outcome"], [Tone, string]> = {
  connected: ["good", "connected"],
  failed: ["bad", "failed"],
  under_way: ["none", "under way"],
};

const DIALS: Column<Dial>[] = [
  { name: "When", keep: true, numeric: true, by: (d) => -d.age_s, cell: (d) => <span title={d.at}>{span(d.age_s)} ago</span> },
  { name: "Address", by: (d) => d.address, cell: (d) => <Address of={d.address} /> },
  { name: "Peer", keep: true, by: (d) => d.node_id ?? null, cell: (d) => (d.node_id ? <Id id={d.node_id} /> : <span class="muted">not known</span>) },
  { name: "Over", keep: true, by: (d) => d.transport ?? null, cell: (d) => (d.transport ? remote(d.transport).toUpperCase() : "every kind") },
  { name: "For", keep: true, by: (d) => d.purpose ?? null, cell: (d) => (d.purpose === "probe" ? "probe" : "link") },
  {
    name: "Outcome",
    keep: true,
    by: (d) => d.outcome,
    cell: (d) => {
      const [tone, word] = OUTCOMES[d.outcome] ?? ["none", remote(d.outcome)];
      return <Badge tone={tone}>{word}</Badge>;
    },
  },
  { name: "Took", numeric: true, by: (d) => d.took_ms, cell: (d) => ms(d.took_ms) },
  {
    name: "Why",
    by: (d) => d.reason ?? null,
    cell: (d) => d.reason && <><b>{words(remote(d.reason, 60))}</b> <span class="muted"><Prose of={`${d.sentence ?? ""} ${d.remedy ?? ""}`} /></span></>,
  },
];

function Dials() {
  const answer = usePoll<{ dials: Dial[] }>("/v1/dials", 2000);
  if (!answer.value) return <Missing refusal={answer.refusal} what="its dials" />;
  if (answer.value.dials.length === 0) return <Empty title="This node has dialled nobody.">With bootstrap addresses, or after others told it of peers, it does.</Empty>;
  return <Table caption="Dials" columns={DIALS} rows={answer.value.dials} keyOf={(d, i) => `${d.at} ${d.address} ${i}`} sort={{ column: "When", down: true }} />;
}

function Bans() {
  const answer = usePoll<{ bans: Ban[] }>("/v1/bans", 3000);
  const [said, setSaid] = useState<Said | null>(null);
  if (!answer.value) return <Missing refusal={answer.refusal} what="its bans" />;
  const whom = (ban: Ban) => ban.node_id ?? ban.addresses ?? "";
  const columns: Column<Ban>[] = [
    { name: "Who", by: whom, cell: (b) => <code title={remote(whom(b))}>{remote(b.node_id ? shortId(b.node_id) : b.addresses, 80)}</code> },
    { name: "Until", keep: true, by: (b) => b.until_unix_secs, cell: (b) => clock(b.until_unix_secs * 1000) },
    { name: "Why", by: (b) => b.reason, cell: (b) => (b.reason === null ? <span class="muted">its score fell too low</span> : <Prose of={b.reason} />) },
    {
      name: "Lift",
      keep: true,
      by: whom,
      cell: (b) => (
        <button
          type="button"
          class="button"
          aria-label={`Unban ${remote(shortId(whom(b)), 80)}`}
          onClick={() => void order("unban", { whom: whom(b) }, `${shortId(whom(b))} may come back.`).then(setSaid)}
        >
          Unban
        </button>
      ),
    },
  ];
  return (
    <>
      {answer.value.bans.length === 0 ? (
        <Empty title="Nobody is banned.">A node whose score falls too low is, and whom you ban: with a reason, and until a time.</Empty>
      ) : (
        <Table caption="Bans" columns={columns} rows={answer.value.bans} keyOf={whom} />
      )}
      <div class="pad"><Outcome of={said} /></div>
    </>
  );
}

/** Gives an order, and says in words what became of it. */
export async function order(action: string, body: unknown, done: string): Promise<Said> {
  try {
    await tell(`/v1/actions/${action}`, body);
    reload("/v1/peers", "/v1/bans", "/v1/status", "/v1/topology");
    return { ok: true, text: done };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { ok: false, text: `${error.sentence} ${error.remedy}` };
  }
}

function Detail(props: { id: string; lost: Lost[]; ban: (whom: string) => void }) {
  const { id } = props;
  const answer = usePoll<PeerDetail & Partial<Lost>>(`/v1/peers/${encodeURIComponent(id)}`, 2000);
  const [said, setSaid] = useState<Said | null>(null);
  const peer = answer.value;
  const live = peer !== null && peer.trust_score !== undefined;
  const ended = props.lost.filter((lost) => lost.node_id === id);
  return (
    <aside class="panel side-panel" aria-label={`Peer ${remote(shortId(id))}`}>
      <header>
        <h2 class="mono">{remote(shortId(id))}</h2>
        <span class="right row">
          <Copy text={id} what="id" />
          <button type="button" class="button icon" aria-label="Close" onClick={() => go("peers")}>
            Close
          </button>
        </span>
      </header>
      {!peer && ended.length === 0 && <Missing refusal={answer.refusal} what="more of this peer" />}
      {live && (
        <dl class="facts pad">
          <dt>Address</dt>
          <dd class="mono">{remote(placeOf(peer))}</dd>
          {peer.software && [<dt key="s">Software</dt>, <dd key="t">{remote(peer.software, 120)}</dd>]}
          <dt>Link</dt>
          <dd>{remote(peer.transport).toUpperCase()}, {way(peer.direction)}, {ms(peer.rtt_ms)}</dd>
          <dt>Connected</dt>
          <dd>{span(peer.connected_s)}</dd>
          <dt>Waiting for it</dt>
          <dd>{bytes(peer.queued_bytes)}</dd>
          <dt>Trust</dt>
          <dd><Badge tone={trustTone(peer.trust_score)}>{`${trustWord(peer.trust_score)} ${peer.trust_score.toFixed(3)}`}</Badge></dd>
        </dl>
      )}
      {peer?.why && <Why of={peer.why} />}
      {live && peer.bounds && <Bounds of={peer.bounds} />}
      {ended.length > 0 && (
        <div class="pad stack close">
          <h3>How earlier sessions ended</h3>
          {ended.slice(0, 5).map((lost) => (
            <p key={lost.lost_at} class="small">
              <b>{words(remote(lost.reason, 60))}</b>, {span(lost.age_s)} ago. <span class="muted"><Prose of={`${lost.sentence} ${lost.remedy}`} /></span>
            </p>
          ))}
        </div>
      )}
      <div class="pad row">
        {live && (
          <button type="button" class="button" onClick={() => void order("disconnect", { peer: id }, "The session is ended.").then(setSaid)}>
            Disconnect
          </button>
        )}
        <button type="button" class="button danger" onClick={() => props.ban(id)}>
          Ban …
        </button>
        <Outcome of={said} />
      </div>
    </aside>
  );
}

const TIMES: [number, string][] = [
  [600, "10 minutes"],
  [7200, "2 hours"],
  [86_400, "a day"],
  [604_800, "a week"],
  [2_419_200, "four weeks"],
  [0, "good"],
];

function BanDialog({ whom, close }: { whom: string | null; close: () => void }) {
  const [said, setSaid] = useState<Said | null>(null);
  const shut = () => {
    setSaid(null);
    close();
  };
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const target = String(fields.get("whom")).trim();
    const seconds = Number(fields.get("seconds"));
    const outcome = await order(
      "ban",
      { whom: target, ...(seconds > 0 && { seconds }), reason: String(fields.get("reason")) },
      "",
    );
    if (outcome.ok) shut();
    else setSaid(outcome);
  };
  return (
    <Dialog open={whom !== null} name="Ban" close={shut}>
      <form class="stack" onSubmit={(event) => void submit(event as unknown as SubmitEvent)}>
        <h2>Refuse a node, an address or a range</h2>
        <label class="field">
          Whom
          <input name="whom" class="mono" defaultValue={whom ?? ""} placeholder="id, 203.0.113.7 or 203.0.113.0/24" required spellcheck={false} />
        </label>
        <label class="field">
          For
          <select name="seconds">
            {TIMES.map(([seconds, word]) => (
              <option key={seconds} value={seconds} selected={seconds === 7200}>{word}</option>
            ))}
          </select>
        </label>
        <label class="field">
          Reason, for the record
          <input name="reason" maxLength={200} required />
        </label>
        <p class="small muted">Its session is closed, it is let in no more and nobody there is dialled, over restarts too.</p>
        <Outcome of={said} />
        <div class="row">
          <button type="submit" class="button main-act">Ban</button>
          <button type="button" class="button" onClick={shut}>Cancel</button>
        </div>
      </form>
    </Dialog>
  );
}
