// Answers as a node gives them, made up: how many peers and nodes, and how hostile, as wished.
import { dice, ids, overlay } from "../scripts/network.mjs";

/** What a hostile peer writes wherever it may write something. */
export const HOSTILE = `<img src=x onerror="document.title='owned'"><script>window.owned=1</script>\u001b[31mred\u001b[0m\u202Etxt.exe\u0007&amp;"'`;

const REASONS = [
  ["slots_full", "The peer has as many connections as it wants.", "Raise `max_peers` there, or let others be dialled."],
  ["keepalive_timeout", "Nothing came from it for three seconds.", "Look whether its machine or the way to it is down."],
  ["banned", "It is banned here.", "Lift the ban if it was a mistake."],
];

const iso = (ageS) => new Date(Date.now() - ageS * 1000).toISOString();

/** Functions by path: what a node with so many peers, in a network of so many, answers. */
export function world({ peers = 6, nodes = 0, seed = 1, hostile = false, ready = true, traces = true, recording = null, grows = false, actions = ["partition", "heal", "kill", "start", "slow"] } = {}) {
  const roll = dice(seed);
  const names = ids(Math.max(peers + 1, nodes, 12), roll);
  const me = names[0];
  const text = (calm) => (hostile ? HOSTILE : calm);
  const began = Date.now();
  const uptime = () => 5025 + (Date.now() - began) / 1000;
  let level = "info";
  let bans = [{ addresses: "203.0.113.0/24", until_unix_secs: Math.floor(Date.now() / 1000) + 7200, reason: text("Scans us") }];

  const live = names.slice(1, peers + 1).map((node_id, i) => ({
    node_id,
    address: `198.51.100.${1 + (i % 250)}:${8888 + Math.floor(i / 250)}`,
    direction: i % 3 === 0 ? "inbound" : "outbound",
    transport: i % 5 === 4 ? "tcp" : "udp",
    trust_score: i === 3 ? 0.31 : i === 5 ? 0.12 : 0.5 + roll() * 0.4,
    connected_s: 4000 * roll() + 20,
    rtt_ms: i === 2 ? null : 3 + roll() * 120,
    queued_bytes: i % 4 === 0 ? Math.floor(roll() * 60000) : 0,
    software: text("positron-net/0.1.0"),
  }));
  const lost = names.slice(-4).map((node_id, i) => {
    const [reason, sentence, remedy] = REASONS[i % REASONS.length];
    return {
      node_id, address: `203.0.113.${i + 7}:8888`, transport: i % 2 ? "tcp" : "udp", direction: i % 2 ? "inbound" : "outbound",
      lost_at: iso(60 * (i + 1)), age_s: 60 * (i + 1), connected_s: 700 * (i + 1), by: ["us", "peer", "network"][i % 3],
      reason, sentence: text(sentence), remedy,
    };
  });
  const refused = { outcome: "failed", reason: "refused", sentence: text("Nothing listens at this address."), remedy: "Is the other node running, and is `port` right?" };
  const dials = peers === 0
    ? [1, 2, 3].map((i) => ({ address: `192.0.2.${i}:8888`, at: iso(i * 9), age_s: i * 9, took_ms: 1.2, purpose: "connect", ...refused }))
    : live.slice(0, 5).map((peer, i) => i === 4
      ? { address: "192.0.2.9:8888", at: iso(70), age_s: 70, took_ms: 2.5, purpose: "connect", ...refused }
      : { node_id: peer.node_id, address: peer.address, transport: peer.transport, at: iso(9 + 30 * i), age_s: 9 + 30 * i, took_ms: 12 + 7 * i, purpose: "connect", outcome: "connected" });

  const topology = () => {
    const links = live.map((peer) => ({ a: me, b: peer.node_id, heard: false, transport: peer.transport, direction: peer.direction, rtt_ms: peer.rtt_ms }));
    const rest = names.slice(peers + 1, Math.max(nodes, peers + 1));
    const heard = nodes > peers + 1
      ? overlay(nodes, 3, dice(seed)).filter(([a]) => a > 0).map(([a, b]) => ({ a: names[a], b: names[b], heard: true }))
      : live.length > 3 ? live.slice(1).map((peer, i) => ({ a: peer.node_id, b: live[(i * 2) % live.length].node_id, heard: true })) : [];
    return {
      truth: recording !== null,
      at: iso(0),
      nodes: [
        { id: me, me: true, linked: false, address: "198.51.100.200:8888", software: "positron-net/0.1.0" },
        ...live.map((peer) => ({ id: peer.node_id, me: false, linked: true, address: peer.address, trust: peer.trust_score, software: peer.software })),
        ...rest.map((id, i) => ({ id, me: false, linked: false, address: `${20 + (i >> 13)}.${(i >> 5) & 255}.7.${i & 31}:8888` })),
      ],
      edges: [...links, ...heard],
      ...(recording !== null && { actions: grows ? actions : [] }),
    };
  };

  const health = () => ({
    ready,
    sentence: ready ? `Ready: ${peers} ${peers === 1 ? "peer is" : "peers are"} connected, and the disk takes what it is given.` : "Not ready: no peer is connected.",
    checks: ["socket", "clock", "store", "peers", "load", "stopping"].map((check) =>
      check === "peers" && !ready
        ? { check, ok: false, reason: text("No peer is connected: 3 dials, 3 × refused."), remedy: "Give another bootstrap address with `positron-net join`." }
        : { check, ok: true }),
  });
  const status = () => ({
    node_id: me, software: "positron-net/0.1.0", network: text("positron"), listen: ["[::]:8888"], configured_addresses: [],
    external_addresses: ["198.51.100.200:8888"], uptime_s: uptime(), active_peers: peers, known_peers: peers * 7 + 2,
    isolation_reason: peers === 0 ? text("all 3 bootstrap addresses refuse") : null, few_peers: null, pid: 4242,
    reachable: `yes: ${Math.ceil(peers / 3)} peers have dialled it`, invite: `positron:${me}@198.51.100.200:8888?network=positron`,
    storage_state: "in /var/lib/positron", links: { udp: peers - Math.floor(peers / 5), tcp: Math.floor(peers / 5) },
    storage: { folder: "/var/lib/positron", waiting_changes: 3, waiting_bytes: 1480, waits_for: null, failed: null },
    gossip: { retained_messages: 1284, retained_bytes: 1_930_000, delivered: 48_211 },
    health: health(),
  });
  const history = (last) => {
    const wave = (base, swing, slow, phase = 0) => Array.from({ length: last }, (_, i) => {
      const at = Date.now() / 1000 - last + i;
      return Math.max(0, base + swing * Math.sin(at / slow + phase) + swing * 0.4 * Math.sin(at / (slow / 7) + phase * 3));
    });
    const series = (name, unit, values) => ({ name, unit, help: "", values });
    return {
      step_s: 1, end: iso(0),
      series: [
        series("peers_inbound", "peers", wave(peers / 3, 0.01, 60).map(Math.round)),
        series("peers_outbound", "peers", wave((peers * 2) / 3, peers > 3 ? 0.9 : 0, 90).map(Math.round)),
        series("udp_received", "bytes/s", wave(61_000, 24_000, 37)),
        series("udp_sent", "bytes/s", wave(48_000, 18_000, 41, 1)),
        series("tcp_received", "bytes/s", wave(4000, 1500, 29)),
        series("tcp_sent", "bytes/s", wave(3000, 900, 31)),
        series("delivered", "messages/s", wave(22, 9, 23)),
        series("published", "messages/s", wave(4, 2, 17)),
        series("rtt_median", "ms", peers === 0 ? Array(last).fill(null) : wave(41, 6, 51)),
      ],
    };
  };
  const limits = () => [
    ["peers", "session", "", peers, 64, "Sessions at once"], ["half_open", "session", "", 2, 256, "Handshakes under way"],
    ["address_book", "peers", "", peers * 7 + 2, 4096, "Peers that are remembered"], ["retained_bytes", "gossip", "bytes", 1_930_000, 67_108_864, "Broadcasts kept for late nodes"],
    ["lost_peers", "peers", "", 231, 256, "Lost peers that stay listed", "The oldest make room: see `positron-net peers`."], ["events", "api", "", 3301, 4096, "Events that can be resumed from"],
    ["waiting_changes", "store", "", 3, 65_536, "Changes that wait for the disk"], ["trace", "gossip", "bytes", 3_210_000, 4_194_304, "What is remembered of messages"],
  ].map(([name, room, unit, used, limit, help, when_high]) => ({ name, room, unit, used, limit, help, when_high: text(when_high ?? "") }));
  const logs = () => Array.from({ length: 60 }, (_, i) => ({
    at: iso(120 - i * 2), level: i % 17 === 3 ? "WARN" : i % 29 === 7 ? "ERROR" : "INFO",
    target: ["positron_networking::node", "positron_net::service", "positron_networking::driver"][i % 3],
    text: i % 9 === 1 ? text("peer 94b6b0233d37090c joined at 198.51.100.7:8888, dialled by the peer") : ["node started", "3 broadcasts kept, 14 delivered", "dialling 198.51.100.9:8888 led to nothing: refused"][i % 3],
  }));

  let sentAt = 0;
  const trace = (message) => {
    const since = Date.now() - sentAt;
    const reached = live.filter((_, i) => since > 4 * i);
    const sample = [{ id: me.slice(0, 12), parent: null, origin: true, depth: 0, hop_ms: null, after_ms: 0 }];
    live.forEach((peer, i) => sample.push({ id: peer.node_id.slice(0, 12), parent: 0, origin: false, depth: 1, hop_ms: 9 + i, after_ms: 9 + i * 4 }));
    names.slice(-6).forEach((id, i) => live.length > 0 && sample.push({ id: i % 3 ? id.slice(0, 12) : null, parent: 1 + (i % live.length), origin: false, depth: 2, hop_ms: 14 + i, after_ms: 30 + i * 9 }));
    return {
      message, kind: "broadcast", sender: me, sequence: 12,
      local: { own: true, from: null, how: "own", at: iso(since / 1000), age_s: since / 1000, verified_ms: 0.04, delivered_ms: null, duplicates: 2, duplicates_from: [],
        forwarded: reached.map((peer, i) => ({ peer: peer.node_id, how: i % 4 === 3 ? "announce" : "push", after_ms: 3 + i * 4, had_it: false })), dropped: null },
      network: since < 1500 ? null : { state: since > 2600 ? "done" : "asking", sentence: text("Reached 11 of about 12 nodes, half of them within 24 ms; one declined."), reached: 11, expected: 12, declined: 1, silent: 0,
        implausible: false, by_depth: [1, peers, 5], hold_ms: { p50: 2, p99: 9 }, delay_ms: { p50: 24, p99: 71, max: 75 }, slowest: { a: names[1].slice(0, 12), b: names[9].slice(0, 12), depth: 2, ms: 41 }, sample },
    };
  };

  // A place is any 64 characters: those of a hash, which these stand for.
  const place = (i) => [...names[i % names.length]].reverse().join("");
  const stored = new Map();
  const contact = (peer, i) => ({ node_id: peer.node_id, address: text(peer.address), place: place(i + 1), rtt_ms: peer.rtt_ms, failures: i === 2 ? 1 : i === 4 ? 2 : 0, alive: i !== 4 });
  const dht = () => {
    const known = live.slice(0, 24).map(contact);
    const bucket = (common_bits, members) => ({ common_bits, members, capacity: 16, candidates: common_bits === 0 ? 5 : 0 });
    const half = Math.ceil(known.length / 2);
    return {
      mode: peers === 0 ? "client" : "server", why: text(peers === 0 ? "it only asks: `dht_serve` is false" : "it answers others and keeps records for them"),
      place: peers === 0 ? null : place(0), stored_keys: stored.size + 2, stored_records: 2, stored_bytes: 1480, stored_bytes_limit: 67_108_864, tombstones: 1,
      published: stored.size, under_replicated: 0, wanted_holders: Math.min(8, known.length), total_nodes: known.filter((one) => one.alive).length,
      network_size: peers === 0 ? null : 31, lookups: 40, lookups_failed: 1, success: peers === 0 ? null : 0.975, questions: 120, unanswered: 3, queries: 77,
      recent: { operations: peers === 0 ? 0 : 40, hops_p50: 2, hops_p99: 3, took_ms_p50: 81.4, took_ms_p99: 190.2 }, here: place(0),
      buckets: peers === 0 ? [] : [bucket(0, known.slice(0, half)), bucket(1, known.slice(half))],
      published_values: [...stored.keys()].map((key) => ({ key: place(key.length), kind: "shared", sequence: 7, value_bytes: key.length, holders: 4, remaining_s: 3500 })),
      kept_values: peers === 0 ? [] : [
        { key: place(3), kind: text("shared"), publisher: names[1], sequence: 4, value_bytes: 412, from: names[2], remaining_s: 1200 },
        { key: place(4), kind: "owned", publisher: names[3], sequence: 9, value_bytes: null, from: names[3], remaining_s: 90 },
      ],
    };
  };
  const steps = () => live.slice(0, 7).map((peer, i) => ({
    ...contact(peer, i), common_bits: i, at_ms: i * 12.5, hop: 1 + (i >> 2), path: 0, named: 4 - (i >> 1),
    end: i === 3 ? "slow" : i === 4 ? "failed" : "answered", answer_ms: i === 3 || i === 4 ? null : 20.5 + i,
  }));

  const refusal = (status, code, sentence, remedy) => ({ status, body: { error: { code, sentence, remedy } } });
  const gets = {
    "/livez": () => ({ live: true }),
    "/readyz": () => ({ status: ready ? 200 : 503, body: health() }),
    "/v1/status": status,
    "/v1/peers": () => ({ peers: live, lost }),
    "/v1/dials": () => ({ dials }),
    "/v1/bans": () => ({ bans }),
    "/v1/topology": topology,
    "/v1/limits": () => ({ limits: limits() }),
    "/v1/config": () => ({ values: [
      { key: "port", value: 8888, origin: "default" }, { key: "network", value: text("positron"), origin: "file" },
      { key: "bootstrap_nodes", value: ["192.0.2.1:8888"], origin: "command line" }, { key: "max_peers", value: 64, origin: "environment" }] }),
    "/v1/dht": dht,
    "/v1/logs": () => ({ level, lines: logs() }),
  };
  const posts = {
    "/v1/actions/ban": (body) => {
      bans = [...bans, { ...(/^[0-9a-f]{16,64}$/.test(body.whom) ? { node_id: body.whom } : { addresses: body.whom }), until_unix_secs: Math.floor(Date.now() / 1000) + (body.seconds ?? 4e9), reason: body.reason }];
      return { done: "banned" };
    },
    "/v1/actions/unban": (body) => {
      bans = bans.filter((ban) => (ban.node_id ?? ban.addresses) !== body.whom);
      return { done: "unbanned" };
    },
    "/v1/actions/disconnect": () => ({ done: "disconnected" }),
    "/v1/dht/put": (body) => {
      if (body.ttl_s < 60 || body.ttl_s > 172_800) return refusal(400, "bad_ttl", `a record lives 60 s to 48 h, not ${body.ttl_s} s`, "");
      stored.set(body.key, body);
      return { key: place(5), sequence: 7, holders: [], refused: [], silent: 0, took_ms: 3.1, sentence: text(peers === 0 ? "nobody but this node keeps it; no other node that serves the table was found" : "4 other nodes keep it") };
    },
    "/v1/dht/get": (body) => {
      const found = stored.get(body.key);
      if (!found) return refusal(404, "not_found", "nothing is stored under that key: 7 nodes were asked", "");
      const said = found.text ?? null;
      return { key: place(5), holders: 4, asked: 7, took_ms: 12.5, values: [{ publisher: me, sequence: 7, created: iso(3), age_s: 3, ttl_s: 3600, remaining_s: 3597, from: names[1], bytes: 9, base64: "", text: hostile ? HOSTILE : said, value: found.value ?? null }] };
    },
    "/v1/dht/delete": (body) => (stored.delete(body.key)
      ? { key: place(5), sequence: 8, holders: [], refused: [], silent: 0, took_ms: 4.1, sentence: "a tombstone took its place: 4 other nodes keep it" }
      : refusal(409, "not_yours", text(`this node stored nothing under that key; it is not yours, but of ${names[2]}`), "only who stored it can delete it")),
    "/v1/dht/find": (body) => {
      const node = /^[0-9a-f]{64}$/.test(body.target) ? { node_id: body.target, addresses: [text("198.51.100.7:8888")], asked: 7, took_ms: 81 } : null;
      return { node, nearest: { place: place(6), nodes: [], hops: 2, took_ms: 120.5, steps: steps() } };
    },
    "/v1/actions/broadcast": () => {
      if (peers === 0) return refusal(409, "alone", "Nobody is connected.", "Join a network first.");
      sentAt = Date.now();
      return { done: "sent", message: names[1].split("").reverse().join("") };
    },
  };
  const events = [
    { event: "peer_joined", peer: names[1], address: "198.51.100.1:8888", direction: "inbound" },
    { event: "peer_left", peer: names[2], reason: "keepalive_timeout", by: "network", sentence: text("Nothing came from it for three seconds."), remedy: "Look at the way to it." },
    { event: "dial_failed", address: "192.0.2.9:8888", reason: "refused", sentence: text("Nothing listens there."), remedy: "Is the other node running?" },
    { event: "peer_banned", peer: names[3], reason: text("its score fell too low"), until_unix_secs: 1_900_000_000 },
    { event: "external_addresses", addresses: ["198.51.100.200:8888"] },
  ];

  const offers = () => {
    const [asks, told] = recording === null
      ? [[...Object.keys(gets), "/v1/history", "/v1/events", "/v1/peers/{id}", "/v1/trace/{message}"], [...Object.keys(posts), "/v1/trace/{message}"]]
      : [["/livez", "/v1/topology", "/v1/recording"], grows ? ["partition", "slow", "heal", "kill", "start"].map((one) => `/v1/actions/${one}`) : []];
    const routes = (method, paths) => paths.map((path) => ({ method, path }));
    return {
      serves: recording === null ? "node" : grows ? "network" : "recording",
      routes: [...routes("GET", ["/v1", ...asks]), ...routes("POST", told), ...routes("PUT", recording === null ? ["/v1/log-level"] : [])],
    };
  };

  return {
    me, names, live, events, recording, grows,
    answer(method, url, body) {
      const { pathname, searchParams } = url;
      if (pathname === "/v1") return offers();
      if (grows && /^\/v1\/actions\/(partition|slow|heal|kill|start)$/.test(pathname)) {
        return body.ms > 400 ? refusal(409, "not_possible", "This network cannot be slowed.", "") : { done: "it" };
      }
      if (recording !== null && pathname !== "/v1/topology") return refusal(404, "not_here", "A simulation has no node.", "");
      if (method === "GET" && gets[pathname]) return gets[pathname]();
      if (method === "GET" && pathname === "/v1/history") return history(Math.min(Number(searchParams.get("last") ?? 600), 3600));
      if (method === "PUT" && pathname === "/v1/log-level") return { level: (level = body.level) };
      if (method === "POST" && posts[pathname]) return posts[pathname](body);
      const [, what, id] = /^\/v1\/(peers|trace)\/(.+)$/.exec(pathname) ?? [];
      if (what === "trace" && traces && sentAt > 0) return method === "POST" ? { status: 202, body: {} } : trace(id);
      const peer = what === "peers" && live.find((one) => one.node_id === id);
      if (peer) {
        const level = (used, limit) => ({ used, limit });
        return {
          ...peer,
          why: {
            trust_score: peer.trust_score, initial_score: 0.5, ban_below: 0.1, max_score: 1, banned_until: null, banned_for: null, since: iso(uptime()), opening_score: 0.5,
            totals: [{ observation: "valid_message", times: 812, change: 0.0812, last_at: iso(3) }, { observation: text("reported"), times: 2, change: -0.1, last_at: iso(400) }],
            drift: 0.0021, recent: [{ at: iso(400), observation: text("reported"), change: -0.05, score: 0.41 }],
            regard: 0.58, recommended_by: [{ node_id: text("ab".repeat(32)), strength: 0.9, weight: 0.44 }],
          },
          bounds: {
            lanes: ["control", "gossip", "direct", "large_gossip", "bulk"].map((lane) => ({ lane, bytes: level(1200, 4_194_304), messages: level(3, 1024) })),
            queued_bytes: level(6000, 4_194_304), queued_messages: level(15, 1024), partial_messages: level(0, 5), partial_bytes: level(0, 1_048_576),
            work: level(300, 262_144), requests: level(1, 64), request_bytes: level(90, 1_048_576), streams: level(2, 128),
          },
        };
      }
      const gone = what === "peers" && lost.find((one) => one.node_id === id);
      if (gone) return gone;
      return refusal(404, "unknown", "There is nothing under this name.", "");
    },
  };
}
