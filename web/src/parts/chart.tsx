import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { quantity } from "../format";
import { palette, whenThemeChanges } from "../graph/palette";

export interface Line {
  name: string;
  values: (number | null)[];
}

interface Props {
  name: string;
  unit: string;
  /** Seconds since 1970 of each value. */
  times: number[];
  lines: Line[];
}

/** A chart of one or two lines, and the same in a sentence. */
export function Chart({ name, unit, times, lines }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const names = lines.map((line) => line.name).join();

  useEffect(() => {
    const host = box.current!;
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(host, unit, lines), data(times, lines), host);
    };
    make();
    const size = new ResizeObserver(() =>
      plot.current?.setSize({ width: host.clientWidth - 16, height: host.clientHeight - 12 }),
    );
    size.observe(host);
    const stop = whenThemeChanges(make);
    return () => {
      size.disconnect();
      stop();
      plot.current?.destroy();
      plot.current = null;
    };
    // A plot is made anew for other lines; other values are set below.
  }, [names, unit]);

  useEffect(() => {
    plot.current?.setData(data(times, lines));
  }, [times, lines]);

  return (
    <section class="panel chart">
      <header>
        <h2>{name}</h2>
        <span class="right row wide now">
          {lines.map((line, i) => (
            <span key={line.name}>
              <span class={i === 0 ? "key" : "key second"} />
              {line.name} <b>{quantity(last(line.values), unit)}</b>
            </span>
          ))}
        </span>
      </header>
      <div class="plot" ref={box} role="img" aria-label={inWords(name, unit, lines)} />
    </section>
  );
}

function last(values: (number | null)[]): number | null {
  return values.findLast((value) => value !== null) ?? null;
}

function inWords(name: string, unit: string, lines: Line[]): string {
  const parts = lines.map((line) => {
    const known = line.values.filter((value) => value !== null);
    if (known.length === 0) return `${line.name}: nothing yet`;
    const [least, most] = [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))];
    return `${line.name}: ${quantity(last(known), unit)} now, from ${quantity(least, unit)} to ${quantity(most, unit)}`;
  });
  return `${name}. ${parts.join("; ")}`;
}

function data(times: number[], lines: Line[]): uPlot.AlignedData {
  return [times, ...lines.map((line) => line.values)] as uPlot.AlignedData;
}

function options(host: HTMLElement, unit: string, lines: Line[]): uPlot.Options {
  const colours = palette();
  const axis: uPlot.Axis = {
    stroke: colours.muted,
    font: `11px ${colours.font}`,
    grid: { stroke: colours.line, width: 1 },
    ticks: { show: false },
    gap: 6,
  };
  const strokes = [colours.accent, colours.muted];
  return {
    width: host.clientWidth - 16,
    height: host.clientHeight - 12,
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    padding: [8, 8, 0, 0],
    scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(high ?? 0, 1) * 1.12] } },
    axes: [
      { ...axis, space: 90, size: 24, grid: { show: false }, values: (_, at) => at.map(timeOfDay) },
      {
        ...axis,
        space: 34,
        ...(unit === "" && { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }),
        size: 58,
        values: (_, at) => at.map((value) => quantity(value, unit)),
      },
    ],
    series: [
      {},
      ...lines.map((line, i) => ({
        label: line.name,
        stroke: strokes[i]!,
        width: i === 0 ? 1.75 : 1.5,
        ...(i === 0 && { fill: `color-mix(in srgb, ${colours.accent} 10%, transparent)` }),
        points: { show: false },
        spanGaps: false,
      })),
    ],
  };
}

function timeOfDay(seconds: number): string {
  const at = new Date(seconds * 1000);
  return at.toLocaleTimeString("en-GB", at.getSeconds() === 0 ? { hour: "2-digit", minute: "2-digit" } : {});
}
