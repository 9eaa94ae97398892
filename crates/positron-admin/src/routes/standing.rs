//! How what is told of one peer is described: why its score, how near to its bounds.

#![expect(dead_code, reason = "it describes what `PeerDetail` writes")]

use utoipa::ToSchema;

/// Why a score is what it is: `opening_score`, the changes of all `totals` and `drift` make it.
#[derive(ToSchema)]
pub(crate) struct StandingShape {
    /// The score.
    trust_score: f64,
    /// What a stranger has.
    initial_score: f64,
    /// Below it a peer is banned.
    ban_below: f64,
    /// The highest score.
    max_score: f64,
    /// Until when it is banned, if it is.
    banned_until: Option<String>,
    /// For what.
    banned_for: Option<String>,
    /// Since when what follows is counted.
    #[schema(format = DateTime)]
    since: String,
    /// The score at that time.
    opening_score: f64,
    /// What each kind of observation made of it since then.
    totals: Vec<TotalShape>,
    /// What everything else made of it.
    drift: f64,
    /// The last 16 wrongs, the newest first.
    recent: Vec<WrongShape>,
    /// The score, and what the words of others add to it while it is about a stranger's.
    regard: f64,
    /// Who recommends it, the weightiest first. The first alone counts.
    recommended_by: Vec<WordShape>,
}

/// What somebody said for a peer.
#[derive(ToSchema)]
pub(crate) struct WordShape {
    /// Who: 64 hexadecimal characters.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    node_id: String,
    /// How much it trusts it, from 0.0 to 1.0.
    strength: f64,
    /// What its word weighs by what it did itself, from 0.0 to 1.0.
    weight: f64,
}

/// What one kind of observation made of a score.
#[derive(ToSchema)]
pub(crate) struct TotalShape {
    /// Which.
    observation: String,
    /// How often it was made.
    times: u64,
    /// By how much the score changed, in all.
    change: f64,
    /// When it was made last.
    #[schema(format = DateTime)]
    last_at: String,
}

/// One wrong.
#[derive(ToSchema)]
pub(crate) struct WrongShape {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Which.
    observation: String,
    /// By how much the score changed.
    change: f64,
    /// To what.
    score: f64,
}

/// How near a peer is to each of its bounds.
#[derive(ToSchema)]
pub(crate) struct BoundsShape {
    /// What waits for it in each lane, the most urgent first.
    lanes: Vec<LaneShape>,
    /// Bytes that wait in all lanes but that of streams.
    queued_bytes: LevelShape,
    /// Messages that wait in all lanes but that of streams.
    queued_messages: LevelShape,
    /// Messages of which only a part has arrived.
    partial_messages: LevelShape,
    /// The bytes of them that have arrived.
    partial_bytes: LevelShape,
    /// Work that it made, in bytes to be read.
    work: LevelShape,
    /// Requests of it that wait for an answer.
    requests: LevelShape,
    /// Their bytes.
    request_bytes: LevelShape,
    /// Streams with it.
    streams: LevelShape,
}

/// What waits in one lane.
#[derive(ToSchema)]
pub(crate) struct LaneShape {
    /// Its name.
    lane: String,
    /// Bytes.
    bytes: LevelShape,
    /// Messages.
    messages: LevelShape,
}

/// What there is, and the most that there can be.
#[derive(ToSchema)]
pub(crate) struct LevelShape {
    /// What there is.
    used: u64,
    /// The most.
    limit: u64,
}
