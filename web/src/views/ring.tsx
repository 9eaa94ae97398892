import { useState } from "preact/hooks";
import type { DhtFound, DhtTable } from "../api/types";
import { at, dots, stage, type Dot, type Stage } from "../dht/ring";
import { ms, remote, shortId } from "../format";
import { Sign } from "../parts/picture";

const RADIUS = 150;
const ROOM = 190;

/** A lookup at a moment. */
export interface Moment {
  found: DhtFound;
  nowMs: number;
  overMs: number;
}

interface Props {
  table: DhtTable;
  lookup: Moment | null;
  chosen: string | null;
  choose: (id: string | null) => void;
}

/** The routing table as a ring of all places, and a lookup on it. */
export function Ring({ table, lookup, chosen, choose }: Props) {
  const [spoken, setSpoken] = useState("");
  const all = withAsked(dots(table), lookup);
  const select = (dot: Dot | undefined) => {
    choose(dot?.id ?? null);
    setSpoken(dot ? told(dot) : "");
  };
  const key = (event: KeyboardEvent) => {
    const here = all.findIndex((dot) => dot.id === chosen);
    if (event.key === "ArrowRight" || event.key === "ArrowDown") select(all[(here + 1) % all.length]);
    else if (event.key === "ArrowLeft" || event.key === "ArrowUp") select(all[(here <= 0 ? all.length : here) - 1]);
    else if (event.key === "Escape") select(undefined);
    else return;
    event.preventDefault();
  };
  const me = at(table.here, RADIUS);
  const target = lookup && at(lookup.found.nearest.place, RADIUS);
  const known = all.length === 1 ? "1 node" : `${all.length} nodes`;
  return (
    <figure class="ring">
      <svg
        viewBox={`${-ROOM} ${-ROOM} ${2 * ROOM} ${2 * ROOM}`}
        tabindex={0}
        role="application"
        aria-label={`A ring of all places with ${known} on it; the tables tell the same. Arrow keys walk from node to node.`}
        onKeyDown={key}
      >
        <circle class="track" r={RADIUS} />
        {lookup?.found.nearest.steps.map((step, i) => {
          const now = stage(step, lookup.nowMs, lookup.overMs);
          return now === "ahead" ? null : <Way key={i} from={me} to={at(step.place, RADIUS)} stage={now} />;
        })}
        {all.map((dot) => (
          <Mark key={dot.id} dot={dot} chosen={dot.id === chosen} choose={() => select(dot)} />
        ))}
        {target && <path class="target" d={`M${target.x} ${target.y - 9}l9 9-9 9-9-9Z`} />}
        <g class="me">
          <circle cx={me.x} cy={me.y} r={5} />
          <circle class="halo" cx={me.x} cy={me.y} r={9} />
        </g>
      </svg>
      <ul class="legend">
        <Sign kind="me" tone="accent">{table.mode === "server" ? "this node" : "from here it looks"}</Sign>
        <Sign kind="disc" tone="good">answers</Sign>
        <Sign kind="triangle" tone="warn">missed a question</Sign>
        <Sign kind="cross" tone="bad">does not answer</Sign>
        {lookup && (
          <>
            <Sign kind="diamond" tone="accent">what is looked for</Sign>
            <Sign kind="line" tone="good">answered</Sign>
            <Sign kind="dashes" tone="muted">asked</Sign>
            <Sign kind="double" tone="warn">slow</Sign>
            <Sign kind="cross" tone="bad">failed</Sign>
          </>
        )}
      </ul>
      <p class="hidden" aria-live="polite">{spoken}</p>
    </figure>
  );
}

/** Who is asked is on the ring, too, if only the lookup knows it. */
function withAsked(known: Dot[], lookup: Moment | null): Dot[] {
  const ids = new Set(known.map((dot) => dot.id));
  const asked = lookup?.found.nearest.steps.filter((step) => step.at_ms <= lookup.nowMs && !ids.has(step.node_id)) ?? [];
  const more = asked.map((step) => ({
    id: step.node_id, place: step.place, address: step.address, alive: step.end === "answered", rttMs: step.answer_ms, failures: step.end === "failed" ? 1 : 0, bits: step.common_bits,
  }));
  return [...known, ...more].sort((x, y) => (x.place < y.place ? -1 : 1));
}

function told(dot: Dot): string {
  const how = dot.alive ? (dot.failures > 0 ? "missed its last question" : `answers in ${ms(dot.rttMs)}`) : "does not answer";
  return `${remote(shortId(dot.id))} at ${remote(dot.address, 80)}, ${how}`;
}

/** A node: the shape says how it is, as the colour does. */
function Mark({ dot, chosen, choose }: { dot: Dot; chosen: boolean; choose: () => void }) {
  const { x, y } = at(dot.place, RADIUS);
  const kind = !dot.alive ? "dead" : dot.failures > 0 ? "doubt" : "well";
  return (
    <g class={`node ${kind}`} onClick={choose}>
      <title>{told(dot)}</title>
      {chosen && <circle class="halo" cx={x} cy={y} r={10} />}
      {kind === "well" && <circle cx={x} cy={y} r={4.5} />}
      {kind === "doubt" && <path d={`M${x} ${y - 6}l6 10h-12Z`} />}
      {kind === "dead" && <path class="stroke" d={`M${x - 4} ${y - 4}l8 8m0-8l-8 8`} />}
    </g>
  );
}

/** From this node to one that it asks. */
function Way({ from, to, stage }: { from: { x: number; y: number }; to: { x: number; y: number }; stage: Stage }) {
  const line = `M${from.x} ${from.y}L${to.x} ${to.y}`;
  const [x, y] = [(from.x + to.x) / 2, (from.y + to.y) / 2];
  return (
    <g class={`way ${stage}`}>
      <path d={line} />
      {stage === "slow" && <path class="inner" d={line} />}
      {stage === "failed" && <path d={`M${x - 5} ${y - 5}l10 10m0-10l-10 10`} />}
    </g>
  );
}
