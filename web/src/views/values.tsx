import { useState } from "preact/hooks";
import { Refusal, tell } from "../api/client";
import { reload } from "../api/poll";
import type { DhtStored, DhtValue, DhtValues } from "../api/types";
import { bytes, ms, remote, span } from "../format";
import { Id, Outcome, Segments, type Said } from "../parts/small";
import { Table, type Column } from "../parts/table";

type Act = "put" | "get" | "delete";
const ACTS = [["put", "Store"], ["get", "Look up"], ["delete", "Delete"]] as const;

/** Storing, looking up and deleting values. */
export function ValuesForm() {
  const [act, setAct] = useState<Act>("put");
  const [said, setSaid] = useState<Said | null>(null);
  const [found, setFound] = useState<DhtValues | null>(null);
  const [busy, setBusy] = useState(false);

  const submit = async (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? "");
    setBusy(true);
    setSaid(null);
    setFound(null);
    try {
      if (act === "put") {
        const stored = await tell<DhtStored>("/v1/dht/put", put(text));
        setSaid({ ok: true, text: `Stored: ${stored.sentence}. ${text("kind") === "immutable" ? `Its key is ${stored.key}.` : ""}` });
      } else if (act === "get") {
        const from = text("from").trim();
        setFound(await tell<DhtValues>("/v1/dht/get", { key: text("key"), kind: text("kind"), ...(from !== "" && { from }) }));
      } else {
        const deleted = await tell<DhtStored>("/v1/dht/delete", { key: text("key"), kind: text("kind") });
        setSaid({ ok: true, text: `Deleted: ${deleted.sentence}.` });
      }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      setSaid({ ok: error.code === "not_found" ? null : false, text: `${error.sentence} ${error.remedy}` });
    }
    setBusy(false);
    reload("/v1/dht");
  };

  return (
    <section class="panel" aria-label="Values">
      <header>
        <h2>Values</h2>
        <Segments label="What to do" value={act} choices={ACTS} choose={(to) => { setAct(to); setSaid(null); setFound(null); }} />
      </header>
      <form key={act} class="pad stack" onSubmit={(event) => void submit(event)}>
        <Fields act={act} />
        <div class="row">
          <button type="submit" class="button main-act" disabled={busy}>{ACTS.find(([name]) => name === act)![1]}</button>
          <Outcome of={said} />
        </div>
      </form>
      {found && <Found of={found} />}
    </section>
  );
}

/** What is to be stored, as it was written. */
function put(text: (name: string) => string): Record<string, unknown> {
  const kind = text("kind");
  const value = text("as") === "json" ? { value: json(text("value")) } : { text: text("value") };
  return { kind, ttl_s: Math.round(Number(text("hours")) * 3600), ...value, ...(kind !== "immutable" && { key: text("key") }) };
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal(0, "no_json", `The value is no JSON: ${String(error)}.`, "Store it as a text?");
  }
}

function Fields({ act }: { act: Act }) {
  const [kind, setKind] = useState("shared");
  const named = act !== "put" || kind !== "immutable";
  return (
    <div class="row wide">
      <label class="field">
        Whose key
        <select name="kind" value={kind} onInput={(event) => setKind((event.currentTarget as HTMLSelectElement).value)}>
          <option value="shared">Everybody’s, a notice board</option>
          <option value="owned">This node’s own</option>
          {act !== "delete" && <option value="immutable">The hash of the value</option>}
        </select>
      </label>
      {named && (
        <label class="field grow">
          Key
          <input name="key" class="mono" required maxLength={1024} spellcheck={false} autocomplete="off" />
        </label>
      )}
      {act === "put" && (
        <>
          <label class="field grow">
            Value
            <textarea name="value" class="mono" rows={1} maxLength={16_384} required spellcheck={false} />
          </label>
          <label class="field">
            Kept as
            <select name="as">
              <option value="text">A text</option>
              {kind !== "immutable" && <option value="json">JSON, as MessagePack</option>}
            </select>
          </label>
          <label class="field">
            Hours to live
            <input name="hours" type="number" min={1 / 60} max={48} step="any" defaultValue="1" required />
          </label>
        </>
      )}
      {act === "get" && kind !== "immutable" && (
        <label class="field grow">
          From which node, if not from all
          <input name="from" class="mono" spellcheck={false} autocomplete="off" />
        </label>
      )}
    </div>
  );
}

const VALUES: Column<DhtValue>[] = [
  { name: "Value", by: (v) => v.text ?? v.base64, cell: (v) => <span class="mono">{shown(v)}</span> },
  { name: "Size", numeric: true, by: (v) => v.bytes, cell: (v) => bytes(v.bytes) },
  { name: "Publisher", keep: true, by: (v) => v.publisher, cell: (v) => <Id id={v.publisher} /> },
  { name: "Had by", keep: true, by: (v) => v.from, cell: (v) => <Id id={v.from} /> },
  { name: "Published", numeric: true, by: (v) => v.age_s, cell: (v) => `${span(v.age_s)} ago` },
  { name: "Kept for", numeric: true, by: (v) => v.remaining_s, cell: (v) => span(v.remaining_s) },
];

function shown(value: DhtValue): string {
  if (value.value !== null && typeof value.value === "object") return remote(JSON.stringify(value.value));
  return value.text === null ? `${remote(value.base64, 200)} (Base64)` : remote(value.text);
}

function Found({ of }: { of: DhtValues }) {
  const asked = of.asked === 0 ? "this node had it" : `${of.holders} of ${of.asked} that were asked had it`;
  return (
    <>
      <p class="pad small muted" role="status">Found in {ms(of.took_ms)}: {asked}.</p>
      <Table caption="What was found" columns={VALUES} rows={of.values} keyOf={(v) => v.publisher} sort={{ column: "Published" }} />
    </>
  );
}
