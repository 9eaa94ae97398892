import type { NodeEvent } from "../api/types";
import { placeOf, remote, shortId, words } from "../format";
import type { Tone } from "../parts/small";

/** Events as sentences. What peers wrote is shown as text, and escapes are visible. */
export function describe(event: NodeEvent): string {
  const { data } = event;
  const id = (of: unknown) => remote(shortId(String(of ?? "?")), 80);
  const said = (of: unknown) => remote(of);
  // A reason is a word of a closed list, and comes with its sentence; orders come with words alone.
  const why = remote(typeof data.sentence === "string" ? data.sentence : data.reason);
  switch (event.name) {
    case "peer_joined":
      return `${id(data.peer)} joined${data.address ? " at" : ","} ${said(placeOf(data))}, dialled by ${data.direction === "inbound" ? "the peer" : "this node"}`;
    case "peer_left":
      return `${id(data.peer)} left: ${why}`;
    case "peers_refused":
      return `${id(data.peer)}${data.address ? " at" : ","} ${said(placeOf(data))}${data.address ? "" : ","} was refused: ${why}`;
    case "few_peers":
      return `${said(data.connected)} of at least ${said(data.wanted)} peers are connected`;
    case "dial_failed":
      return `Dialling ${said(data.address)} led to nothing: ${why}`;
    case "peer_banned":
      return `${id(data.peer)} is banned: ${why}`;
    case "address_banned":
      return `${said(data.addresses)} is banned: ${why}`;
    case "external_addresses":
      return `Seen by others at ${Array.isArray(data.addresses) ? data.addresses.map(said).join(", ") : "no address"}`;
    case "storage_waits":
      return `The disk takes nothing for now: ${why}`;
    case "storage_back":
      return "The disk takes what it is given again";
    case "storage_failed":
      return `Storage failed for good: ${why}`;
    default: {
      const rest = Object.entries(data)
        .filter(([key]) => !["id", "type", "at", "age_s"].includes(key))
        .map(([key, value]) => `${said(key)} ${said(typeof value === "string" ? shortId(value) : JSON.stringify(value))}`);
      return [words(said(event.name)), rest.join(", ")].filter((part) => part !== "").join(": ");
    }
  }
}

const GOOD = ["peer_joined", "storage_back"];
const WARN = ["peers_refused", "few_peers", "dial_failed", "storage_waits", "broadcast_outran", "numbers_behind"];
const BAD = ["peer_banned", "address_banned", "storage_failed", "used_twice", "key_retired", "succession_conflict", "equivocated"];

export function toneOf(event: NodeEvent): Tone {
  if (GOOD.includes(event.name)) return "good";
  if (WARN.includes(event.name)) return "warn";
  return BAD.includes(event.name) ? "bad" : "none";
}
