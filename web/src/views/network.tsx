import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { headers } from "../api/client";
import type { Scene } from "../graph/scene";
import { palette, wantsLessMotion, whenThemeChanges } from "../graph/palette";
import { Look, type Glow, type SceneEdge } from "../graph/view";
import { count, ms, remote, shortId } from "../format";
import { PauseIcon, PlayIcon } from "../parts/icons";
import { Picture, Sign } from "../parts/picture";
import { Empty, Segments, Title } from "../parts/small";
import { Table, type Column } from "../parts/table";
import { quantile, read, Unreadable, type Message, type Recording } from "../recording/recording";

type Source = { recording: Recording; whole: boolean; version: number };

/** A simulated network: the truth about all nodes, in time. */
export function Network() {
  const [source, setSource] = useState<Source | null>(null);
  const [failed, setFailed] = useState<string | null>(null);
  const [empty, setEmpty] = useState(false);

  const open = (stream: ReadableStream<Uint8Array>) => {
    setFailed(null);
    read(stream, (recording, whole) =>
      setSource((old) => ({ recording, whole, version: (old?.version ?? 0) + 1 })),
    ).catch((error: unknown) => setFailed(error instanceof Unreadable ? error.message : "The recording broke off."));
  };

  useEffect(() => {
    const stop = new AbortController();
    fetch("/v1/recording", { headers: headers(), signal: stop.signal, credentials: "omit" })
      .then((response) => {
        if (response.ok && response.body) open(response.body);
        else setEmpty(true);
      })
      .catch(() => setEmpty(true));
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
          open(file.stream());
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

function Player({ source, choose, failed }: { source: Source; choose: preact.ComponentChildren; failed: string | null }) {
  const { recording } = source;
  const scene = useRef<Scene>(null);
  const [t, setT] = useState(recording.startMs);
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState<Speed>("1");
  const [message, setMessage] = useState<Message | null>(null);
  const [chosen, setChosen] = useState(-1);
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

  useEffect(() => {
    const made = scene.current;
    if (!made) return;
    made.show(nodes, edges, laidOut.current === source.version ? null : ties);
    laidOut.current = source.version;
  }, [nodes, edges, ties]);

  useEffect(() => {
    scene.current?.glow(glowAt(recording, message, t));
  }, [recording, message, t, nodes, edges]);

  useEffect(() => {
    if (!playing) return;
    let frame = 0;
    let before = performance.now();
    const tick = (now: number) => {
      const next = clock.current + (now - before) * Number(speed);
      before = now;
      const end = message ? message.ended + FADE_MS : recording.lengthMs;
      setT(Math.min(next, end));
      if (next >= end) setPlaying(false);
      else frame = requestAnimationFrame(tick);
    };
    frame = requestAnimationFrame(tick);
    return () => cancelAnimationFrame(frame);
  }, [playing, speed, recording, message, source.version]);

  const watch = (of: Message | null) => {
    setMessage(of);
    if (!of) return;
    if (wantsLessMotion()) {
      setT(of.ended);
      return;
    }
    setT(of.began);
    setSpeed(of.ended - of.began > 2000 ? "1" : of.ended - of.began > 200 ? "0.1" : "0.02");
    setPlaying(true);
  };

  const up = moment.up.reduce((sum, one) => sum + one, 0);
  const degree = (i: number) => edges.reduce((n, one) => n + (one.a === i || one.b === i ? 1 : 0), 0);
  const say = (i: number) => {
    const had = message?.arrivals.get(i);
    const parts = [
      nodes[i]?.label ?? "",
      moment.up[i] ? `up, ${degree(i)} links` : "down",
      message ? (had === undefined || had > t ? "does not have the message" : `had the message after ${ms(had - message.began)}, ${message.depth.get(i)} hops`) : "",
    ];
    return parts.filter((part) => part !== "").join("\n");
  };

  return (
    <div class="view tall">
      <Title
        name="Simulated network"
        says={`Seed ${remote(recording.seed, 40)}: ${count(up)} of ${count(recording.ids.length)} nodes up, ${count(edges.length)} links${source.whole ? "" : ", still running"}`}
      >
        {choose}
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
                    setPlaying(false);
                    setMessage(null);
                    setT(Number(event.currentTarget.value));
                  }}
                />
              </div>
              <time>{(t / 1000).toFixed(speed === "0.02" ? 3 : 1)} s</time>
            </div>
            <div class="row wide">
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

function edge(a: number, b: number): SceneEdge {
  return { a, b, heard: false, tcp: false, dialled: 0, word: "", length: 40 };
}

/** Who glows at a time: the way of one message, or of all that move just then. */
function glowAt(recording: Recording, message: Message | null, t: number): Glow {
  const heat = new Float32Array(recording.ids.length).fill(-1);
  const fade = message ? Math.max(30, (message.ended - message.began) * 0.25) : FADE_MS;
  const hops = message ? message.hops : recording.hopsBetween(t - fade, t + LONGEST_HOP_MS);
  const sparks = [];
  const trail: number[] = [];
  if (message && t >= message.began) heat[message.sender] = Math.max(0, 1 - (t - message.began) / fade);
  for (const hop of hops) {
    if (t >= hop.end && message) trail.push(hop.from, hop.to);
    if (t >= hop.end) heat[hop.to] = Math.max(heat[hop.to]!, message ? Math.max(0, 1 - (t - hop.end) / fade) : 1 - (t - hop.end) / fade);
    else if (t > hop.start) sparks.push({ from: hop.from, to: hop.to, part: (t - hop.start) / (hop.end - hop.start) });
  }
  return { heat, sparks, trail };
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

function spreadOf(message: Message): Spread {
  const delays = [...message.arrivals.values()].map((at) => at - message.began).sort((x, y) => x - y);
  let depth = 0;
  for (const one of message.depth.values()) depth = Math.max(depth, one);
  return { message, reached: delays.length, p50: quantile(delays, 0.5), p99: quantile(delays, 0.99), depth };
}
