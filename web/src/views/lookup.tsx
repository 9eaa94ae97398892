import { useEffect, useState } from "preact/hooks";
import type { DhtFound, DhtQuestion } from "../api/types";
import { end } from "../dht/ring";
import { ms, remote, words } from "../format";
import { wantsLessMotion } from "../graph/palette";
import { PauseIcon, PlayIcon } from "../parts/icons";
import { Badge, Id, type Tone } from "../parts/small";
import { Table, type Column } from "../parts/table";
import type { Moment } from "./ring";

/** However short a lookup was, it is shown for so long. */
const SHOWN_MS = 4000;

/** How finely its moments are chosen: whole steps, so that the last one is its end. */
const STEPS = 200;

export interface Player {
  moment: Moment | null;
  running: boolean;
  play: () => void;
  pause: () => void;
  seek: (nowMs: number) => void;
}

/** Plays a lookup that was; for who wants less motion, all of it is there at once. */
export function usePlayer(found: DhtFound | null): Player {
  const overMs = found ? end(found.nearest.steps, found.nearest.took_ms) : 0;
  const [nowMs, setNow] = useState(0);
  const [running, setRunning] = useState(false);
  useEffect(() => {
    setNow(wantsLessMotion() ? overMs : 0);
    setRunning(found !== null && !wantsLessMotion());
  }, [found]);
  useEffect(() => {
    if (!running) return;
    let last = performance.now();
    let frame = requestAnimationFrame(function step(time) {
      const passed = ((time - last) * overMs) / SHOWN_MS;
      last = time;
      setNow((now) => Math.min(now + passed, overMs));
      frame = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(frame);
  }, [running, overMs]);
  useEffect(() => {
    if (running && nowMs >= overMs) setRunning(false);
  }, [running, nowMs, overMs]);
  return {
    moment: found && { found, nowMs, overMs },
    running,
    play: () => {
      if (nowMs >= overMs) setNow(0);
      setRunning(true);
    },
    pause: () => setRunning(false),
    seek: (to) => {
      setRunning(false);
      setNow(to);
    },
  };
}

export function Controls({ of }: { of: Player }) {
  if (!of.moment) return null;
  const { nowMs, overMs, found } = of.moment;
  const steps = found.nearest.steps.length;
  return (
    <div class="player">
      <div class="track">
        <button type="button" class="button" onClick={of.running ? of.pause : of.play}>
          {of.running ? <PauseIcon /> : <PlayIcon />} {of.running ? "Pause" : "Play the lookup"}
        </button>
        <input
          type="range"
          min={0}
          max={STEPS}
          value={Math.round((nowMs / overMs) * STEPS)}
          aria-label="Moment of the lookup"
          aria-valuetext={ms(nowMs)}
          onInput={(event) => of.seek((Number((event.currentTarget as HTMLInputElement).value) / STEPS) * overMs)}
        />
        <time>{ms(nowMs)}</time>
      </div>
      <p class="small muted">
        {steps} {steps === 1 ? "question" : "questions"}, {found.nearest.hops} {found.nearest.hops === 1 ? "hop" : "hops"}, {ms(found.nearest.took_ms)}. What took milliseconds is shown slowly.
      </p>
    </div>
  );
}

const TONES: Record<string, Tone> = { answered: "good", slow: "warn", failed: "bad" };

const QUESTIONS: Column<DhtQuestion>[] = [
  { name: "At", numeric: true, by: (q) => q.at_ms, cell: (q) => ms(q.at_ms) },
  { name: "Node", keep: true, by: (q) => q.node_id, cell: (q) => <Id id={q.node_id} /> },
  { name: "End", keep: true, by: (q) => q.end, cell: (q) => <Badge tone={TONES[q.end] ?? "none"}>{words(remote(q.end, 40))}</Badge> },
  { name: "After", numeric: true, by: (q) => q.answer_ms, cell: (q) => ms(q.answer_ms) },
  { name: "Hop", numeric: true, by: (q) => q.hop, cell: (q) => q.hop },
  { name: "Path", numeric: true, by: (q) => q.path, cell: (q) => q.path + 1 },
  { name: "New names", numeric: true, by: (q) => q.named, cell: (q) => q.named },
];

/** Every question, as the picture shows them. */
export function Questions({ of, chosen }: { of: DhtFound; chosen: string | null }) {
  return (
    <Table caption="Questions of the lookup" columns={QUESTIONS} rows={of.nearest.steps} keyOf={(q, i) => `${q.node_id} ${i}`} chosen={(q) => q.node_id === chosen} />
  );
}
