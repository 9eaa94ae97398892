import type { Level, PeerBounds, Standing } from "../api/types";
import { bytes, clock, count, remote, span, words } from "../format";
import { Table, type Column } from "../parts/table";

const age = (at: string) => span((Date.now() - Date.parse(at)) / 1000);
const signed = (change: number) => `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(4)}`;

/** What made a score, each with its weight and its age. */
export function Why({ of }: { of: Standing }) {
  return (
    <div class="pad stack close">
      <h3>Why this score</h3>
      <p class="small muted">
        It was {of.opening_score.toFixed(3)} at {clock(of.since)}; a stranger has {of.initial_score.toFixed(2)}, below {of.ban_below.toFixed(2)} it is banned.
      </p>
      <ul class="why">
        {of.totals.map((one) => (
          <li key={one.observation}>
            <span class={`num ${one.change < 0 ? "bad" : "good"}`}>{signed(one.change)}</span>
            <span>{words(remote(one.observation))} <span class="muted">{count(one.times)} ×, last {age(one.last_at)} ago</span></span>
          </li>
        ))}
        {of.drift !== 0 && (
          <li>
            <span class="num muted">{signed(of.drift)}</span>
            <span>With time <span class="muted">back to what a stranger has</span></span>
          </li>
        )}
      </ul>
      {of.totals.length === 0 && <p class="small muted">Nothing was observed that moved it.</p>}
      {of.recent.length > 0 && <h3>Its last wrongs</h3>}
      <ul class="why">
        {of.recent.map((one, i) => (
          <li key={i}>
            <span class="num bad">{signed(one.change)}</span>
            <span>{words(remote(one.observation))} <span class="muted">→ {one.score.toFixed(3)}, {age(one.at)} ago</span></span>
          </li>
        ))}
      </ul>
      {of.recommended_by.length > 0 && <h3>Who recommends it</h3>}
      <ul class="why">
        {of.recommended_by.map((one) => (
          <li key={one.node_id}>
            <span class="num">{one.strength.toFixed(2)}</span>
            <span><code>{one.node_id.slice(0, 16)}</code> <span class="muted">its word weighs {one.weight.toFixed(2)}</span></span>
          </li>
        ))}
      </ul>
      {of.regard > of.trust_score && <p class="small muted">For the best word it is preferred as one with a score of {of.regard.toFixed(3)}.</p>}
    </div>
  );
}

interface Bound {
  name: string;
  level: Level;
  show: (n: number) => string;
}

function boundsOf(of: PeerBounds): Bound[] {
  return [
    { name: "Bytes that wait for it", level: of.queued_bytes, show: bytes },
    { name: "Messages that wait for it", level: of.queued_messages, show: count },
    ...of.lanes.flatMap(({ lane, bytes: size, messages }) => [
      { name: `Lane ${words(remote(lane, 40)).toLowerCase()}: bytes`, level: size, show: bytes },
      { name: `Lane ${words(remote(lane, 40)).toLowerCase()}: messages`, level: messages, show: count },
    ]),
    { name: "Messages in parts", level: of.partial_messages, show: count },
    { name: "Bytes of them", level: of.partial_bytes, show: bytes },
    { name: "Work it made", level: of.work, show: bytes },
    { name: "Requests of it", level: of.requests, show: count },
    { name: "Their bytes", level: of.request_bytes, show: bytes },
    { name: "Streams", level: of.streams, show: count },
  ];
}

const near = ({ level }: Bound) => (level.limit > 0 ? level.used / level.limit : 0);

const BOUNDS: Column<Bound>[] = [
  { name: "Bound", by: (b) => b.name, cell: (b) => b.name },
  { name: "Used", numeric: true, by: (b) => b.level.used, cell: (b) => b.show(b.level.used) },
  { name: "Limit", numeric: true, by: (b) => b.level.limit, cell: (b) => b.show(b.level.limit) },
  { name: "How near", numeric: true, by: near, cell: (b) => `${Math.round(near(b) * 100)} %` },
];

/** How near one peer is to each of its bounds. */
export function Bounds({ of }: { of: PeerBounds }) {
  return <Table caption="Bounds of the peer" columns={BOUNDS} rows={boundsOf(of)} keyOf={(b) => b.name} sort={{ column: "How near", down: true }} />;
}
