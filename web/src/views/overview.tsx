import { useEffect, useRef } from "preact/hooks";
import { connection } from "../api/client";
import { events } from "../api/events";
import { usePoll } from "../api/poll";
import { useStore } from "../api/store";
import type { Health, History, Status } from "../api/types";
import { clock, count, remote, span, words } from "../format";
import { verdict } from "../health";
import { Chart, type Line } from "../parts/chart";
import { Badge, Copy, Empty, Missing, Prose, Title, ToneIcon } from "../parts/small";
import { describe, toneOf } from "./told";

const KEPT = 600;

/** Four questions, and the series of the node's history that answer them. */
const CHARTS = [
  { name: "Peers", unit: "", lines: [["they dialled", ["peers_inbound"]], ["we dialled", ["peers_outbound"]]] },
  { name: "Traffic", unit: "bytes/s", lines: [["in", ["udp_received", "tcp_received"]], ["out", ["udp_sent", "tcp_sent"]]] },
  { name: "Broadcasts", unit: "messages/s", lines: [["delivered", ["delivered"]], ["published", ["published"]]] },
  { name: "Round trip time", unit: "ms", lines: [["median of peers", ["rtt_median"]]] },
] as const;

export function Overview() {
  const link = useStore(connection);
  const health = usePoll<Health>("/readyz", 2000);
  const status = usePoll<Status>("/v1/status", 2000);
  const says = verdict(link, health.value, status.value);
  return (
    <div class="view">
      <Title name="Overview" />
      <section class="panel" aria-label="Health">
        <div class="health">
          <span class={`mark tone-${says.tone}`}>
            <ToneIcon tone={says.tone} />
          </span>
          <strong><Prose of={says.sentence} /></strong>
          <p><Prose of={says.more} /></p>
        </div>
        {health.value?.checks && <Checks health={health.value} />}
      </section>
      <Numbers status={status.value} />
      <Charts />
      <div class="two">
        <section class="panel">
          <header>
            <h2>This node</h2>
            {status.value?.invite && (
              <span class="right">
                <Copy text={status.value.invite} what="invite" />
              </span>
            )}
          </header>
          {status.value ? <Facts status={status.value} /> : <Missing refusal={status.refusal} what="its status" />}
        </section>
        <Feed />
      </div>
    </div>
  );
}

const CHECKS: Record<string, string> = {
  socket: "Socket bound",
  clock: "Clock sane",
  store: "Disk writable",
  peers: "Enough peers",
  load: "Load in bounds",
  stopping: "Not stopping",
};

function Checks({ health }: { health: Health }) {
  const failed = health.checks.filter((check) => !check.ok);
  return (
    <>
      <ul class="checks" aria-label="Checks">
        {health.checks.map((check) => (
          <li key={check.check}>
            <Badge tone={check.ok ? "good" : "bad"}>
              {CHECKS[check.check] ?? words(remote(check.check, 40))}
              <span class="hidden">{check.ok ? " holds" : " fails"}</span>
            </Badge>
          </li>
        ))}
      </ul>
      {failed.length > 0 && (
        <ul class="remedies">
          {failed.map((check) => (
            <li key={check.check}>
              <b><Prose of={check.reason ?? check.check} /></b> <Prose of={check.remedy ?? ""} />
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function Numbers({ status }: { status: Status | null }) {
  const tcp = status?.links?.tcp ?? 0;
  const tiles: [string, string][] = status
    ? [
        ["Peers connected", count(status.active_peers)],
        ["Peers known", count(status.known_peers)],
        ["Links UDP · TCP", `${count(status.links?.udp ?? 0)} · ${count(tcp)}`],
        ["Broadcasts delivered", count(status.gossip?.delivered ?? 0)],
        ["Kept for late nodes", count(status.gossip?.retained_messages ?? 0)],
        ["Uptime", span(status.uptime_s)],
      ]
    : [];
  if (tiles.length === 0) return null;
  return (
    <dl class="panel tiles">
      {tiles.map(([name, value]) => (
        <div class="tile" key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Facts({ status }: { status: Status }) {
  const facts: [string, string][] = [
    ["Id", status.node_id],
    ["Network", remote(status.network)],
    ["Software", remote(status.software)],
    ["Listens on", status.listen.join(", ")],
    ["Seen by others at", status.external_addresses.join(", ") || "nobody has said yet"],
    ["Reachable", status.reachable ?? "not told"],
    ["Stores", status.storage_state ?? "not told"],
  ];
  return (
    <dl class="facts pad">
      {facts.map(([name, value]) => [
        <dt key={name}>{name}</dt>,
        <dd key={`${name}-`} class={name === "Id" || name.startsWith("Listens") || name.startsWith("Seen") ? "mono" : undefined}>
          {remote(value)}
        </dd>,
      ])}
    </dl>
  );
}

function Charts() {
  const kept = useHistory();
  if (!kept) return null;
  return (
    <div class="two">
      {CHARTS.map((chart) => (
        <Chart
          key={chart.name}
          name={chart.name}
          unit={chart.unit}
          times={kept.times}
          lines={chart.lines.map(([name, of]): Line => ({ name, values: sum(of.map((one) => kept.of(one)), kept.times.length) }))}
        />
      ))}
    </div>
  );
}

interface Kept {
  times: number[];
  of: (name: string) => (number | null)[];
}

/** The last ten minutes: all of it at first, then the newest values once a second. */
function useHistory(): Kept | null {
  const series = useRef(new Map<string, Map<number, number | null>>());
  const begun = useRef(false);
  const answer = usePoll<History>(`/v1/history?last=${begun.current ? 15 : KEPT}`, begun.current ? 1000 : 5000);
  const end = useRef(0);
  useEffect(() => {
    if (answer.value) begun.current = true;
  }, [answer.value]);
  if (answer.value) {
    const last = Math.round(new Date(answer.value.end).getTime() / 1000);
    end.current = Math.max(end.current, last);
    for (const one of answer.value.series) {
      let values = series.current.get(one.name);
      if (!values) series.current.set(one.name, (values = new Map()));
      const from = last - (one.values.length - 1) * answer.value.step_s;
      one.values.forEach((value, i) => values.set(from + i * answer.value!.step_s, value));
      for (const at of values.keys()) if (at <= end.current - KEPT) values.delete(at);
    }
  }
  if (!answer.value && end.current === 0) return null;
  const times = [...new Set([...series.current.values()].flatMap((values) => [...values.keys()]))].sort((a, b) => a - b);
  return { times, of: (name) => times.map((at) => series.current.get(name)?.get(at) ?? null) };
}

function sum(of: (number | null)[][], length: number): (number | null)[] {
  return Array.from({ length }, (_, i) => {
    const known = of.map((values) => values[i] ?? null).filter((value) => value !== null);
    return known.length === 0 ? null : known.reduce((a, b) => a + b, 0);
  });
}

function Feed() {
  const all = useStore(events);
  return (
    <section class="panel">
      <header>
        <h2>What happened</h2>
      </header>
      {all.length === 0 ? (
        <Empty title="Nothing yet">Peers that come and go, dials that fail and bans are told here as they happen.</Empty>
      ) : (
        <ul class="feed" tabIndex={0} aria-label="What happened, newest first">
          {all.slice(0, 60).map((event, i) => {
            const tone = toneOf(event);
            return (
              <li key={`${event.id ?? i} ${event.at}`}>
                <time>{clock(event.at)}</time>
                <span class={tone}>
                  <ToneIcon tone={tone} />
                </span>
                <span><Prose of={describe(event)} /></span>
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}
