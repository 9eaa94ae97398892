//! What is stored under which key, and who is near it.

use std::time::Duration;

use axum::{Json, extract::State};
use base64ct::{Base64, Encoding as _};
use positron_networking::{
    Deleted, DhtError, FoundNode, NearestNodes, NodeId, Place, Stored, StoredValue, ValueName,
};
use positron_proto::shown::millis;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::told::{ActionErrors, Told};
use crate::{app::App, moment::rfc3339, orders, refusal::Refusal};

/// What to store.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "key": "my_key", "value": { "data": "value" }, "ttl_s": 3600 }))]
pub(crate) struct PutBody {
    /// Under which name: 1 to 1,024 bytes. Of what is immutable there is none.
    #[serde(default)]
    #[schema(value_type = String, required = false, max_length = 1024)]
    key: Option<String>,
    /// Any JSON; it is kept as MessagePack, as the library writes it.
    #[serde(default, deserialize_with = "is_there")]
    #[schema(required = false)]
    value: Option<Value>,
    /// Instead of it: a text, whose bytes are kept.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    text: Option<String>,
    /// Instead of both: bytes in Base64 (RFC 4648), 16,384 at most.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    base64: Option<String>,
    /// How many seconds it lives if this node does not renew it: 60 to 172,800; an hour, if nothing
    /// is said.
    #[serde(default)]
    #[schema(value_type = u64, required = false, minimum = 60)]
    ttl_s: Option<u64>,
    /// `shared` (a notice board; what is meant if nothing is said), `owned` (nobody but this node
    /// writes there) or `immutable` (the key is the hash of the value).
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    kind: Option<String>,
    /// Refuse, if fewer other nodes keep it. It is stored all the same.
    #[serde(default)]
    #[schema(value_type = u64, required = false, minimum = 1)]
    holders: Option<u64>,
}

/// What to look for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "key": "my_key" }))]
pub(crate) struct GetBody {
    /// The name; of what is immutable the key of 64 hexadecimal characters.
    key: String,
    /// `shared`, `owned` or `immutable`; `shared`, if nothing is said.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    kind: Option<String>,
    /// Whose: the id of a node. Of what is owned this node's, if nothing is said; else all.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    from: Option<String>,
}

/// What to delete.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "key": "my_key" }))]
pub(crate) struct DeleteBody {
    /// The name.
    key: String,
    /// `shared` or `owned`; `shared`, if nothing is said.
    #[serde(default)]
    #[schema(value_type = String, required = false)]
    kind: Option<String>,
}

/// Whom to find.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "target": "my_key" }))]
pub(crate) struct FindBody {
    /// The id of a node, a key, or a place.
    target: String,
    /// Which of them: `node`, `key` or `place`. If nothing is said, 64 hexadecimal characters are a
    /// node, and anything else a key.
    #[serde(default, rename = "as")]
    #[schema(rename = "as", value_type = String, required = false)]
    meant: Option<String>,
}

/// Where it is kept now. This node keeps it, too.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PutAnswer)]
pub(crate) struct StoredAnswer {
    #[serde(flatten)]
    #[schema(inline, value_type = StoredShape)]
    stored: Stored,
    /// By how many it is kept, and why by no more.
    sentence: String,
}

/// Where something is kept.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `Stored` writes")]
pub(crate) struct StoredShape {
    /// The key under which it is found.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    key: String,
    /// Which of this node's records under the key it is: later ones have higher numbers.
    sequence: u64,
    /// The nodes besides this one that keep it.
    holders: Vec<String>,
    /// Who was asked to, and does not.
    refused: Vec<RefusedShape>,
    /// How many were asked to, and did not answer.
    silent: u64,
    /// How long it took.
    took_ms: f64,
}

/// A node that does not keep it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `Stored` writes")]
pub(crate) struct RefusedShape {
    /// Which.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    node_id: String,
    /// Why, in a word.
    why: String,
    /// Why.
    sentence: String,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ValuesAnswer {
    /// The key that was looked for.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    key: Place,
    /// Of each publisher the newest, first that of who stands highest in this node's eyes.
    values: Vec<ValueAnswer>,
    /// Nodes that had any.
    holders: usize,
    /// Nodes that were asked: none, if this node had it.
    asked: usize,
    /// How long it took.
    took_ms: f64,
}

/// One value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ValueAnswer {
    /// Who published it.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    publisher: NodeId,
    /// Which of its records under the key it is.
    sequence: u64,
    /// When it was published, or renewed last, by its publisher's clock.
    created: String,
    /// How long ago that is by this node's clock.
    age_s: u64,
    /// How long it lives, if its publisher does not renew it.
    ttl_s: u64,
    /// How long from now on.
    remaining_s: u64,
    /// The node that had it; this one, if it did.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    from: NodeId,
    /// How many bytes it has.
    bytes: usize,
    /// Its bytes.
    base64: String,
    /// The same, if they are a text.
    text: Option<String>,
    /// What they say, if they can be read as MessagePack.
    #[schema(value_type = Value)]
    value: Option<Value>,
}

/// Who is near, and how they were found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundAnswer {
    /// The node that was looked for, if it was found.
    #[schema(value_type = Option<FoundShape>)]
    node: Option<FoundNode>,
    /// Who is nearest to the key, or to that under which the node says where it is.
    #[schema(value_type = NearestShape)]
    nearest: NearestNodes,
}

/// What a node says of itself.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `FoundNode` writes")]
pub(crate) struct FoundShape {
    /// Who.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    node_id: String,
    /// Where it says that it is.
    addresses: Vec<String>,
    /// Its software, as it says: any text.
    software: String,
    /// How many nodes were asked: none, if this one knew it.
    asked: usize,
    /// How long it took.
    took_ms: f64,
}

/// The nodes nearest to a place, and every question that led to them.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `NearestNodes` writes")]
pub(crate) struct NearestShape {
    /// The place.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    place: String,
    /// The nodes that answered, nearest first.
    nodes: Vec<NearNodeShape>,
    /// How many nodes in a row had to answer until all of them were known.
    hops: u32,
    /// How long it took.
    took_ms: f64,
    /// Every question, in the order in which they were asked.
    steps: Vec<QuestionShape>,
}

/// A node that serves the table.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `NearestNode` writes")]
pub(crate) struct NearNodeShape {
    /// Who.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    node_id: String,
    /// Where it answers.
    address: String,
    /// Where it is among keys.
    place: String,
    /// The first bits that its place has in common with what was looked for.
    common_bits: u32,
}

/// A question of a lookup.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `LookupQuestion` writes")]
pub(crate) struct QuestionShape {
    /// Whom.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    node_id: String,
    /// Where.
    address: String,
    /// Where it is among keys.
    place: String,
    /// The first bits that its place has in common with what was looked for.
    common_bits: u32,
    /// When it was asked, from the first question on.
    at_ms: f64,
    /// How many answers led to it, one after the other.
    hop: u32,
    /// On which of the disjoint paths, from 0.
    path: usize,
    /// What came of it: `answered`, `slow`, `waiting` or `failed`.
    end: String,
    /// Time until the answer, if one came.
    answer_ms: Option<f64>,
    /// Contacts in the answer of which nobody had spoken before.
    named: usize,
}

/// Which of a publisher's records are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Shared,
    Owned,
    Immutable,
}

impl Kind {
    fn of(said: Option<&str>) -> Result<Self, Refusal> {
        match said {
            None | Some("shared") => Ok(Self::Shared),
            Some("owned") => Ok(Self::Owned),
            Some("immutable") => Ok(Self::Immutable),
            Some(_) => {
                Err(Refusal::bad("bad_kind", "the kind is `shared`, `owned` or `immutable`"))
            }
        }
    }
}

/// Stores a value, and answers when those who are to keep it have it or not. It is renewed for as
/// long as this node runs.
#[utoipa::path(
    post, path = "/v1/dht/put", tag = "dht", request_body = PutBody,
    responses((status = 200, description = "It is stored.", body = StoredAnswer), ActionErrors)
)]
pub(crate) async fn put(
    State(app): State<App>,
    Told(told): Told<PutBody>,
) -> Result<Json<StoredAnswer>, Refusal> {
    let _turn = app.turn()?;
    let (table, kind) = (app.node.dht(), Kind::of(told.kind.as_deref())?);
    let ttl = Duration::from_secs(told.ttl_s.unwrap_or(DEFAULT_TTL_S));
    let least = told.holders.unwrap_or(0);
    let least = usize::try_from(least).unwrap_or(usize::MAX);
    let key = told.key.as_deref();
    let stored = match (kind, key, Bytes::of(told.value, told.text, told.base64)?) {
        (Kind::Immutable, None, Bytes::Raw(bytes)) => table.store_immutable(bytes, ttl).await,
        (Kind::Immutable, None, Bytes::Json(_)) => {
            let sentence = "what is immutable is bytes: give `text` or `base64`";
            return Err(Refusal::bad("bad_value", sentence));
        }
        (Kind::Immutable, Some(_), _) => {
            let sentence = "what is immutable has no name: its key is the hash of the value";
            return Err(Refusal::bad("bad_key", sentence));
        }
        (_, None, _) => return Err(Refusal::bad("bad_key", "the field `key` is missing")),
        (Kind::Shared, Some(key), Bytes::Raw(bytes)) => table.store_bytes(key, bytes, ttl).await,
        (Kind::Shared, Some(key), Bytes::Json(value)) => table.store(key, &value, ttl).await,
        (Kind::Owned, Some(key), Bytes::Raw(bytes)) => {
            table.store_owned_bytes(key, bytes, ttl).await
        }
        (Kind::Owned, Some(key), Bytes::Json(value)) => table.store_owned(key, &value, ttl).await,
    }?;
    let stored = stored.on_at_least(least).map_err(DhtError::from)?;
    Ok(Json(stored.into()))
}

/// Looks for what is stored under a key, and answers with what each publisher said last.
#[utoipa::path(
    post, path = "/v1/dht/get", tag = "dht", request_body = GetBody,
    responses(
        (status = 200, description = "It is found, perhaps of several publishers.",
         body = ValuesAnswer),
        ActionErrors,
    )
)]
pub(crate) async fn get(
    State(app): State<App>,
    Told(told): Told<GetBody>,
) -> Result<Json<ValuesAnswer>, Refusal> {
    let _turn = app.turn()?;
    let from = match told.from.as_deref() {
        Some(from) => Some(orders::peer(&app.node, from).await?),
        None => None,
    };
    let name = match Kind::of(told.kind.as_deref())? {
        Kind::Shared => ValueName::Shared(&told.key, from),
        Kind::Owned => ValueName::Owned(&told.key, from.unwrap_or_else(|| app.node.id())),
        Kind::Immutable => ValueName::Immutable(place(&told.key)?),
    };
    let found = app.node.dht().look_up(name).await?;
    if found.values.is_empty() {
        let asked = match found.asked {
            0 => "no other node that serves the table is known".to_owned(),
            1 => "1 node was asked".to_owned(),
            asked => format!("{asked} nodes were asked"),
        };
        let sentence = format!("nothing is stored under that key: {asked}");
        return Err(Refusal::unknown("not_found", sentence));
    }
    Ok(Json(ValuesAnswer {
        key: found.key,
        values: found.values.iter().map(ValueAnswer::from).collect(),
        holders: found.holders,
        asked: found.asked,
        took_ms: millis(found.took),
    }))
}

/// Takes back what this node stored under a key. What others stored there stays.
#[utoipa::path(
    post, path = "/v1/dht/delete", tag = "dht", request_body = DeleteBody,
    responses(
        (status = 200, description = "A tombstone took its place.", body = StoredAnswer),
        ActionErrors,
    )
)]
pub(crate) async fn delete(
    State(app): State<App>,
    Told(told): Told<DeleteBody>,
) -> Result<Json<StoredAnswer>, Refusal> {
    let _turn = app.turn()?;
    let table = app.node.dht();
    let deleted = match Kind::of(told.kind.as_deref())? {
        Kind::Shared => table.delete(&told.key).await?,
        Kind::Owned => table.delete_owned(&told.key).await?,
        Kind::Immutable => {
            let sentence = "what is immutable cannot be deleted: it ends when nobody renews it";
            return Err(Refusal::conflict("immutable", sentence));
        }
    };
    match deleted {
        Deleted::Deleted(stored) => Ok(Json(StoredAnswer {
            sentence: format!("a tombstone took its place: {}", stored.in_words()),
            stored,
        })),
        Deleted::NotFound => {
            Err(Refusal::unknown("not_found", "this node stored nothing under that key"))
        }
        Deleted::NotYours(publishers) => {
            let by: Vec<_> = publishers.iter().map(NodeId::to_string).collect();
            let sentence = format!(
                "this node stored nothing under that key; it is not yours, but of {}",
                by.join(", ")
            );
            Err(Refusal::conflict("not_yours", sentence)
                .try_this("only who stored it can delete it, at its own node"))
        }
    }
}

/// Finds the addresses of a node by its id, or the nodes that are nearest to a key or place, and
/// tells every question that led there.
#[utoipa::path(
    post, path = "/v1/dht/find", tag = "dht", request_body = FindBody,
    responses((status = 200, description = "Who is near.", body = FoundAnswer), ActionErrors)
)]
pub(crate) async fn find(
    State(app): State<App>,
    Told(told): Told<FindBody>,
) -> Result<Json<FoundAnswer>, Refusal> {
    let _turn = app.turn()?;
    let table = app.node.dht();
    let is_id = told.target.parse::<NodeId>();
    match (told.meant.as_deref(), is_id) {
        (None | Some("node"), Ok(id)) => {
            let node = table.find_node(id).await?;
            let place = ValueName::Owned(PEER_RECORD, id).key().map_err(DhtError::from)?;
            let nearest = table.nearest(place).await?;
            Ok(Json(FoundAnswer { node, nearest }))
        }
        (Some("node"), Err(_)) => Err(Refusal::bad(
            "bad_name",
            "the id of a node has 64 hexadecimal characters: a shorter one names nobody who is far",
        )),
        (Some("place"), _) => {
            let nearest = table.nearest(place(&told.target)?).await?;
            Ok(Json(FoundAnswer { node: None, nearest }))
        }
        (None | Some("key"), _) => {
            let key = ValueName::Shared(&told.target, None).key().map_err(DhtError::from)?;
            let nearest = table.nearest(key).await?;
            Ok(Json(FoundAnswer { node: None, nearest }))
        }
        (Some(_), _) => {
            Err(Refusal::bad("bad_kind", "what is looked for is a `node`, a `key` or a `place`"))
        }
    }
}

/// What is to be kept.
enum Bytes {
    Json(Value),
    Raw(Vec<u8>),
}

impl Bytes {
    fn of(
        value: Option<Value>,
        text: Option<String>,
        base64: Option<String>,
    ) -> Result<Self, Refusal> {
        match (value, text, base64) {
            (Some(value), None, None) => Ok(Self::Json(value)),
            (None, Some(text), None) => Ok(Self::Raw(text.into_bytes())),
            (None, None, Some(base64)) => {
                Base64::decode_vec(&base64).map(Self::Raw).map_err(|_| {
                    Refusal::bad("bad_value", "`base64` is no Base64 with padding (RFC 4648, 4)")
                })
            }
            _ => {
                let sentence = "one of `value`, `text` and `base64` says what to store";
                Err(Refusal::bad("bad_value", sentence))
            }
        }
    }
}

/// A field that is there is some value, `null` too.
fn is_there<'a, D: serde::Deserializer<'a>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

fn place(text: &str) -> Result<Place, Refusal> {
    text.parse().map_err(|_| {
        Refusal::bad("bad_key", "a place, and the key of a value, has 64 hexadecimal characters")
    })
}

impl From<Stored> for StoredAnswer {
    fn from(stored: Stored) -> Self {
        Self { sentence: stored.in_words(), stored }
    }
}

impl From<&StoredValue> for ValueAnswer {
    fn from(found: &StoredValue) -> Self {
        Self {
            publisher: found.publisher,
            sequence: found.sequence,
            created: rfc3339(found.created),
            age_s: found.age().as_secs(),
            ttl_s: found.ttl.as_secs(),
            remaining_s: found.remaining.as_secs(),
            from: found.from,
            bytes: found.value.len(),
            base64: Base64::encode_string(&found.value),
            text: String::from_utf8(found.value.to_vec()).ok(),
            value: found.decode().ok(),
        }
    }
}

/// What a value lives if nothing is said.
const DEFAULT_TTL_S: u64 = 3600;
/// The name of its own under which each node says where it is `[PROTOCOL 3.8]`.
const PEER_RECORD: &str = "peer";
