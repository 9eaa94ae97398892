import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ask, Refusal, tell } from "../api/client";
import { usePoll } from "../api/poll";
import type { Status, Trace } from "../api/types";
import type { Scene } from "../graph/scene";
import { wantsLessMotion } from "../graph/palette";
import { count, ms, remote, shortId } from "../format";
import { SendIcon } from "../parts/icons";
import { Picture, Sign } from "../parts/picture";
import { Badge, Empty, Id, Outcome, Prose, Title, type Said } from "../parts/small";
import { Table, type Column } from "../parts/table";
import { treeOf, type Hop, type Tree } from "./spread";

const POLLS_MS = [50, 100, 150, 250, 400, 600, 1000, 1000, 1500, 1500, 2000, 2000, 3000, 3000, 4000];

export function Gossip() {
  const [message, setMessage] = useState<string | null>(null);
  const [trace, setTrace] = useState<Trace | null>(null);
  const [said, setSaid] = useState<Said | null>(null);
  const [sending, setSending] = useState(false);
  const status = usePoll<Status>("/v1/status", 2000);

  useEffect(() => {
    if (message === null) return;
    let over = false;
    void follow(message, () => over, setTrace, setSaid);
    return () => {
      over = true;
    };
  }, [message]);

  const send = async (event: Event) => {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget as HTMLFormElement).get("text"));
    setSending(true);
    setSaid(null);
    setTrace(null);
    try {
      const answer = await tell<{ message?: string }>("/v1/actions/broadcast", { payload: { message: text } });
      if (answer.message) setMessage(answer.message);
      else setSaid({ ok: true, text: "It is sent. This node does not tell its id, so it cannot be followed." });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      setSaid({ ok: false, text: `${error.sentence} ${error.remedy}` });
    }
    setSending(false);
  };

  const seek = (event: Event) => {
    event.preventDefault();
    const id = String(new FormData(event.currentTarget as HTMLFormElement).get("message")).trim();
    setTrace(null);
    setSaid(null);
    if (id !== "") setMessage(id);
  };

  return (
    <div class="view tall">
      <Title name="Gossip" says="Where did my message go?" />
      <div class="stack fill">
        <section class="panel">
          <div class="pad row wide">
            <form class="row grow" onSubmit={(event) => void send(event)}>
              <input class="input grow" name="text" aria-label="Text of the test message" defaultValue="Hello, network!" maxLength={400} required />
              <button type="submit" class="button main-act" disabled={sending}>
                <SendIcon /> Send a test message and watch it spread
              </button>
            </form>
            <form class="row" onSubmit={seek}>
              <input class="input mono" name="message" aria-label="Id of a message" placeholder="or the id of a message" spellcheck={false} />
              <button type="submit" class="button">Where did it go?</button>
            </form>
          </div>
          {said && <div class="pad flat"><Outcome of={said} /></div>}
        </section>
        {trace ? <Spread trace={trace} me={status.value?.node_id ?? null} /> : (
          <section class="panel">
            <Empty title={message === null || said ? "No message is followed." : "Waiting for what the node knows of it …"}>
              A test message goes to everybody in the network, under this node’s name. Applications see it as they see any broadcast.
            </Empty>
          </section>
        )}
      </div>
    </div>
  );
}

/** Asks what became of a message, first of the node alone and then of those it went through. */
async function follow(
  message: string,
  over: () => boolean,
  tellTrace: (trace: Trace) => void,
  say: (said: Said) => void,
): Promise<void> {
  const path = `/v1/trace/${encodeURIComponent(message)}`;
  let asked = false;
  for (const pause of POLLS_MS) {
    await new Promise((done) => setTimeout(done, pause));
    if (over()) return;
    try {
      const trace = await ask<Trace>(path);
      if (over()) return;
      tellTrace(trace);
      if (trace.network?.state === "done") return;
      // Others are asked once the message had time to get there: an answer is given once.
      if (!asked && pause >= 600 && trace.local?.own) {
        asked = true;
        await tell(path).catch((error: unknown) => {
          if (error instanceof Refusal) say({ ok: null, text: `Others are not asked: ${error.sentence} ${error.remedy}` });
        });
      }
    } catch (error) {
      if (!(error instanceof Refusal) || over()) return;
      const unknown = error.status === 404;
      if (unknown && pause < 1000) continue;
      say(unknown
        ? { ok: null, text: "This node does not trace messages, or has forgotten this one (it keeps the last 4,096)." }
        : { ok: false, text: `${error.sentence} ${error.remedy}` });
      return;
    }
  }
}

function Spread({ trace, me }: { trace: Trace; me: string | null }) {
  const scene = useRef<Scene>(null);
  const [chosen, setChosen] = useState(-1);
  const tree = useMemo(() => treeOf(trace, me), [trace, me]);
  const shape = tree.hops.map((hop) => `${hop.from}>${hop.to}`).join();
  useEffect(() => {
    scene.current?.show(tree.nodes, tree.edges);
    return play(scene.current, tree);
  }, [shape, trace.message]);

  const say = (i: number) => {
    const hop = tree.hops.find((one) => one.to === i);
    const name = remote(tree.nodes[i]?.label ?? "", 80);
    return hop ? `${name}\nafter ${ms(hop.afterMs)}${hop.how ? `, ${hop.how}` : ""}` : `${name}\n${trace.local?.own ? "here it began" : "where it is seen from"}`;
  };

  return (
    <div class="beside">
      <section class="panel">
        <Picture
          label={`A picture of the way of a message over ${tree.hops.length} hops; the table beside tells the same.`}
          scene={scene}
          say={say}
          select={setChosen}
          legend={
            <>
              <Sign kind="disc" tone="accent">has it</Sign>
              <Sign kind="disc" tone="heard">not yet</Sign>
              <Sign kind="line" tone="edge">sent by this node</Sign>
              <Sign kind="dashes" tone="heard">reported by others</Sign>
            </>
          }
        />
      </section>
      <aside class="panel side-panel" aria-label="The message">
        <header>
          <h2>Message <code>{remote(shortId(trace.message), 40)}</code></h2>
        </header>
        <Summary trace={trace} />
        {tree.hops.length > 0 && (
          <Table caption="Hops" columns={hopColumns(tree)} rows={tree.hops} keyOf={(hop) => `${hop.from} ${hop.to}`} chosen={(hop) => hop.to === chosen} sort={{ column: "After" }} />
        )}
      </aside>
    </div>
  );
}

function hopColumns(tree: Tree): Column<Hop>[] {
  const name = (i: number) => {
    const node = tree.nodes[i];
    if (!node) return "–";
    return node.id.length === 64 ? <Id id={node.id} /> : remote(node.label, 40);
  };
  return [
    { name: "From", keep: true, by: (hop) => hop.from, cell: (hop) => name(hop.from) },
    { name: "To", keep: true, by: (hop) => tree.nodes[hop.to]?.label ?? "", cell: (hop) => name(hop.to) },
    { name: "How", keep: true, by: (hop) => hop.how, cell: (hop) => remote(hop.how) },
    { name: "After", numeric: true, by: (hop) => hop.afterMs, cell: (hop) => ms(hop.afterMs) },
  ];
}

function Summary({ trace }: { trace: Trace }) {
  const { local, network } = trace;
  const facts: [string, preact.ComponentChildren][] = [];
  if (local) {
    facts.push(local.own ? ["Sender", "this node: here it began"] : ["Heard", <>from <Id id={local.from ?? "?"} />, {local.how === "asked" ? "asked for" : "pushed"}</>]);
    if (local.verified_ms !== null && local.verified_ms !== undefined) facts.push(["Verified in", ms(local.verified_ms)]);
    if (local.delivered_ms !== null && local.delivered_ms !== undefined) facts.push(["Delivered after", ms(local.delivered_ms)]);
    facts.push(["Forwarded to", `${local.forwarded?.length ?? 0} peers`]);
    facts.push(["Duplicates", count(local.duplicates ?? 0)]);
  }
  if (trace.dropped) facts.push(["Dropped", <Prose of={`${trace.dropped.reason.replaceAll("_", " ")}: ${trace.dropped.sentence ?? ""}`} />]);
  if (network) {
    facts.push(["Reported reach", `${count(network.reached ?? 0)}${network.expected ? ` of about ${count(network.expected)}` : ""} nodes`]);
    if (network.delay_ms?.p99 !== undefined) facts.push(["Delay p50 · p99", `${ms(network.delay_ms.p50)} · ${ms(network.delay_ms.p99)}`]);
    if (network.by_depth) facts.push(["Depth", `${network.by_depth.findLastIndex((n) => n > 0)} hops`]);
    if (network.slowest) facts.push(["Slowest link", `${ms(network.slowest.ms)}, ${remote(shortId(network.slowest.a ?? "not told"), 24)} to ${remote(shortId(network.slowest.b ?? "not told"), 24)}`]);
    facts.push(["Declined · silent", `${count(network.declined ?? 0)} · ${count(network.silent ?? 0)}`]);
  }
  return (
    <div class="pad stack close">
      <p role="status" class="row">
        {network?.state === "done" ? <Badge tone="good">others answered</Badge> : network ? <Badge tone="none">asking others …</Badge> : <Badge tone="none">what this node saw</Badge>}
        {network?.implausible && <Badge tone="warn">a report is implausible</Badge>}
      </p>
      {network?.sentence && <p><Prose of={network.sentence} /></p>}
      <dl class="facts">
        {facts.map(([name, value]) => [<dt key={name}>{name}</dt>, <dd key={`${name}-`}>{value}</dd>])}
      </dl>
    </div>
  );
}

const SHOWN_IN_MS = 3500;

/** Lights up hop after hop, so slowly that people can follow. Returns how to stop. */
function play(scene: Scene | null, tree: Tree): () => void {
  if (!scene || tree.hops.length === 0) return () => {};
  const last = Math.max(...tree.hops.map((hop) => hop.afterMs), 1);
  const slower = Math.max(1, SHOWN_IN_MS / last);
  const began = performance.now();
  let frame = 0;
  const step = () => {
    const now = wantsLessMotion() ? last + 1e6 : (performance.now() - began) / slower;
    const heat = new Float32Array(tree.nodes.length).fill(-1);
    heat[0] = 0;
    const sparks = [];
    const trail: number[] = [];
    for (const hop of tree.hops) {
      const since = now - hop.afterMs;
      if (since >= 0) {
        heat[hop.to] = Math.max(0, 1 - since / (last * 0.25));
        trail.push(hop.from, hop.to);
      } else if (now > hop.fromMs) sparks.push({ from: hop.from, to: hop.to, part: (now - hop.fromMs) / (hop.afterMs - hop.fromMs) });
    }
    scene.glow({ one: true, heat, sparks, trail });
    if (now < last * 1.3) frame = requestAnimationFrame(step);
  };
  step();
  return () => cancelAnimationFrame(frame);
}
