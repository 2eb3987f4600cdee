//! Values that fit a JSON Schema: what a test sends to an interface that it knows only from its description.

use serde_json::{Map, Value, json};

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
