import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Refusal } from "../api/client";
import { remote, shortId } from "../format";
import { go } from "../route";
import { CopyIcon, CrossIcon, DotIcon, TickIcon, WarnIcon } from "./icons";

/** The small parts that all views are made of. */

export type Tone = "good" | "warn" | "bad" | "none";

export function ToneIcon({ tone }: { tone: Tone }) {
  if (tone === "good") return <TickIcon />;
  if (tone === "warn") return <WarnIcon />;
  return tone === "bad" ? <CrossIcon /> : <DotIcon />;
}

/** A word with a shape and a colour that all say the same. */
export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return (
    <span class={`badge tone-${tone}`}>
      <ToneIcon tone={tone} />
      <span>{children}</span>
    </span>
  );
}

export function Title(props: { name: string; says?: ComponentChildren; children?: ComponentChildren }) {
  useEffect(() => {
    document.title = `${props.name} · Positron`;
  }, [props.name]);
  return (
    <div class="title">
      <h1>{props.name}</h1>
      {props.says && <p>{props.says}</p>}
      {props.children && <div class="right row">{props.children}</div>}
    </div>
  );
}

/** What the node says in words: what stands between backticks is code. */
export function Prose({ of }: { of: unknown }) {
  const parts = remote(of).split("`");
  if (parts.length % 2 === 0) parts.push(`\`${parts.pop()}`);
  return <>{parts.map((part, i) => (i % 2 === 1 ? <code key={i}>{part}</code> : part))}</>;
}

export function Empty({ title, children }: { title: ComponentChildren; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <strong>{title}</strong>
      {children && <p>{children}</p>}
    </div>
  );
}

/** What is shown where an answer is missing: that it is asked for, or why it does not come. */
export function Missing({ refusal, what }: { refusal: Refusal | null; what: string }) {
  if (!refusal) return <Empty title={`Asking for ${what} …`} />;
  if (refusal.status === 404) return <Empty title={`This node does not tell ${what}.`}>Its version may be older than this page, or it does not keep it.</Empty>;
  return <Empty title={<Prose of={refusal.sentence} />}><Prose of={refusal.remedy} /></Empty>;
}

export function Id({ id, to = true }: { id: string; to?: boolean }) {
  const shown = remote(shortId(id));
  if (!to) return <code title={remote(id)}>{shown}</code>;
  return (
    <button type="button" class="id" title={remote(id)} onClick={() => go("peers", id)}>
      {shown}
    </button>
  );
}

/** An address, cut where it is longer than addresses are. */
export function Address({ of }: { of: string }) {
  return (
    <span class="mono address" title={remote(of)}>
      {remote(of, 80)}
    </span>
  );
}

export function Copy({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState(false);
  return (
    <button
      type="button"
      class="button icon"
      onClick={() => {
        void navigator.clipboard?.writeText(text).then(() => {
          setDone(true);
          setTimeout(() => setDone(false), 1500);
        });
      }}
    >
      {done ? <TickIcon /> : <CopyIcon />}
      <span>{done ? "Copied" : `Copy ${what}`}</span>
    </button>
  );
}

export function Segments<T extends string>(props: {
  label: string;
  value: T;
  choices: readonly (readonly [T, string])[];
  choose: (value: T) => void;
}) {
  return (
    <div class="segments" role="group" aria-label={props.label}>
      {props.choices.map(([value, word]) => (
        <button
          key={value}
          type="button"
          aria-pressed={value === props.value}
          onClick={() => props.choose(value)}
        >
          {word}
        </button>
      ))}
    </div>
  );
}

/** Whether it went well; null: it is neither. */
export interface Said {
  ok: boolean | null;
  text: string;
}

/** What an order led to, said where it was given. */
export function Outcome({ of }: { of: Said | null }) {
  const tone = of?.ok === null ? "muted" : of?.ok ? "good" : "bad";
  return (
    <p role="status" class={`small ${tone}`}>
      {of && <Prose of={of.text} />}
    </p>
  );
}

export function Dialog(props: { open: boolean; name: string; close: () => void; children: ComponentChildren }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (props.open && !box.current?.open) box.current?.showModal();
    if (!props.open && box.current?.open) box.current.close();
  }, [props.open]);
  return (
    <dialog ref={box} aria-label={props.name} onClose={props.close}>
      {props.open && props.children}
    </dialog>
  );
}
