import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { headers, Refusal, tell } from "../api/client";
import { usePoll } from "../api/poll";
import type { Topology } from "../api/types";
import { known, offersRoute } from "../api/offers";
import type { Scene } from "../graph/scene";
import { palette, wantsLessMotion, whenThemeChanges } from "../graph/palette";
import { Look, type Glow, type SceneEdge } from "../graph/view";
import { count, ms, remote, shortId } from "../format";
import { PauseIcon, PlayIcon } from "../parts/icons";
import { Picture, Sign } from "../parts/picture";
import { Empty, Outcome, Segments, Title, type Said } from "../parts/small";
import { Table, type Column } from "../parts/table";
import { depthOf, nextStart, paceOf, quantile, read, Unreadable, type Message, type Recording } from "../recording/recording";

/** `grows`: a simulation that runs, and is followed. */
type Source = { recording: Recording; whole: boolean; grows: boolean; version: number };

/** A simulated network: the truth about all nodes, in time. */
export function Network() {
  const [source, setSource] = useState<Source | null>(null);
  const [failed, setFailed] = useState<string | null>(null);
  const [empty, setEmpty] = useState(false);

  const open = (stream: ReadableStream<Uint8Array>, grows: boolean) => {
    setFailed(null);
    read(stream, (recording, whole) =>
      setSource((old) => ({ recording, whole, grows, version: (old?.version ?? 0) + 1 })),
    ).catch((error: unknown) => setFailed(error instanceof Unreadable ? error.message : "The recording broke off."));
  };

  useEffect(() => {
    const stop = new AbortController();
    const fetched = async () => {
      const offers = await known();
      if (stop.signal.aborted) return;
      if (!offersRoute(offers, "GET", "/v1/recording")) return setEmpty(true);
      const response = await fetch("/v1/recording", { headers: headers(), signal: stop.signal, credentials: "omit" });
      if (response.ok && response.body) open(response.body, offers.serves === "network");
      else setEmpty(true);
    };
    fetched().catch(() => setEmpty(true));
    return () => stop.abort();
  }, []);

  const choose = (
    <label class="button">
      Open a recording …
      <input
        class="hidden"
        type="file"
        accept=".ndjson,.jsonl,.json,.positron"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          if (!file) return;
          setSource(null);
          open(file.stream(), false);
        }}
      />
    </label>
  );

  if (!source) {
    return (
      <div class="view">
        <Title name="Simulated network">{choose}</Title>
        <section class="panel">
          {failed ? (
            <Empty title={failed}>It is written by <code>positron-net simulate --record FILE</code>.</Empty>
          ) : empty ? (
            <Empty title="No simulation is running here.">
              <code>positron-net simulate --virtual --count 1000 --record FILE</code> writes a recording, and <code>positron-net replay FILE</code> shows it here. One can be opened from a file, too.
            </Empty>
          ) : (
            <Empty title="Reading the recording …" />
          )}
        </section>
      </div>
    );
  }
  return <Player source={source} choose={choose} failed={failed} />;
}

const SPEEDS = [
  ["0.02", "1/50"],
  ["0.1", "1/10"],
  ["1", "1×"],
  ["4", "4×"],
] as const;
type Speed = (typeof SPEEDS)[number][0];

/** How long a message glows after it came, in virtual milliseconds. */
const FADE_MS = 400;
const LONGEST_HOP_MS = 2000;
/** How far behind a running simulation the picture stays, so that it moves evenly. */
const LIVE_LAG_MS = 600;

function Player({ source, choose, failed }: { source: Source; choose: preact.ComponentChildren; failed: string | null }) {
  const { recording } = source;
  const scene = useRef<Scene>(null);
  const topology = usePoll<Topology>("/v1/topology", 5000).value;
  const [t, setT] = useState(recording.startMs);
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState<Speed>("1");
  const [message, setMessage] = useState<Message | null>(null);
  const [chosen, setChosen] = useState(-1);
  const [follows, setFollows] = useState(source.grows && !source.whole);
  const live = follows && !source.whole && !message;
  const touched = useRef(false);
  useEffect(() => {
    // Before that, there is nothing to see: no link, or few.
    if (!source.grows && !touched.current) setT(recording.togetherMs);
  }, [recording, source.version]);
  const clock = useRef(t);
  clock.current = t;

  const step = recording.stepAt(t);
  const moment = useMemo(() => recording.at(step), [recording, step, source.version]);
  const edges = useMemo(() => {
    const made: SceneEdge[] = [];
    for (const key of moment.links) {
      const { a, b } = recording.link(key);
      if (moment.up[a] && moment.up[b]) made.push(edge(a, b));
    }
    return made;
  }, [moment]);
  const nodes = useMemo(
    () =>
      recording.ids.map((id, i) => ({
        id,
        label: remote(recording.names?.[i] ?? shortId(id), 24),
        look: moment.up[i] ? Look.Up : Look.Down,
      })),
    [moment],
  );
  const ties = useMemo(() => recording.everLinked().map(({ a, b }) => edge(a, b)), [recording, source.version]);
  const laidOut = useRef(0);
  const chosenUp = chosen >= 0 && moment.up[chosen] === 1;

  useEffect(() => {
    const made = scene.current;
    if (!made) return;
    // A picture that is laid out anew with each link that is made would never rest.
    const grew = ties.length > laidOut.current * 1.05;
    made.show(nodes, edges, grew ? ties : null);
    if (grew) laidOut.current = ties.length;
  }, [nodes, edges, ties]);

  useEffect(() => {
    scene.current?.glow(glowAt(recording, message, t));
  }, [recording, message, t, nodes, edges]);

  useEffect(() => {
    if (!playing && !live) return;
    let frame = 0;
    let before = performance.now();
    const tick = (now: number) => {
      let next = clock.current + (now - before) * (live ? 1 : Number(speed));
      before = now;
      if (live) {
        const behind = recording.lengthMs - next;
        if (behind > 4 * LIVE_LAG_MS) next = recording.lengthMs - LIVE_LAG_MS;
        setT(Math.max(recording.startMs, Math.min(next, recording.lengthMs)));
        frame = requestAnimationFrame(tick);
        return;
      }
      // A cut may lie between two hops: nothing moves, and nobody wants to wait for it.
      const moves = message && nextStart(message, next);
      if (moves && moves - next > 4 * fadeOf(message)) next = moves - fadeOf(message);
      const end = message ? message.ended + FADE_MS : recording.lengthMs;
      setT(Math.min(next, end));
      if (next >= end) setPlaying(false);
      else frame = requestAnimationFrame(tick);
    };
    frame = requestAnimationFrame(tick);
    return () => cancelAnimationFrame(frame);
  }, [playing, live, speed, recording, message, source.version]);

  const watch = (of: Message | null) => {
    setMessage(of);
    touched.current = true;
    if (!of) return;
    if (wantsLessMotion()) {
      setT(of.ended);
      return;
    }
    setT(of.began);
    const pace = paceOf(of);
    setSpeed(pace > 1000 ? "1" : pace > 150 ? "0.1" : "0.02");
    setPlaying(true);
  };

  const up = moment.up.reduce((sum, one) => sum + one, 0);
  const degree = (i: number) => edges.reduce((n, one) => n + (one.a === i || one.b === i ? 1 : 0), 0);
  const say = (i: number) => {
    const had = message?.arrivals.get(i);
    const parts = [
      nodes[i]?.label ?? "",
      moment.up[i] ? `up, ${degree(i)} links` : "down",
      live ? roundTrips(topology, recording.ids[i]) : "",
      message ? (had === undefined || had > t ? "does not have the message" : `had the message after ${ms(had - message.began)}, ${depthOf(message, i)} hops`) : "",
    ];
    return parts.filter((part) => part !== "").join("\n");
  };

  return (
    <div class="view tall">
      <Title
        name="Simulated network"
        says={`Seed ${remote(recording.seed, 40)}: ${count(up)} of ${count(recording.ids.length)} nodes up, ${count(edges.length)} links${source.whole ? "" : source.grows ? ", still running" : ", being read"}`}
      >
        {source.whole || !source.grows ? choose : <Orders node={chosen} up={chosenUp} can={topology?.actions ?? []} />}
      </Title>
      <div class="beside">
        <section class="panel scene-panel">
          <Picture
            label={`A picture of ${recording.ids.length} simulated nodes.`}
            scene={scene}
            say={say}
            select={setChosen}
            legend={
              <>
                <Sign kind="disc" tone="text">just got a message</Sign>
                <Sign kind="disc" tone="accent">has it</Sign>
                <Sign kind="disc" tone={message ? "heard" : "good"}>up</Sign>
                <Sign kind="cross" tone="faint">down</Sign>
                <Sign kind="line" tone="accent">a message on its way</Sign>
              </>
            }
          />
          <div class="player">
            <div class="track">
              <button type="button" class="button" onClick={() => {
                touched.current = true;
                if (!playing && t >= (message ? message.ended : recording.lengthMs)) setT(message ? message.began : recording.startMs);
                setPlaying(!playing);
              }}>
                {playing ? <PauseIcon /> : <PlayIcon />}
                {playing ? "Pause" : "Play"}
              </button>
              <div class="rail">
                <Activity recording={recording} version={source.version} />
                <input
                  type="range"
                  aria-label="Time"
                  aria-valuetext={`${(t / 1000).toFixed(1)} seconds`}
                  min={recording.startMs}
                  max={recording.lengthMs}
                  step={Math.max(1, Math.min(recording.stepMs, 100))}
                  value={t}
                  onInput={(event) => {
                    touched.current = true;
                    setPlaying(false);
                    setFollows(false);
                    setMessage(null);
                    setT(Number(event.currentTarget.value));
                  }}
                />
              </div>
              <time>{(t / 1000).toFixed(speed === "0.02" ? 3 : 1)} s</time>
            </div>
            <div class="row wide">
              {!source.whole && source.grows && (
                <button type="button" class="button" aria-pressed={live} onClick={() => {
                  setMessage(null);
                  setPlaying(false);
                  setFollows(true);
                }}>
                  {live ? "Live" : "Go live"}
                </button>
              )}
              <Segments label="Speed" value={speed} choose={setSpeed} choices={SPEEDS} />
              <span class="small muted">
                {failed ?? (recording.told(step) || "Nothing but messages moves")}
                {recording.skipped > 0 && ` · ${recording.skipped} lines were not understood`}
              </span>
            </div>
          </div>
        </section>
        <Messages recording={recording} version={source.version} message={message} watch={watch} chosen={chosen < 0 ? null : say(chosen)} />
      </div>
    </div>
  );
}

/** What may be done to a simulation that is running: what cannot be done to it is not offered, as nodes on real sockets cannot be slow. */
function Orders({ node, up, can }: { node: number; up: boolean; can: readonly string[] }) {
  const [said, setSaid] = useState<Said | null>(null);
  const order = async (action: string, body: unknown, done: string) => {
    try {
      await tell(`/v1/actions/${action}`, body);
      setSaid({ ok: true, text: done });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      setSaid({ ok: false, text: `${error.sentence} ${error.remedy}` });
    }
  };
  return (
    <>
      <Outcome of={said} />
      {node >= 0 && can.includes(up ? "kill" : "start") && (up ? (
        <button type="button" class="button danger" onClick={() => void order("kill", { node }, "The node dies.")}>Kill this node</button>
      ) : (
        <button type="button" class="button" onClick={() => void order("start", { node }, "The node starts.")}>Start this node</button>
      ))}
      {can.includes("partition") && <button type="button" class="button" onClick={() => void order("partition", { part: 0.5 }, "Half of the nodes are cut off.")}>Split</button>}
      {can.includes("slow") && <button type="button" class="button" onClick={() => void order("slow", { ms: 500 }, "Everything is up to 500 ms late.")}>Slow</button>}
      {can.includes("heal") && <button type="button" class="button" onClick={() => void order("heal", {}, "All is as it was.")}>Heal</button>}
    </>
  );
}

/** The round trips of a node now, where they are measured: those of real sockets. */
function roundTrips(topology: Topology | null | undefined, id: string | undefined): string {
  const ends = topology?.edges.filter((one) => one.a === id || one.b === id) ?? [];
  const rtts = ends.map((one) => one.rtt_ms).filter((rtt) => typeof rtt === "number");
  return rtts.length > 0 ? `round trips from ${ms(Math.min(...rtts))} to ${ms(Math.max(...rtts))}` : "";
}

function edge(a: number, b: number): SceneEdge {
  return { a, b, heard: false, tcp: false, dialled: 0, word: "", length: 40 };
}

function fadeOf(message: Message): number {
  return Math.max(30, paceOf(message) * 0.5);
}

/** Who glows at a time: the way of one message, or of all that move just then. */
function glowAt(recording: Recording, message: Message | null, t: number): Glow {
  const heat = new Float32Array(recording.ids.length).fill(-1);
  const fade = message ? fadeOf(message) : FADE_MS;
  const hops = message ? message.hops : recording.hopsBetween(t - fade, t + LONGEST_HOP_MS);
  const sparks = [];
  const trail: number[] = [];
  if (message && t >= message.began) heat[message.sender] = Math.max(0, 1 - (t - message.began) / fade);
  for (const hop of hops) {
    if (t >= hop.end && message) trail.push(hop.from, hop.to);
    if (t >= hop.end) heat[hop.to] = Math.max(heat[hop.to]!, message ? Math.max(0, 1 - (t - hop.end) / fade) : 1 - (t - hop.end) / fade);
    else if (t > hop.start) sparks.push({ from: hop.from, to: hop.to, part: (t - hop.start) / (hop.end - hop.start) });
  }
  return { one: message !== null, heat, sparks, trail };
}

/** What happened when, above the slider: hops as bars, changes of the network as marks. */
function Activity({ recording, version }: { recording: Recording; version: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const box = canvas.current!;
    const paint = () => {
      const scale = Math.min(window.devicePixelRatio || 1, 2);
      const [width, height] = [box.clientWidth, box.clientHeight];
      if (width === 0) return;
      box.width = width * scale;
      box.height = height * scale;
      const context = box.getContext("2d")!;
      context.scale(scale, scale);
      const colours = palette();
      const spans = Math.max(10, Math.floor((width - 16) / 4));
      const { hops, changes } = recording.activity(spans);
      const most = Math.max(1, ...hops);
      hops.forEach((n, i) => {
        const tall = n === 0 ? 1 : 2 + (n / most) * (height - 6);
        context.fillStyle = n === 0 ? colours.line : colours.accent;
        context.globalAlpha = n === 0 ? 1 : 0.65;
        context.fillRect(8 + i * 4, height - tall, 3, tall);
      });
      context.globalAlpha = 1;
      context.fillStyle = colours.bad;
      changes.forEach((n, i) => {
        if (n > recording.ids.length / 50) context.fillRect(8 + i * 4, 0, 3, 3);
      });
    };
    paint();
    const size = new ResizeObserver(paint);
    size.observe(box);
    const stop = whenThemeChanges(paint);
    return () => {
      size.disconnect();
      stop();
    };
  }, [recording, version]);
  return <canvas ref={canvas} aria-hidden="true" />;
}

interface Spread {
  message: Message;
  reached: number;
  p50: number;
  p99: number;
  depth: number;
}

function Messages(props: {
  recording: Recording;
  version: number;
  message: Message | null;
  watch: (message: Message | null) => void;
  chosen: string | null;
}) {
  const { recording, message, watch } = props;
  const all = useMemo(() => [...recording.messages.values()].map(spreadOf), [recording, props.version]);
  const one = all.find((spread) => spread.message.id === message?.id);
  const columns: Column<Spread>[] = [
    { name: "Sent at", keep: true, numeric: false, by: (s) => s.message.began, cell: (s) => (
      <button type="button" class="id" onClick={() => watch(s.message)}>
        <span class="hidden">Watch the message sent at </span>
        {(s.message.began / 1000).toFixed(1)} s
      </button>
    ) },
    { name: "Reached", numeric: true, by: (s) => s.reached, cell: (s) => count(s.reached) },
    { name: "p99", numeric: true, by: (s) => s.p99, cell: (s) => ms(s.p99) },
    { name: "Hops", numeric: true, by: (s) => s.depth, cell: (s) => s.depth },
  ];
  return (
    <aside class="panel side-panel sim-list" aria-label="Messages">
      <header>
        <h2>{message ? <>Message <code>{remote(shortId(message.id), 24)}</code></> : `${count(all.length)} messages`}</h2>
        {message && <button type="button" class="button right" onClick={() => watch(null)}>Show all</button>}
      </header>
      {one && (
        <dl class="spread" aria-live="polite">
          <div><dt>Reached</dt><dd>{count(one.reached)} of {count(recording.ids.length)}</dd></div>
          <div><dt>Half had it after</dt><dd>{ms(one.p50)}</dd></div>
          <div><dt>99 % after</dt><dd>{ms(one.p99)}</dd></div>
          <div><dt>Hops</dt><dd>{one.depth}</dd></div>
        </dl>
      )}
      {props.chosen && <p class="pad small chosen-node">{props.chosen}</p>}
      {all.length === 0 ? (
        <Empty title="No message was sent.">Messages and their hops are listed here.</Empty>
      ) : (
        <Table caption="Messages: choose one to watch it spread" columns={columns} rows={all} keyOf={(s) => s.message.id} chosen={(s) => s.message.id === message?.id} most={100} />
      )}
    </aside>
  );
}

const spreads = new WeakMap<Message, { hops: number; spread: Spread }>();

function spreadOf(message: Message): Spread {
  // A recording that grows asks again and again; most messages are over.
  const known = spreads.get(message);
  if (known?.hops === message.hops.length) return known.spread;
  const delays = [...message.arrivals.values()].map((at) => at - message.began).sort((x, y) => x - y);
  let depth = 0;
  for (const node of message.parents.keys()) depth = Math.max(depth, depthOf(message, node));
  const spread = { message, reached: delays.length, p50: quantile(delays, 0.5), p99: quantile(delays, 0.99), depth };
  spreads.set(message, { hops: message.hops.length, spread });
  return spread;
}
