//! Values that fit a JSON Schema: what a test sends to an interface that it knows only from its description, and whether what comes back fits.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Number, Value, json};

/// How deep a generated value may nest before every choice is the shortest.
const MAX_DEPTH: u32 = 6;

/// Random numbers that a seed decides (SplitMix64).
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Makes values for one description.
pub struct Values<'a> {
    /// The document in which references (`#/…`) are looked up.
    document: &'a Value,
    random: Random,
}

impl<'a> Values<'a> {
    /// For schemas inside `document`.
    pub fn new(document: &'a Value, seed: u64) -> Self {
        Self {
            document,
            random: Random::new(seed),
        }
    }

    /// A value that fits `schema`; `null` fits what the schema does not restrict.
    pub fn fitting(&mut self, schema: &'a Value) -> Value {
        self.value(schema, 0)
    }

    fn value(&mut self, schema: &'a Value, depth: u32) -> Value {
        if let Some(target) = schema["$ref"]
            .as_str()
            .and_then(|reference| self.document.pointer(reference.trim_start_matches('#')))
        {
            return self.value(target, depth + 1);
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        for choice in ["enum", "oneOf", "anyOf"] {
            if let Some(options) = schema[choice]
                .as_array()
                .filter(|options| !options.is_empty())
            {
                let which = if depth >= MAX_DEPTH {
                    0
                } else {
                    self.random.below(options.len() as u64) as usize
                };
                return if choice == "enum" {
                    options[which].clone()
                } else {
                    self.value(&options[which], depth + 1)
                };
            }
        }
        match self.type_of(schema) {
            "boolean" => json!(self.random.below(2) == 1),
            "integer" => self.integer(schema),
            "number" => json!(self.random.below(1000) as f64 / 8.0),
            "string" => json!(self.string(schema)),
            "array" => self.array(schema, depth),
            "object" => self.object(schema, depth),
            _ => Value::Null,
        }
    }

    fn type_of(&mut self, schema: &'a Value) -> &'a str {
        match &schema["type"] {
            Value::String(name) => name,
            Value::Array(names) if !names.is_empty() => {
                let which = self.random.below(names.len() as u64) as usize;
                names[which].as_str().unwrap_or("null")
            }
            _ if schema.get("properties").is_some() => "object",
            _ => "null",
        }
    }

    fn integer(&mut self, schema: &Value) -> Value {
        let minimum = schema["minimum"].as_i64().unwrap_or(0);
        let maximum = schema["maximum"].as_u64().unwrap_or(u64::MAX);
        let span = i128::from(maximum) - i128::from(minimum);
        let chosen = match self.random.below(4) {
            0 => i128::from(minimum),
            1 => i128::from(maximum),
            2 => i128::from(minimum) + span.min(3),
            _ => i128::from(minimum) + i128::from(self.random.next()).min(span),
        };
        u64::try_from(chosen).map_or_else(
            |_| json!(i64::try_from(chosen).unwrap_or(minimum)),
            |number| json!(number),
        )
    }

    fn string(&mut self, schema: &Value) -> String {
        if schema["contentEncoding"] == "base64" {
            const BYTES: [&str; 4] = ["", "AA==", "/wA=", "cGViYmxl"];
            return BYTES[self.random.below(BYTES.len() as u64) as usize].to_string();
        }
        const WORDS: [&str; 6] = [
            "",
            "x",
            "logd",
            "/system/shell.peb",
            "zwölf Boxkämpfer",
            "a\u{0}b",
        ];
        let shortest = schema["minLength"].as_u64().unwrap_or(0) as usize;
        let longest = schema["maxLength"].as_u64().unwrap_or(u64::MAX) as usize;
        let word = WORDS[self.random.below(WORDS.len() as u64) as usize];
        let padded = word
            .chars()
            .chain(std::iter::repeat('x'))
            .take(word.chars().count().max(shortest).min(longest));
        padded.collect()
    }

    fn array(&mut self, schema: &'a Value, depth: u32) -> Value {
        if let Some(first) = schema["prefixItems"].as_array() {
            return first
                .iter()
                .map(|item| self.value(item, depth + 1))
                .collect();
        }
        let shortest = schema["minItems"].as_u64().unwrap_or(0);
        let longest = schema["maxItems"]
            .as_u64()
            .unwrap_or(shortest + 2)
            .min(shortest + 2);
        let length = if depth >= MAX_DEPTH {
            shortest
        } else {
            shortest + self.random.below(longest - shortest + 1)
        };
        (0..length)
            .map(|_| self.value(&schema["items"], depth + 1))
            .collect()
    }

    fn object(&mut self, schema: &'a Value, depth: u32) -> Value {
        let mut members = Map::new();
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            members.insert(name.clone(), self.value(member, depth + 1));
        }
        Value::Object(members)
    }
}

/// Whether `value` is what `schema` allows, as far as the words go that descriptions use; if not, where and why. References are looked up in
/// `document`.
pub fn check(document: &Value, schema: &Value, value: &Value) -> Result<()> {
    check_type(schema, value)?;
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        check(
            document,
            target.with_context(|| format!("no {reference}"))?,
            value,
        )?;
    }
    if let Some(constant) = schema.get("const").filter(|constant| *constant != value) {
        bail!("{value} is not {constant}");
    }
    if let Some(words) = schema["enum"]
        .as_array()
        .filter(|words| !words.contains(value))
    {
        bail!("{value} is none of {words:?}");
    }
    for choice in ["anyOf", "oneOf"] {
        let Some(options) = schema[choice].as_array() else {
            continue;
        };
        if !options
            .iter()
            .any(|option| check(document, option, value).is_ok())
        {
            bail!("{value} is none of the choices {}", schema[choice]);
        }
    }
    match value {
        Value::Number(number) => check_bounds(schema, number),
        Value::Array(items) => check_items(document, schema, items),
        Value::Object(members) => check_members(document, schema, members),
        _ => Ok(()),
    }
}

fn check_type(schema: &Value, value: &Value) -> Result<()> {
    let Some(wanted) = schema["type"].as_str() else {
        return Ok(());
    };
    let fits = match wanted {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => bail!("a schema speaks of {other:?}"),
    };
    if fits {
        Ok(())
    } else {
        bail!("{value} is no {wanted}")
    }
}

fn check_bounds(schema: &Value, number: &Number) -> Result<()> {
    let wide = |number: &Number| number.as_i128();
    let bound = |name: &str| schema[name].as_number().and_then(wide);
    let Some(number) = wide(number) else {
        return Ok(());
    };
    let is_low = bound("minimum").is_some_and(|least| number < least);
    let is_high = bound("maximum").is_some_and(|most| number > most);
    if is_low || is_high {
        bail!("{number} is out of bounds of {schema}");
    }
    Ok(())
}

fn check_items(document: &Value, schema: &Value, items: &[Value]) -> Result<()> {
    let length = items.len() as u64;
    let is_short = schema["minItems"]
        .as_u64()
        .is_some_and(|least| length < least);
    let is_long = schema["maxItems"]
        .as_u64()
        .is_some_and(|most| length > most);
    if is_short || is_long {
        bail!("{length} items do not fit {schema}");
    }
    let first = schema["prefixItems"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    for (index, item) in items.iter().enumerate() {
        if let Some(schema) = first.get(index).or_else(|| schema.get("items")) {
            check(document, schema, item).with_context(|| format!("item {index}"))?;
        }
    }
    Ok(())
}

fn check_members(document: &Value, schema: &Value, members: &Map<String, Value>) -> Result<()> {
    for name in schema["required"].as_array().into_iter().flatten() {
        if !name.as_str().is_some_and(|name| members.contains_key(name)) {
            bail!("{name} is missing");
        }
    }
    for (name, value) in members {
        match (
            schema["properties"].get(name),
            &schema["additionalProperties"],
        ) {
            (Some(schema), _) => {
                check(document, schema, value).with_context(|| format!("member {name:?}"))?;
            }
            (None, Value::Bool(false)) => bail!("{name:?} is unknown"),
            (None, Value::Object(_)) => {
                check(document, &schema["additionalProperties"], value)
                    .with_context(|| format!("member {name:?}"))?;
            }
            (None, _) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_values_fit_their_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "level": { "enum": ["Info", "Warn"] },
                "count": { "type": "integer", "minimum": -5, "maximum": 5 },
                "big": { "type": "integer", "minimum": 0, "maximum": u64::MAX },
                "pair": { "type": "array", "prefixItems": [{ "type": "boolean" }, { "type": "null" }] },
                "maybe": { "oneOf": [{ "type": "null" }, { "$ref": "#/properties/level" }] },
            },
        });
        for seed in 0..200 {
            let value = Values::new(&schema, seed).fitting(&schema);
            assert!(["Info", "Warn"].contains(&value["level"].as_str().expect("a name")));
            assert!((-5..=5).contains(&value["count"].as_i64().expect("a number")));
            assert!(
                value["big"].is_u64()
                    && value["pair"][0].is_boolean()
                    && value["pair"][1].is_null()
            );
            assert!(value["maybe"].is_null() || value["maybe"].is_string());
            check(&schema, &schema, &value).expect("what is made fits");
        }
    }

    #[test]
    fn what_does_not_fit_is_found() {
        let document = json!({ "small": { "type": "integer", "minimum": 0, "maximum": 9 } });
        let small = json!({ "$ref": "#/small" });
        let exact = json!({ "type": "object", "properties": { "a": small }, "required": ["a"], "additionalProperties": false });
        let pair = json!({ "type": "array", "prefixItems": [small, { "enum": ["x"] }], "items": false, "minItems": 2, "maxItems": 2 });
        let maybe = json!({ "anyOf": [{ "type": "null" }, exact] });
        let open = json!({ "type": "object", "additionalProperties": small });
        for (schema, good, bad) in [
            (&small, json!(9), json!(10)),
            (&small, json!(0), json!(-1)),
            (&small, json!(1), json!("1")),
            (&exact, json!({ "a": 1 }), json!({})),
            (&exact, json!({ "a": 1 }), json!({ "a": 1, "b": 1 })),
            (&exact, json!({ "a": 1 }), json!({ "a": true })),
            (&pair, json!([1, "x"]), json!([1, "y"])),
            (&pair, json!([1, "x"]), json!([1])),
            (&maybe, json!(null), json!({ "a": 10 })),
            (&open, json!({ "any": 1 }), json!({ "any": 10 })),
        ] {
            check(&document, schema, &good).expect("it fits");
            assert!(
                check(&document, schema, &bad).is_err(),
                "{bad} fits {schema}"
            );
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_value() {
        let schema = json!({ "type": "array", "items": { "type": "string" }, "minItems": 3 });
        assert_eq!(
            Values::new(&schema, 7).fitting(&schema),
            Values::new(&schema, 7).fitting(&schema)
        );
    }
}
