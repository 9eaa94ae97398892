/** What the node answers. Fields that an older node does not know are optional. */

export type Direction = "inbound" | "outbound";
export type Transport = "udp" | "tcp" | "relay";

export interface Check {
  check: string;
  ok: boolean;
  reason?: string | null;
  remedy?: string | null;
}

export interface Health {
  ready: boolean;
  sentence: string;
  checks: Check[];
}

export interface Peer {
  node_id: string;
  /** Null behind a relay. */
  address: string | null;
  /** Who forwards, if somebody does. */
  relay?: string | null;
  direction: Direction;
  transport: Transport;
  trust_score: number;
  connected_s: number;
  rtt_ms: number | null;
  queued_bytes: number;
  software?: string | null;
}

/** Why a score is what it is: what it began with, and what changed it. */
export interface Standing {
  trust_score: number;
  initial_score: number;
  ban_below: number;
  since: string;
  opening_score: number;
  totals: { observation: string; times: number; change: number; last_at: string }[];
  drift: number;
  recent: { at: string; observation: string; change: number; score: number }[];
  regard: number;
  recommended_by: { node_id: string; strength: number; weight: number }[];
}

export interface Level {
  used: number;
  limit: number;
}

/** How near a peer is to its bounds: a level each, and two for each lane. */
export interface PeerBounds {
  lanes: { lane: string; bytes: Level; messages: Level }[];
  queued_bytes: Level;
  queued_messages: Level;
  partial_messages: Level;
  partial_bytes: Level;
  work: Level;
  requests: Level;
  request_bytes: Level;
  streams: Level;
}

export interface PeerDetail extends Peer {
  why?: Standing;
  bounds?: PeerBounds;
}

export interface Lost {
  node_id: string;
  address: string | null;
  relay?: string | null;
  transport: Transport;
  direction: Direction;
  lost_at: string;
  age_s: number;
  connected_s: number;
  by: string;
  reason: string;
  sentence: string;
  remedy: string;
}

export interface Peers {
  peers: Peer[];
  lost?: Lost[];
}

export interface Dial {
  node_id?: string | null;
  address: string;
  transport?: Transport | null;
  purpose?: string;
  at: string;
  age_s: number;
  took_ms: number | null;
  outcome: "connected" | "failed" | "under_way";
  reason?: string | null;
  sentence?: string | null;
  remedy?: string | null;
}

export interface Ban {
  node_id?: string;
  addresses?: string;
  until_unix_secs: number;
  reason: string | null;
}

export interface Status {
  node_id: string;
  software: string;
  network: string;
  listen: string[];
  external_addresses: string[];
  uptime_s: number;
  active_peers: number;
  known_peers: number;
  isolation_reason: string | null;
  few_peers: string | null;
  reachable?: string;
  invite?: string | null;
  pid?: number;
  storage_state?: string;
  storage?: {
    folder: string | null;
    waiting_changes: number;
    waiting_bytes: number;
    waits_for: string | null;
    failed: string | null;
  };
  links?: { udp: number; tcp: number };
  gossip?: { retained_messages: number; retained_bytes: number; delivered: number };
  health?: Health;
}

export interface TopologyNode {
  id: string;
  me?: boolean;
  linked?: boolean;
  up?: boolean;
  address?: string | null;
  trust?: number | null;
  software?: string | null;
}

export interface TopologyEdge {
  a: string;
  b: string;
  heard?: boolean;
  transport?: Transport | null;
  direction?: Direction | null;
  rtt_ms?: number | null;
}

export interface Topology {
  truth: boolean;
  at: string;
  nodes: TopologyNode[];
  edges: TopologyEdge[];
  /** Of a simulation: what can be done to it. */
  actions?: string[];
}

export interface Limit {
  name: string;
  room: string;
  unit: string;
  used: number | null;
  limit: number;
  help: string;
  when_high?: string;
}

export interface Series {
  name: string;
  unit: string;
  help: string;
  values: (number | null)[];
}

export interface History {
  step_s: number;
  end: string;
  series: Series[];
}

export interface ConfigValue {
  key: string;
  value: unknown;
  origin: string;
}

export interface LogLine {
  at: string;
  level: string;
  target: string;
  text: string;
}

export interface Logs {
  level: string;
  lines: LogLine[];
}

/** One node of a trace over the network. Ids are beginnings of ids where no more is known. */
export interface TraceSample {
  id: string | null;
  parent: number | null;
  /** It is the sender. */
  origin?: boolean;
  depth: number;
  hop_ms?: number | null;
  after_ms: number;
}

export interface LocalTrace {
  own?: boolean;
  from?: string | null;
  how?: string | null;
  at?: string;
  age_s?: number;
  verified_ms?: number | null;
  delivered_ms?: number | null;
  duplicates?: number;
  forwarded?: { peer: string; how?: string; after_ms: number; had_it?: boolean; not_sent?: boolean }[];
}

/** What others report. These are claims. */
export interface NetworkTrace {
  state?: string;
  sentence?: string;
  reached?: number;
  expected?: number | null;
  declined?: number;
  silent?: number;
  implausible?: boolean;
  by_depth?: number[];
  hold_ms?: { p50?: number; p99?: number };
  delay_ms?: { p50?: number; p99?: number; max?: number };
  slowest?: { a?: string | null; b?: string | null; depth?: number; ms: number } | null;
  sample?: TraceSample[];
}

export interface Trace {
  message: string;
  sender?: string;
  local?: LocalTrace | null;
  dropped?: { reason: string; sentence?: string; times?: number } | null;
  network?: NetworkTrace | null;
}

/** A node of the hash table's routing table. */
export interface DhtContact {
  node_id: string;
  address: string;
  place: string;
  rtt_ms: number | null;
  failures: number;
  alive: boolean;
}

export interface DhtBucket {
  common_bits: number;
  members: DhtContact[];
  capacity: number;
  candidates: number;
}

/** Something that is kept for others, or published. */
export interface DhtRecord {
  key: string;
  kind: string;
  sequence: number;
  value_bytes: number | null;
  remaining_s: number;
  publisher?: string;
  from?: string;
  holders?: number;
}

export interface DhtTable {
  mode: "server" | "client";
  why: string;
  place: string | null;
  stored_keys: number;
  stored_bytes: number;
  tombstones: number;
  published: number;
  under_replicated: number;
  total_nodes: number;
  network_size: number | null;
  success: number | null;
  recent: { operations: number; hops_p50: number; hops_p99: number; took_ms_p50: number; took_ms_p99: number };
  here: string;
  buckets: DhtBucket[];
  published_values: DhtRecord[];
  kept_values: DhtRecord[];
}

/** A question of a lookup, and what came of it. */
export interface DhtQuestion {
  node_id: string;
  address: string;
  place: string;
  common_bits: number;
  at_ms: number;
  hop: number;
  path: number;
  end: "answered" | "slow" | "waiting" | "failed";
  answer_ms: number | null;
  named: number;
}

export interface DhtFound {
  node: { node_id: string; addresses: string[] } | null;
  nearest: { place: string; hops: number; took_ms: number; steps: DhtQuestion[] };
}

export interface DhtStored {
  key: string;
  holders: string[];
  sentence: string;
}

export interface DhtValue {
  publisher: string;
  age_s: number;
  remaining_s: number;
  from: string;
  bytes: number;
  base64: string;
  text: string | null;
  value: unknown;
}

export interface DhtValues {
  values: DhtValue[];
  holders: number;
  asked: number;
  took_ms: number;
}

/** Something that happened, as `event:` and `data:` told it. */
export interface NodeEvent {
  id: number | null;
  name: string;
  at: number;
  data: Record<string, unknown>;
}
