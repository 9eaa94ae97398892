import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { usePoll } from "../api/poll";
import type { Topology as TopologyAnswer, TopologyEdge, TopologyNode } from "../api/types";
import { CLOSES_AT, CROWD_FROM, crowdOf, dotsAt, networkOf, nodesAt, OPENS_AT, type Crowd, type Places } from "../graph/crowd";
import type { Scene } from "../graph/scene";
import { Look, type SceneEdge, type SceneNode } from "../graph/view";
import { count, ms, remote, shortId, trustWord } from "../format";
import { Picture, Sign } from "../parts/picture";
import { Address, Badge, Empty, Id, Missing, Segments, Title } from "../parts/small";
import { Table, type Column } from "../parts/table";
import { noPeers, trustTone } from "./peers";

/** From how many nodes on a picture says more than a table. */
const PICTURE_FROM = 8;

export function Topology() {
  const [every, setEvery] = useState(3000);
  const answer = usePoll<TopologyAnswer>("/v1/topology", every);
  // To read a large one takes a while, in which the page does nothing else.
  useEffect(() => setEvery((answer.value?.nodes.length ?? 0) > CROWD_FROM ? 15_000 : 3000), [answer.value]);
  const [wish, setWish] = useState<"picture" | "table" | null>(null);
  const topology = answer.value;
  const shows = wish ?? ((topology?.nodes.length ?? 0) < PICTURE_FROM ? "table" : "picture");
  const links = topology?.edges.filter((edge) => !edge.heard).length ?? 0;
  const heard = (topology?.edges.length ?? 0) - links;
  return (
    <div class="view tall">
      <Title
        name="Topology"
        says={topology ? `${topology.nodes.length} nodes known: ${links} links of this node, ${heard} that others tell of` : ""}
      >
        <Segments
          label="Show as"
          value={shows}
          choose={setWish}
          choices={[
            ["picture", "Picture"],
            ["table", "Table"],
          ]}
        />
      </Title>
      {!topology ? (
        <section class="panel"><Missing refusal={answer.refusal} what="what it knows of the network" /></section>
      ) : shows === "picture" ? (
        <Drawn topology={topology} />
      ) : (
        <Listed topology={topology} />
      )}
    </div>
  );
}

function lookOf(node: TopologyNode): number {
  if (node.me) return Look.Me;
  if (node.up === false) return Look.Down;
  if (node.linked === false) return Look.Heard;
  const word = trustWord(node.trust);
  if (word === "low") return Look.Low;
  return word === "doubtful" ? Look.Doubtful : Look.Good;
}

/** A topology as it is drawn. */
export function sceneOf(topology: TopologyAnswer): { nodes: SceneNode[]; edges: SceneEdge[] } {
  const index = new Map(topology.nodes.map((node, i) => [node.id, i]));
  const nodes = topology.nodes.map((node) => ({
    id: node.id,
    ...(!topology.truth && { ring: node.me ? 0 : node.linked === false ? 2 : 1 }),
    label: node.me ? "this node" : remote(shortId(node.id), 24),
    look: lookOf(node),
  }));
  const few = topology.nodes.length <= 60;
  const edges: SceneEdge[] = [];
  for (const edge of topology.edges) {
    const [a, b] = [index.get(edge.a), index.get(edge.b)];
    if (a === undefined || b === undefined || a === b) continue;
    edges.push({
      a,
      b,
      heard: edge.heard === true,
      tcp: edge.transport === "tcp",
      dialled: edge.direction === "outbound" ? 1 : edge.direction === "inbound" ? -1 : 0,
      word: edge.heard || !few ? "" : wordOf(edge),
      length: few ? 110 + Math.min(60, 12 * Math.log2(1 + (edge.rtt_ms ?? 0))) : 40,
    });
  }
  return { nodes, edges };
}

function wordOf(edge: TopologyEdge): string {
  const over = edge.transport ? edge.transport.toUpperCase() : "link";
  return edge.rtt_ms === null || edge.rtt_ms === undefined ? over : `${over} ${ms(edge.rtt_ms)}`;
}

function Drawn({ topology }: { topology: TopologyAnswer }) {
  const scene = useRef<Scene>(null);
  const [chosen, setChosen] = useState<string | null>(null);
  const [near, setNear] = useState(false);
  const places = useRef<Places>(new Map());
  const drawn = useMemo(() => sceneOf(topology), [topology]);
  const crowd = useMemo(
    () => (drawn.nodes.length > CROWD_FROM ? crowdOf(drawn.nodes, drawn.edges, topology.nodes.map((node) => networkOf(node.address))) : null),
    [drawn],
  );
  const wasNear = useRef(false);
  useEffect(() => {
    const made = scene.current;
    if (!made) return;
    if (!crowd) made.show(drawn.nodes, drawn.edges);
    else if (near) made.showAt(drawn.nodes, drawn.edges, nodesAt(crowd, places.current));
    else if (wasNear.current) made.showAt(crowd.nodes, crowd.edges, dotsAt(crowd, places.current));
    else made.show(crowd.nodes, crowd.edges);
    wasNear.current = near;
  }, [drawn, crowd, near]);
  const zoomed = (times: number) => {
    if (!crowd) return;
    const opens = times > (near ? CLOSES_AT : OPENS_AT);
    if (opens && !near) places.current = scene.current!.places();
    setNear(opens);
  };

  const dot = near ? null : crowd;
  const sayDot = (i: number) => {
    const of = dot!.members[i] ?? [];
    const linked = of.filter((one) => topology.nodes[one]!.linked).length;
    return `${dot!.nodes[i]?.label ?? ""}\n${count(of.length)} ${of.length === 1 ? "node" : "nodes"}, ${count(linked)} linked\nzoom in to see each`;
  };
  const say = (i: number) => {
    if ((dot?.members[i]?.length ?? 0) > 1) return sayDot(i);
    const node = topology.nodes[dot ? dot.members[i]![0]! : i];
    if (!node) return "";
    const edges = topology.edges.filter((edge) => edge.a === node.id || edge.b === node.id);
    const own = edges.find((edge) => !edge.heard);
    const parts = [
      node.me ? "This node" : remote(shortId(node.id)),
      node.me ? "" : node.linked === false ? "heard of, not linked" : own ? wordOf(own) : "linked",
      node.trust === null || node.trust === undefined ? "" : `trust ${trustWord(node.trust)}`,
      remote(node.address ?? "", 80),
      remote(node.software ?? "", 80),
      `${edges.length} ${edges.length === 1 ? "link" : "links"} known`,
    ];
    return parts.filter((part) => part !== "").join("\n");
  };

  return (
    <div class={chosen ? "beside" : "beside alone"}>
      <section class="panel">
        <Picture
          label={`A picture of ${topology.nodes.length} nodes and ${topology.edges.length} links${crowd ? ", a dot for each network until it is zoomed in" : ""}; the table tells the same.`}
          scene={scene}
          say={say}
          select={(i) => setChosen((dot ? dot.nodes[i]?.id : topology.nodes[i]?.id) ?? null)}
          zoomed={zoomed}
          legend={
            <>
              <Sign kind="me" tone="accent">this node</Sign>
              <Sign kind="disc" tone="good">linked</Sign>
              <Sign kind="diamond" tone="warn">trust doubtful</Sign>
              <Sign kind="triangle" tone="bad">trust low</Sign>
              <Sign kind="ring" tone="heard">heard of</Sign>
              {dot && <Sign kind="ring" tone="heard">a /16: zoom in to see its nodes</Sign>}
              <Sign kind="line" tone="edge">UDP</Sign>
              <Sign kind="double" tone="edge">TCP</Sign>
              <Sign kind="arrow" tone="edge">dialled</Sign>
              <Sign kind="dashes" tone="heard">hearsay</Sign>
            </>
          }
        />
      </section>
      {chosen && <Chosen topology={topology} id={chosen} />}
      {chosen && crowd && <ChosenNetwork topology={topology} crowd={crowd} id={chosen} />}
    </div>
  );
}

function Chosen({ topology, id }: { topology: TopologyAnswer; id: string }) {
  const node = topology.nodes.find((one) => one.id === id);
  const edges = topology.edges.filter((edge) => edge.a === id || edge.b === id);
  if (!node) return null;
  return (
    <aside class="panel side-panel" aria-label={`Node ${remote(shortId(id))}`}>
      <header>
        <h2>{node.me ? "This node" : <Id id={id} />}</h2>
      </header>
      <dl class="facts pad">
        <dt>Link</dt>
        <dd>{node.me ? "itself" : node.linked === false ? "none: only heard of" : "to this node"}</dd>
        {node.address && [<dt key="a">Address</dt>, <dd key="b" class="mono">{remote(node.address, 80)}</dd>]}
        {node.software && [<dt key="s">Software</dt>, <dd key="t">{remote(node.software, 120)}</dd>]}
        {node.trust !== null && node.trust !== undefined && [
          <dt key="t">Trust</dt>,
          <dd key="u"><Badge tone={trustTone(node.trust)}>{`${trustWord(node.trust)} ${node.trust.toFixed(2)}`}</Badge></dd>,
        ]}
        <dt>Links known</dt>
        <dd>{edges.length}</dd>
      </dl>
      <ul class="pad stack close small">
        {edges.slice(0, 40).map((edge) => (
          <li key={`${edge.a} ${edge.b}`} class="row">
            <Id id={edge.a === id ? edge.b : edge.a} />
            <span class="muted">{edge.heard ? "hearsay" : wordOf(edge)}</span>
          </li>
        ))}
      </ul>
    </aside>
  );
}

/** A dot, as the list of those that it stands for. */
function ChosenNetwork({ topology, crowd, id }: { topology: TopologyAnswer; crowd: Crowd; id: string }) {
  const at = crowd.nodes.findIndex((dot) => dot.id === id);
  const dot = crowd.nodes[at];
  if (!dot || dot.look === Look.Me) return null;
  const of = crowd.members[at]!.map((i) => topology.nodes[i]!);
  return (
    <aside class="panel side-panel" aria-label={`Network ${dot.label}`}>
      <header>
        <h2>{dot.label}</h2>
      </header>
      <p class="pad small muted">{count(of.length)} {of.length === 1 ? "node" : "nodes"} of this network</p>
      <ul class="pad stack close small">
        {of.slice(0, 40).map((node) => (
          <li key={node.id} class="row">
            <Id id={node.id} />
            <span class="muted">{node.linked ? "linked" : "heard of"}</span>
          </li>
        ))}
      </ul>
    </aside>
  );
}

const EDGES: Column<TopologyEdge>[] = [
  { name: "From", keep: true, by: (e) => e.a, cell: (e) => <Id id={e.a} /> },
  { name: "To", keep: true, by: (e) => e.b, cell: (e) => <Id id={e.b} /> },
  { name: "Known", keep: true, by: (e) => (e.heard ? 1 : 0), cell: (e) => (e.heard ? <span class="muted">hearsay</span> : <Badge tone="good">link</Badge>) },
  { name: "Over", keep: true, by: (e) => e.transport ?? null, cell: (e) => (e.transport ? remote(e.transport).toUpperCase() : "–") },
  { name: "Dialled by", keep: true, by: (e) => e.direction ?? null, cell: (e) => (e.direction === "outbound" ? "the first" : e.direction === "inbound" ? "the second" : "–") },
  { name: "Round trip", numeric: true, by: (e) => e.rtt_ms ?? null, cell: (e) => ms(e.rtt_ms) },
];

const NODES: Column<TopologyNode>[] = [
  { name: "Node", keep: true, by: (n) => n.id, cell: (n) => (n.me ? <b>this node</b> : <Id id={n.id} />) },
  { name: "Known", keep: true, by: (n) => (n.me ? 0 : n.linked ? 1 : 2), cell: (n) => (n.me ? "itself" : n.linked === false ? <span class="muted">heard of</span> : <Badge tone="good">linked</Badge>) },
  { name: "Address", by: (n) => n.address ?? null, cell: (n) => <Address of={n.address ?? "–"} /> },
  { name: "Trust", keep: true, by: (n) => n.trust ?? null, cell: (n) => (n.me || n.trust === null || n.trust === undefined ? "–" : <Badge tone={trustTone(n.trust)}>{`${trustWord(n.trust)} ${n.trust.toFixed(2)}`}</Badge>) },
  { name: "Software", by: (n) => n.software ?? null, cell: (n) => remote(n.software ?? "–", 120) },
];

function Listed({ topology }: { topology: TopologyAnswer }) {
  return (
    <div class="stack">
      <section class="panel">
        <header><h2>Nodes</h2></header>
        {topology.nodes.length < 2 && <Empty title={noPeers([])}>Who connects, and whom they tell of, appears here.</Empty>}
        <Table caption="Nodes" columns={NODES} rows={topology.nodes} keyOf={(n) => n.id} sort={{ column: "Known" }} />
      </section>
      {topology.edges.length > 0 && (
        <section class="panel">
          <header><h2>Links</h2></header>
          <Table caption="Links" columns={EDGES} rows={topology.edges} keyOf={(e, i) => `${e.a} ${e.b} ${i}`} sort={{ column: "Known" }} />
        </section>
      )}
    </div>
  );
}
