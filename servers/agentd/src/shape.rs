//! What a parameter or a result looks like: constants that methods declare, and the JSON Schema (2020-12) that the description of the daemon shows for them.

use serde_json::{Map, Value, json};

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Anything.
    Any,
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A whole number, both ends included.
    Integer(i64, u64),
    /// Any number.
    Number,
    /// Text.
    Text,
    /// One of some words.
    Word(&'static [&'static str]),
    /// A list.
    Array(&'static Shape),
    /// An object with any names.
    Map(&'static Shape),
    /// An object with these members. It may have more: results grow.
    Object(&'static [Member]),
    /// The value, or `null`.
    Nullable(&'static Shape),
    /// One of several.
    Either(&'static [Shape]),
}

/// A member of an object, or a parameter.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What it looks like.
    pub shape: Shape,
    /// Whether it is always there.
    pub is_required: bool,
    /// What it means, where the name does not say it.
    pub doc: &'static str,
}

/// A number that needs no bounds but those of its type.
pub const U64: Shape = Shape::Integer(0, u64::MAX);
/// The same of 32 bits.
pub const U32: Shape = Shape::Integer(0, u32::MAX as u64);
/// Something that has nothing to say.
pub const EMPTY: Shape = Shape::Object(&[]);

/// A member that is always there.
pub const fn member(name: &'static str, shape: Shape) -> Member {
    Member {
        name,
        shape,
        is_required: true,
        doc: "",
    }
}

/// A member that may be missing.
pub const fn optional(name: &'static str, shape: Shape) -> Member {
    Member {
        is_required: false,
        ..member(name, shape)
    }
}

impl Member {
    /// The same with an explanation.
    #[must_use]
    pub const fn doc(self, doc: &'static str) -> Self {
        Self { doc, ..self }
    }

    /// Its JSON Schema.
    pub fn schema(&self) -> Value {
        let mut schema = self.shape.schema();
        if !self.doc.is_empty() {
            schema["description"] = self.doc.into();
        }
        schema
    }
}

impl Shape {
    /// Its JSON Schema.
    pub fn schema(&self) -> Value {
        match self {
            Self::Any => json!({}),
            Self::Null => json!({ "type": "null" }),
            Self::Boolean => json!({ "type": "boolean" }),
            Self::Integer(least, most) => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            Self::Number => json!({ "type": "number" }),
            Self::Text => json!({ "type": "string" }),
            Self::Word(words) => json!({ "enum": words }),
            Self::Array(items) => json!({ "type": "array", "items": items.schema() }),
            Self::Map(values) => {
                json!({ "type": "object", "additionalProperties": values.schema() })
            }
            Self::Object(members) => object(members),
            Self::Nullable(inner) => json!({ "anyOf": [inner.schema(), { "type": "null" }] }),
            Self::Either(shapes) => {
                json!({ "anyOf": shapes.iter().map(Self::schema).collect::<Value>() })
            }
        }
    }
}

fn object(members: &[Member]) -> Value {
    let properties: Map<_, _> = members
        .iter()
        .map(|member| (member.name.into(), member.schema()))
        .collect();
    let required: Value = members
        .iter()
        .filter(|member| member.is_required)
        .map(|member| member.name)
        .collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_requires_what_is_always_there() {
        const SHAPE: Shape = Shape::Object(&[
            member("pid", Shape::Integer(1, 7)).doc("whose"),
            optional("name", Shape::Nullable(&Shape::Text)),
        ]);
        assert_eq!(
            SHAPE.schema(),
            json!({
                "type": "object",
                "properties": {
                    "pid": { "type": "integer", "minimum": 1, "maximum": 7, "description": "whose" },
                    "name": { "anyOf": [{ "type": "string" }, { "type": "null" }] },
                },
                "required": ["pid"],
            })
        );
    }
}
