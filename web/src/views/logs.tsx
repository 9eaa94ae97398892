import { useEffect, useRef, useState } from "preact/hooks";
import { Refusal, tell } from "../api/client";
import { reload, usePoll } from "../api/poll";
import type { Logs as LogsAnswer } from "../api/types";
import { clock, remote } from "../format";
import { Empty, Missing, Outcome, Title, type Said } from "../parts/small";

const LEVELS = ["error", "warn", "info", "debug", "trace"];
const TONES: Record<string, string> = { error: "bad", warn: "warn", debug: "muted", trace: "muted" };

export function Logs() {
  const answer = usePoll<LogsAnswer>("/v1/logs", 1500);
  const [seek, setSeek] = useState("");
  const [said, setSaid] = useState<Said | null>(null);
  const list = useRef<HTMLOListElement>(null);
  const follows = useRef(true);
  const level = answer.value?.level.toLowerCase() ?? "";
  const wanted = seek.toLowerCase();
  const lines = (answer.value?.lines ?? []).filter(
    (line) => wanted === "" || `${line.level} ${line.target} ${line.text}`.toLowerCase().includes(wanted),
  );
  useEffect(() => {
    const box = list.current;
    if (box && follows.current) box.scrollTop = box.scrollHeight;
  }, [answer.value, seek]);

  const choose = async (next: string) => {
    try {
      await tell("/v1/log-level", { level: next }, "PUT");
      setSaid({ ok: true, text: `From now on: ${next}` });
      reload("/v1/logs");
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      setSaid({ ok: false, text: `${error.sentence} ${error.remedy}` });
    }
  };

  return (
    <div class="view tall">
      <Title name="Logs" says="The last 512 lines, as they come">
        <Outcome of={said} />
        <label class="row small">
          Level
          <select class="input" value={level} onChange={(event) => void choose(event.currentTarget.value)}>
            {(LEVELS.includes(level) ? LEVELS : [level, ...LEVELS]).map((one) => (
              <option key={one} value={one}>{one}</option>
            ))}
          </select>
        </label>
        <input class="input" type="search" aria-label="Only lines with these words" placeholder="Only lines with …" value={seek} onInput={(event) => setSeek(event.currentTarget.value)} />
      </Title>
      <section class="panel log-panel">
        {!answer.value ? (
          <Missing refusal={answer.refusal} what="its log" />
        ) : lines.length === 0 ? (
          <Empty title={seek === "" ? "Nothing was logged yet." : "No line has these words."} />
        ) : (
          <ol
            class="log"
            ref={list}
            tabIndex={0}
            aria-label="Log, oldest first"
            onScroll={(event) => {
              const box = event.currentTarget;
              follows.current = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
            }}
          >
            {lines.map((line, i) => (
              <li key={`${line.at} ${i}`}>
                <span class="muted">{clock(line.at)}</span>
                <span class={TONES[line.level.toLowerCase()]}>{remote(line.level, 12).toUpperCase()}</span>
                <span class="text"><span class="target">{remote(line.target, 80)} </span>{remote(line.text, 2000)}</span>
              </li>
            ))}
          </ol>
        )}
      </section>
    </div>
  );
}
