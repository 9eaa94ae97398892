//! Whether a value is what a schema says: as much of JSON Schema as the description uses.

use serde_json::Value;

/// Why `value` is not what `schema` says; nothing if it is.
pub(crate) fn offends(whole: &Value, schema: &Value, value: &Value) -> Option<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let target = whole.pointer(name.strip_prefix('#').unwrap()).expect("it is described");
        return offends(whole, target, value);
    }
    if let Some(all) = schema["allOf"].as_array() {
        return all.iter().find_map(|one| offends(whole, one, value));
    }
    if let Some(any) = schema["oneOf"].as_array() {
        let ends: Vec<_> = any.iter().map(|one| offends(whole, one, value)).collect();
        let fits = ends.iter().filter(|end| end.is_none()).count();
        return (fits != 1).then(|| format!("{value} fits {fits} of {any:?}: {ends:?}"));
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        Value::Null => return None,
        one => vec![one.clone()],
    };
    let is = |name: &Value| match name.as_str() {
        Some("null") => value.is_null(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("number") => value.is_number(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    };
    if !types.iter().any(is) {
        return Some(format!("{value} is no {types:?}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Some(format!("{value} is none of {words:?}"));
    }
    if let Some(text) = value.as_str()
        && schema["pattern"] == "^[0-9a-f]{64}$"
        && !(text.len() == 64 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')))
    {
        return Some(format!("{value} is no id"));
    }
    if let Some(items) = value.as_array() {
        return items.iter().find_map(|item| offends(whole, &schema["items"], item));
    }
    let fields = value.as_object()?;
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            return Some(format!("{name} is not in {value}"));
        }
    }
    let described = schema["properties"].as_object()?;
    fields.iter().find_map(|(name, field)| {
        let why = offends(whole, described.get(name)?, field)?;
        Some(format!("{name}: {why}"))
    })
}
