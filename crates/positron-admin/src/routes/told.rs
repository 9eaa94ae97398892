//! What a request says in its body, and how that may fail.

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::{StatusCode, header},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::{
    limits::{BODY_TIMEOUT, MAX_BODY},
    refusal::{ErrorAnswer, Refusal},
};

/// The JSON of a request. What is wrong with it is told by what `openapi.json` says of it: which
/// field, what was expected, what came.
pub(crate) struct Told<T>(pub(crate) T);

impl<T: DeserializeOwned + ToSchema, S: Sync> FromRequest<S> for Told<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        // A form of a foreign page can have three types; this is none of them.
        if !kind.eq_ignore_ascii_case("application/json") {
            let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Refusal::new(code, "not_json", "the body is JSON, and says so")
                .try_this("send the header Content-Type: application/json"));
        }
        let body = timeout(BODY_TIMEOUT, to_bytes(request.into_body(), MAX_BODY)).await;
        let body = body.map_err(|_| {
            let sentence = format!("the body took more than {} s", BODY_TIMEOUT.as_secs());
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "too_slow", sentence)
        })?;
        let body = body.map_err(|_| {
            let sentence = format!("a body has at most {MAX_BODY} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", sentence)
        })?;
        read(&body).map(Self).map_err(|why| Refusal::bad("not_understood", why))
    }
}

/// What the body says, or what is wrong with it.
fn read<T: DeserializeOwned + ToSchema>(body: &[u8]) -> Result<T, String> {
    let shape = serde_json::to_value(T::schema()).unwrap_or_default();
    if body.is_empty() {
        return Err(format!("the body is empty; {} was expected", object(&shape)));
    }
    let said: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
    fits(&shape, &said)?;
    // From the text again, for what a tree of values does not show: a field that is there twice.
    serde_json::from_slice(body).map_err(|error| format!("the body: {error}"))
}

/// Whether an object has the fields that its description names, each of its kind.
fn fits(shape: &Value, said: &Value) -> Result<(), String> {
    let Value::Object(said) = said else {
        return Err(format!("the body is {}; {} was expected", shown(said), object(shape)));
    };
    if let Some(name) = said.keys().find(|name| shape["properties"].get(name).is_none()) {
        let name: String = name.chars().take(LONGEST_SHOWN).collect();
        return Err(format!("{name:?} is no field of this; {} was expected", object(shape)));
    }
    for (name, field) in shape["properties"].as_object().into_iter().flatten() {
        let needed = required(shape).any(|one| one == name);
        match said.get(name) {
            None if needed => {
                return Err(format!("the field `{name}` is missing: {} was expected", kind(field)));
            }
            None => {}
            Some(Value::Null) if !needed => {}
            Some(value) if is_of(field, value) => {}
            Some(value) => {
                let (came, kind) = (shown(value), kind(field));
                return Err(format!("the field `{name}` is {came}; {kind} was expected"));
            }
        }
    }
    Ok(())
}

fn required(shape: &Value) -> impl Iterator<Item = &str> {
    shape["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// What the whole body may have.
fn object(shape: &Value) -> String {
    let names = shape["properties"].as_object().into_iter().flatten().map(|(name, _)| {
        let optional =
            if required(shape).any(|one| one == name) { "" } else { " (may be left out)" };
        format!("`{name}`{optional}")
    });
    match names.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "an object without fields".into(),
        names => format!("an object with {names}"),
    }
}

/// What a field may be.
fn kind(field: &Value) -> String {
    match (field["type"].as_str(), &field["minimum"]) {
        (Some("string"), _) => "a text".into(),
        (Some("integer"), Value::Null) => "a whole number".into(),
        (Some("integer"), least) => format!("a whole number from {least} on"),
        (Some("number"), _) => "a number".into(),
        (Some("boolean"), _) => "true or false".into(),
        _ => "a value".into(),
    }
}

fn is_of(field: &Value, value: &Value) -> bool {
    match field["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => {
            value.as_u64().is_some_and(|n| n >= field["minimum"].as_u64().unwrap_or(0))
        }
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        _ => true,
    }
}

/// What came, cut where it is long.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(is) => is.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        Value::String(text) if text.chars().count() > LONGEST_SHOWN => {
            format!("the text {:?}…", text.chars().take(LONGEST_SHOWN).collect::<String>())
        }
        Value::String(text) => format!("the text {text:?}"),
    }
}

/// Characters of what came that are told again.
const LONGEST_SHOWN: usize = 40;

/// How an action may fail.
#[derive(utoipa::IntoResponses)]
#[expect(dead_code, reason = "it describes what `Refusal` writes")]
pub(crate) enum ActionErrors {
    /// The body is not what it should be.
    #[response(status = 400)]
    Bad(#[to_schema] ErrorAnswer),
    /// No token.
    #[response(status = 401)]
    Unauthorized(#[to_schema] ErrorAnswer),
    /// Nobody knows that node.
    #[response(status = 404)]
    Unknown(#[to_schema] ErrorAnswer),
    /// The body took too long.
    #[response(status = 408)]
    Slow(#[to_schema] ErrorAnswer),
    /// As things are, it cannot be done.
    #[response(status = 409)]
    Conflict(#[to_schema] ErrorAnswer),
    /// The body is too large.
    #[response(status = 413)]
    TooLarge(#[to_schema] ErrorAnswer),
    /// The body is not JSON.
    #[response(status = 415)]
    NotJson(#[to_schema] ErrorAnswer),
    /// Too much else is being done.
    #[response(status = 429)]
    Busy(#[to_schema] ErrorAnswer),
    /// The disk is away, or the node is stopping.
    #[response(status = 503)]
    Unavailable(#[to_schema] ErrorAnswer),
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    struct Body {
        /// A text.
        whom: String,
        /// A number.
        #[serde(default)]
        #[schema(value_type = u64, required = false, minimum = 1)]
        seconds: Option<u64>,
        /// A part.
        #[serde(default)]
        #[schema(value_type = f64, required = false)]
        part: Option<f64>,
        /// Anything.
        payload: Value,
    }

    #[test]
    fn what_is_wrong_with_a_body_names_the_field_what_was_expected_and_what_came() {
        let fields = "an object with `part` (may be left out), `payload`, `seconds` (may be left \
                      out), `whom` was expected";
        for (body, wrong) in [
            ("", format!("the body is empty; {fields}")),
            ("{", "the body is no JSON: EOF while parsing an object at line 1 column 1".into()),
            ("[]", format!("the body is a list; {fields}")),
            ("\"x\"", format!("the body is the text \"x\"; {fields}")),
            (
                "{\"whom\":1,\"payload\":1}",
                "the field `whom` is the number 1; a text was expected".into(),
            ),
            (
                "{\"whom\":null,\"payload\":1}",
                "the field `whom` is null; a text was expected".into(),
            ),
            ("{\"whom\":\"x\"}", "the field `payload` is missing: a value was expected".into()),
            (
                "{\"whom\":\"x\",\"payload\":1,\"seconds\":\"7\"}",
                "the field `seconds` is the text \"7\"; a whole number from 1 on was expected"
                    .into(),
            ),
            (
                "{\"whom\":\"x\",\"payload\":1,\"seconds\":-1}",
                "the field `seconds` is the number -1; a whole number from 1 on was expected"
                    .into(),
            ),
            (
                "{\"whom\":\"x\",\"payload\":1,\"part\":{}}",
                "the field `part` is an object; a number was expected".into(),
            ),
            (
                "{\"whom\":\"x\",\"payload\":1,\"more\":2}",
                format!("\"more\" is no field of this; {fields}"),
            ),
        ] {
            assert_eq!(read::<Body>(body.as_bytes()), Err(wrong), "{body}");
        }
        let twice = read::<Body>(b"{\"whom\":\"x\",\"whom\":\"y\",\"payload\":1}").unwrap_err();
        assert!(twice.contains("duplicate field `whom`"), "{twice}");
        let long =
            format!("{{\"whom\":\"x\",\"payload\":1,\"seconds\":\"{}\"}}", "7".repeat(5_000));
        assert!(read::<Body>(long.as_bytes()).unwrap_err().len() < 200);
        let whole = read::<Body>(b"{\"whom\":\"x\",\"payload\":null,\"seconds\":null}");
        let body = Body { whom: "x".into(), seconds: None, part: None, payload: Value::Null };
        assert_eq!(whole, Ok(body));
    }
}
