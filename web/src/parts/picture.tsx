import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Scene } from "../graph/scene";
import { FitIcon, MinusIcon, PlusIcon } from "./icons";

interface Props {
  /** Says what is seen, for who does not see it. */
  label: string;
  scene: RefObject<Scene | null>;
  /** What the pointer or the keys are on, in words. */
  say: (index: number) => string;
  select: (index: number) => void;
  /** It is seen so many times larger than where all of it is seen. */
  zoomed?: (times: number) => void;
  legend?: ComponentChildren;
}

const ARROWS: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** A network on a canvas, with keys, a tip for the pointer and a legend. */
export function Picture({ label, scene, say, select, zoomed, legend }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const signs = useRef<HTMLUListElement>(null);
  const above = useRef<HTMLCanvasElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const [spoken, setSpoken] = useState("");
  const latest = useRef({ say, select, zoomed });
  latest.current = { say, select, zoomed };

  useEffect(() => {
    const made = new Scene(canvas.current!, above.current!, {
      hover: (index, x, y) => point(tip.current!, index < 0 ? "" : latest.current.say(index), x, y),
      zoomed: (times) => latest.current.zoomed?.(times),
      select: (index) => {
        latest.current.select(index);
        setSpoken(index < 0 ? "" : latest.current.say(index));
      },
      foot: () => signs.current?.offsetHeight ?? 0,
    });
    scene.current = made;
    canvas.current!.dispatchEvent(new CustomEvent("scene", { detail: made, bubbles: true }));
    return () => {
      scene.current = null;
      made.destroy();
    };
  }, []);

  const key = (event: KeyboardEvent) => {
    const made = scene.current;
    if (!made) return;
    const arrow = ARROWS[event.key];
    if (arrow) made.select(made.neighbour(...arrow));
    else if (event.key === "+" || event.key === "=") made.zoomBy(1.4);
    else if (event.key === "-") made.zoomBy(1 / 1.4);
    else if (event.key === "0") made.fit();
    else if (event.key === "Escape") made.select(-1);
    else return;
    event.preventDefault();
  };

  return (
    <div class="picture">
      <canvas
        ref={canvas}
        tabIndex={0}
        role="application"
        aria-label={`${label} Arrow keys walk along links, plus and minus zoom, zero shows all.`}
        onKeyDown={key}
      />
      <canvas class="above" ref={above} aria-hidden="true" />
      <div class="tools">
        <button type="button" class="button icon" aria-label="Zoom in" onClick={() => scene.current?.zoomBy(1.4)}>
          <PlusIcon />
        </button>
        <button type="button" class="button icon" aria-label="Zoom out" onClick={() => scene.current?.zoomBy(1 / 1.4)}>
          <MinusIcon />
        </button>
        <button type="button" class="button icon" aria-label="Show all" onClick={() => scene.current?.fit()}>
          <FitIcon />
        </button>
      </div>
      {legend && <ul class="legend" ref={signs}>{legend}</ul>}
      <div class="tip" ref={tip} hidden />
      <p class="hidden" aria-live="polite">{spoken}</p>
    </div>
  );
}

const TIP_WIDTH_PX = 320;

/** Says what the pointer is on, in the same turn in which the pointer came there. */
function point(tip: HTMLDivElement, text: string, x: number, y: number): void {
  tip.hidden = text === "";
  if (tip.hidden) return;
  tip.textContent = text;
  const width = tip.parentElement!.clientWidth;
  const left = x > width - TIP_WIDTH_PX;
  tip.style.left = left ? "" : `${x + 14}px`;
  tip.style.right = left ? `${width - x + 14}px` : "";
  tip.style.top = `${y + 10}px`;
}

/** One entry of a legend: a shape and its word. */
export function Sign({ kind, tone, children }: { kind: string; tone: string; children: ComponentChildren }) {
  const colour = `var(--${tone})`;
  return (
    <li>
      <svg viewBox="0 0 18 12" aria-hidden="true" stroke={colour} fill={colour} stroke-width="1.6">
        {kind === "me" && <g><circle cx="9" cy="6" r="3" stroke="none" /><circle cx="9" cy="6" r="5.2" fill="none" stroke-width="1.2" /></g>}
        {kind === "disc" && <circle cx="9" cy="6" r="4" stroke="none" />}
        {kind === "diamond" && <path d="M9 1 14 6 9 11 4 6Z" stroke="none" />}
        {kind === "triangle" && <path d="M9 1.5 14 10.5H4Z" stroke="none" />}
        {kind === "ring" && <circle cx="9" cy="6" r="4" fill="none" />}
        {kind === "cross" && <path d="m5.5 2.5 7 7M12.5 2.5l-7 7" fill="none" />}
        {kind === "line" && <path d="M0 6h18" />}
        {kind === "double" && <path d="M0 4h18M0 8h18" stroke-width="1.2" />}
        {kind === "dashes" && <path d="M0 6h18" stroke-dasharray="4 3" />}
        {kind === "arrow" && <path d="M0 6h11M10 2.5 17 6 10 9.5Z" stroke-width="1.2" />}
      </svg>
      {children}
    </li>
  );
}
