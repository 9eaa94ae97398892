//! What the node keeps, knows and did of the hash table.

use axum::{Json, extract::State};
use positron_networking::DhtStats;
use utoipa::ToSchema;

use crate::{
    app::App,
    refusal::{ErrorAnswer, Refusal},
};

/// The hash table at one moment, as this node takes part in it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `DhtStats` writes")]
pub(crate) struct DhtShape {
    /// What the node is to the table: `server` (it answers others and keeps records for them) or
    /// `client` (it only asks).
    mode: String,
    /// Why, in words.
    why: String,
    /// Its place, if it serves the table.
    place: Option<String>,
    /// Keys under which something alive is kept here, what it publishes itself among them.
    stored_keys: u64,
    /// Records that it keeps for others, tombstones included.
    stored_records: u64,
    /// Their bytes in memory.
    stored_bytes: u64,
    /// The most bytes that it keeps.
    stored_bytes_limit: u64,
    /// Those of them that say that something was deleted.
    tombstones: u64,
    /// Records that it publishes itself, and renews.
    published: u64,
    /// Those of them that fewer nodes keep than should.
    under_replicated: u64,
    /// How many should: fewer than eight, if fewer are known.
    wanted_holders: u64,
    /// Nodes in its routing table.
    total_nodes: u64,
    /// How many other nodes serve the table, as far as lookups tell.
    network_size: Option<u64>,
    /// Operations since the start, upkeep included.
    lookups: u64,
    /// Of them, those that reached nobody.
    lookups_failed: u64,
    /// The part that reached somebody, from 0.0 to 1.0.
    success: Option<f64>,
    /// Questions that it asked.
    questions: u64,
    /// Those that were not answered in time.
    unanswered: u64,
    /// Questions of others that it answered.
    queries: u64,
    /// How the last operations went.
    recent: DhtTimesShape,
    /// From where its table looks: its own place, or one that was drawn if it serves nobody.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    here: String,
    /// Whom it knows, the farthest from its place first.
    buckets: Vec<BucketShape>,
    /// What it publishes, those first that end first; 256 at most.
    published_values: Vec<PublishedShape>,
    /// What it keeps for others, likewise.
    kept_values: Vec<KeptShape>,
}

/// How the last operations went, 256 at most: half of them, and 99 of a hundred, were no worse.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `DhtTimes` writes")]
pub(crate) struct DhtTimesShape {
    /// How many they are.
    operations: u64,
    /// Nodes in a row that had to answer.
    hops_p50: u32,
    /// The same.
    hops_p99: u32,
    /// From the first question to the end.
    took_ms_p50: f64,
    /// The same.
    took_ms_p99: f64,
}

/// Contacts whose places begin with as many bits as `here` does, and then differ.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `DhtBucket` writes")]
pub(crate) struct BucketShape {
    /// How many bits.
    common_bits: u32,
    /// Who answered.
    members: Vec<DhtContactShape>,
    /// How many there may be.
    capacity: u64,
    /// How many others may take their places.
    candidates: u64,
}

/// A node of the table.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `DhtContact` writes")]
pub(crate) struct DhtContactShape {
    /// Who.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    node_id: String,
    /// Where it answers.
    address: String,
    /// Where it is among keys.
    place: String,
    /// The smoothed round trip.
    rtt_ms: Option<f64>,
    /// Questions in a row that it left unanswered.
    failures: u8,
    /// Whether it is asked and named to others: it answers.
    alive: bool,
}

/// Something that this node publishes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `PublishedValue` writes")]
pub(crate) struct PublishedShape {
    /// Under which key.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    key: String,
    /// Who else may: `immutable` (nobody), `owned` (nobody else) or `shared` (everybody).
    kind: String,
    /// Which of its records it is.
    sequence: u64,
    /// Bytes of its value; none, if it was deleted.
    value_bytes: Option<u64>,
    /// How many others keep it.
    holders: u64,
    /// Seconds that it is kept from now on, if nobody renews it.
    remaining_s: u64,
}

/// Something that this node keeps for others.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `KeptValue` writes")]
pub(crate) struct KeptShape {
    /// Under which key.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    key: String,
    /// Who else may publish there: `immutable`, `owned` or `shared`.
    kind: String,
    /// Who published it.
    publisher: String,
    /// Which of its records it is.
    sequence: u64,
    /// Bytes of its value; none, if it was deleted.
    value_bytes: Option<u64>,
    /// Who brought it.
    from: String,
    /// Seconds that it is kept from now on, if nobody renews it.
    remaining_s: u64,
}

/// What the node keeps, knows and did of the hash table.
#[utoipa::path(
    get, path = "/v1/dht", tag = "dht",
    responses(
        (status = 200, description = "The table, as this node takes part in it.", body = DhtShape),
        (status = 401, description = "No token.", body = ErrorAnswer),
        (status = 503, description = "The node is stopping.", body = ErrorAnswer),
    )
)]
pub(crate) async fn dht(State(app): State<App>) -> Result<Json<DhtStats>, Refusal> {
    Ok(Json(app.node.dht_get_stats().await?))
}
