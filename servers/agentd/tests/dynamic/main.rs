//! Between JSON and postcard, for every type of every protocol and for every kind of type there is.
#![allow(missing_docs, reason = "a test has no reader but this file")]

mod samples;

use agentd::dynamic::{Garbled, Handles, Misfit, Refused, Schemas, decode, encode, encode_members};
use postcard_schema::Schema;
use postcard_schema::schema::owned::{OwnedDataModelType as Type, OwnedNamedType, OwnedNamedValue};
use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// As long as a message.
const LIMIT: usize = 4096;

/// Handles that are called by their places.
struct ByPlace;

impl Handles for ByPlace {
    fn place(&mut self, name: &str, _: &str) -> Option<u8> {
        name.strip_prefix('h')?
            .parse()
            .ok()
            .filter(|place| *place < 4)
    }

    fn name(&mut self, place: u8, _: &str) -> Option<String> {
        (place < 4).then(|| format!("h{place}"))
    }
}

fn named(name: &str, ty: Type) -> OwnedNamedType {
    OwnedNamedType {
        name: name.into(),
        ty,
    }
}

/// The parameters, result and error of a method, each as a type.
fn types(method: &libipc::schema::MethodDescription) -> [OwnedNamedType; 3] {
    let fields = method.parameters.iter().cloned();
    let fields = fields
        .map(|(name, ty)| OwnedNamedValue { name, ty })
        .collect();
    [
        named(&method.name, Type::Struct(fields)),
        method.result.clone(),
        method.error.clone(),
    ]
}

/// All types of all protocols.
fn protocol_types() -> Vec<OwnedNamedType> {
    let descriptions = protocols::ALL.iter().map(|protocol| protocol.describe());
    descriptions
        .flat_map(|description| description.methods)
        .flat_map(|method| types(&method))
        .collect()
}

/// There and back; and what is there fits the JSON Schema of the type.
fn check_journey(
    ty: &OwnedNamedType,
    validator: &jsonschema::Validator,
    bytes: &[u8],
) -> Result<(), TestCaseError> {
    let value = decode(ty, bytes, &mut ByPlace);
    let value = value.map_err(|Garbled| TestCaseError::fail(format!("garbled: {bytes:?}")))?;
    // What is sent is text, so numbers have to survive that as well.
    let value: Value = agentd::json::parse(value.to_string().as_bytes()).expect("JSON");
    prop_assert_eq!(
        encode(ty, &value, &mut ByPlace, usize::MAX),
        Ok(bytes.to_vec()),
        "{}",
        value
    );
    if let Err(error) = validator.validate(&value) {
        return Err(TestCaseError::fail(format!(
            "{error} at {}: {value}",
            error.instance_path()
        )));
    }
    Ok(())
}

fn validator(ty: &OwnedNamedType) -> jsonschema::Validator {
    let mut schemas = Schemas::at("/types");
    let mut document = schemas.of(ty);
    document["types"] = schemas.into_table();
    jsonschema::draft202012::meta::validate(&document).expect("a schema");
    jsonschema::draft202012::new(&document).expect("a schema")
}

fn check_type(ty: &OwnedNamedType, cases: u32) {
    let validator = validator(ty);
    let config = ProptestConfig {
        cases,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let outcome = runner.run(&samples::of(ty), |bytes| {
        check_journey(ty, &validator, &bytes)
    });
    if let Err(error) = outcome {
        panic!("{}: {error}", ty.name);
    }
}

/// As often as the environment says, divided among so many properties.
fn cases(properties: u32) -> u32 {
    (ProptestConfig::default().cases * 16 / properties).max(8)
}

#[test]
fn every_value_of_every_protocol_survives_the_journey() {
    let types = protocol_types();
    assert!(types.len() > 200, "only {} types", types.len());
    let cases = cases(types.len() as u32);
    for ty in &types {
        check_type(ty, cases);
    }
}

#[derive(Schema, Serialize)]
struct Nothing;
#[derive(Schema, Serialize)]
struct Inner(Option<u8>);
#[derive(Schema, Serialize)]
struct Pair(u16, String);
#[derive(Schema, Serialize)]
enum Choice {
    Unit,
    Newtype(i64),
    Tuple(u8, Option<()>),
    Struct { a: u32, b: Vec<Choice2> },
}
#[derive(Schema, Serialize)]
enum Choice2 {
    One,
    Two,
}
#[derive(Schema, Serialize)]
struct Every {
    signed: (i8, i16, i32, i64, i128),
    unsigned: (u8, u16, u32, u64),
    wide: u128,
    floats: (f32, f64),
    letters: (char, String),
    bytes: Vec<u8>,
    array: [u8; 4],
    maybe: Option<Option<Option<bool>>>,
    nulls: (Option<()>, Option<Nothing>, Option<Inner>),
    tuple: Pair,
    choice: Vec<Choice>,
    named: BTreeMap<String, u32>,
    numbered: BTreeMap<u16, Choice2>,
}

fn every() -> OwnedNamedType {
    Every::SCHEMA.into()
}

#[test]
fn every_kind_of_type_survives_the_journey() {
    check_type(&every(), cases(8));
    for ty in [Type::Usize, Type::Isize, Type::ByteArray, Type::Schema] {
        check_type(&named("x", ty), 8);
    }
}

fn json_of<T: Schema + Serialize>(value: &T) -> Value {
    let bytes = postcard::to_allocvec(value).unwrap();
    decode(&T::SCHEMA.into(), &bytes, &mut ByPlace).expect("a value")
}

#[test]
fn json_is_as_the_table_says() {
    assert_eq!(json_of(&(true, -5_i32, 1.5_f64)), json!([true, -5, 1.5]));
    assert_eq!(json_of(&u64::MAX), json!(u64::MAX));
    assert_eq!(json_of(&u128::MAX), json!(u128::MAX.to_string()));
    assert_eq!(json_of(&i128::MIN), json!(i128::MIN.to_string()));
    assert_eq!(
        json_of(&(f64::NAN, f32::INFINITY, f64::NEG_INFINITY)),
        json!(["NaN", "Infinity", "-Infinity"])
    );
    assert_eq!(json_of(&('ä', "b".to_string())), json!(["ä", "b"]));
    assert_eq!(json_of(&vec![0xff_u8, 0]), json!({ "$b64": "/wA=" }));
    assert_eq!(json_of(&[1_u8, 2]), json!([1, 2]));
    assert_eq!(json_of(&(None::<u8>, Some(7_u8))), json!([null, 7]));
    assert_eq!(
        json_of(&(None::<Option<u8>>, Some(None::<u8>), Some(Some(1_u8)))),
        json!([null, { "$some": null }, { "$some": 1 }])
    );
    assert_eq!(
        json_of(&(Some(()), Some(Nothing), Some(Inner(None)))),
        json!([{ "$some": null }, { "$some": null }, { "$some": null }])
    );
    assert_eq!(json_of(&Nothing), Value::Null);
    assert_eq!(json_of(&Pair(1, "x".into())), json!([1, "x"]));
    assert_eq!(json_of(&Inner(Some(3))), json!(3));
    assert_eq!(
        json_of(&BTreeMap::from([("a".to_string(), 1_u8)])),
        json!({ "a": 1 })
    );
    assert_eq!(json_of(&BTreeMap::from([(5_u16, 1_u8)])), json!([[5, 1]]));
    assert_eq!(
        json_of(&vec![
            Choice::Unit,
            Choice::Newtype(-1),
            Choice::Tuple(1, Some(())),
            Choice::Struct {
                a: 1,
                b: vec![Choice2::One, Choice2::Two]
            },
        ]),
        json!(["Unit", { "Newtype": -1 }, { "Tuple": [1, { "$some": null }] }, { "Struct": { "a": 1, "b": ["One", "Two"] } }])
    );
    let handle = protocols::by_name("stream").unwrap().describe().methods;
    let handle = &handle
        .iter()
        .find(|method| method.name == "another")
        .unwrap()
        .result;
    let value = json!({ "$handle": "h2", "type": "Connection" });
    assert_eq!(decode(handle, &[2], &mut ByPlace), Ok(value.clone()));
    assert_eq!(encode(handle, &value, &mut ByPlace, LIMIT), Ok(vec![2]));
}

fn encoded<T: Schema>(value: Value) -> Result<Vec<u8>, Refused> {
    encode(&T::SCHEMA.into(), &value, &mut ByPlace, LIMIT)
}

#[test]
fn input_may_be_written_in_other_ways() {
    assert_eq!(
        encoded::<u64>(json!("18446744073709551615")),
        encoded::<u64>(json!(u64::MAX))
    );
    assert_eq!(
        encoded::<i64>(json!("-9223372036854775808")),
        encoded::<i64>(json!(i64::MIN))
    );
    assert_eq!(encoded::<u128>(json!(5)), encoded::<u128>(json!("5")));
    assert_eq!(
        encoded::<Vec<u8>>(json!([255, 0])),
        encoded::<Vec<u8>>(json!({ "$b64": "/wA=" }))
    );
    assert_eq!(encoded::<f64>(json!(2)), encoded::<f64>(json!(2.0)));
    assert_eq!(encoded::<u64>(json!(5.0)), encoded::<u64>(json!(5)));
    assert_eq!(encoded::<i64>(json!(-5e3)), encoded::<i64>(json!(-5000)));
}

/// The path of the misfit.
fn place<T: Schema>(value: Value) -> String {
    match encoded::<T>(value.clone()) {
        Err(Refused::Misfit(Misfit { path, .. })) => path,
        other => panic!("{value}: {other:?}"),
    }
}

#[test]
fn the_first_misfit_is_named_by_its_place() {
    #[derive(Schema)]
    #[allow(dead_code, reason = "only its schema is needed")]
    struct Outer {
        list: Vec<Choice>,
        map: BTreeMap<String, (u8, bool)>,
    }
    let with = |list: Value, map: Value| json!({ "list": list, "map": map });
    assert_eq!(place::<Outer>(json!(1)), "");
    assert_eq!(place::<Outer>(json!({ "list": [] })), "/map");
    assert_eq!(
        place::<Outer>(json!({ "list": [], "map": {}, "a/b": 1 })),
        "/a~1b"
    );
    assert_eq!(place::<Outer>(with(json!([1]), json!({}))), "/list/0");
    assert_eq!(
        place::<Outer>(with(json!(["Unit", "Unite"]), json!({}))),
        "/list/1"
    );
    assert_eq!(
        place::<Outer>(with(json!(["Newtype"]), json!({}))),
        "/list/0"
    );
    assert_eq!(
        place::<Outer>(with(json!([{ "Unit": null }]), json!({}))),
        "/list/0"
    );
    assert_eq!(
        place::<Outer>(with(json!([{ "Newtype": "x" }]), json!({}))),
        "/list/0/Newtype"
    );
    assert_eq!(
        place::<Outer>(with(json!([{ "Tuple": [1] }]), json!({}))),
        "/list/0/Tuple"
    );
    assert_eq!(
        place::<Outer>(with(json!([{ "Tuple": [256, null] }]), json!({}))),
        "/list/0/Tuple/0"
    );
    assert_eq!(
        place::<Outer>(with(
            json!([{ "Struct": { "a": 1, "b": ["Three"] } }]),
            json!({})
        )),
        "/list/0/Struct/b/0"
    );
    assert_eq!(
        place::<Outer>(with(json!([]), json!({ "~": [1, 2] }))),
        "/map/~0/1"
    );
    assert_eq!(
        place::<Option<Option<u8>>>(json!({ "$some": "x" })),
        "/$some"
    );
    assert_eq!(place::<Option<Option<u8>>>(json!(5)), "");
    assert_eq!(place::<Vec<u8>>(json!([1, 256])), "/1");
    assert_eq!(place::<Vec<u8>>(json!({ "$b64": "/wB=" })), "/$b64");
    assert_eq!(place::<Vec<u8>>(json!({ "$b64": "_w==" })), "/$b64");
    for (value, ty) in [
        (json!(-1), Type::U64),
        (json!("18446744073709551616"), Type::U64),
        (json!("+5"), Type::U64),
        (json!("5"), Type::U32),
        (json!(1.5), Type::I64),
        (json!(1e17), Type::I64),
        (json!(-1.0), Type::U64),
        (json!(256.0), Type::U8),
        (json!(128), Type::I8),
        (json!(1e300), Type::F32),
        (json!("nan"), Type::F64),
        (json!("ab"), Type::Char),
        (json!(""), Type::Char),
        (json!({}), Type::Unit),
    ] {
        let outcome = encode(&named("x", ty), &value, &mut ByPlace, LIMIT);
        assert!(
            matches!(outcome, Err(Refused::Misfit(_))),
            "{value}: {outcome:?}"
        );
    }
}

#[test]
fn handles_are_taken_by_name_and_type() {
    let attach = protocols::by_name("serial").unwrap().describe().methods;
    let attach = &attach
        .iter()
        .find(|method| method.name == "attach")
        .unwrap()
        .parameters;
    let with = |name: Value, ty: &str| {
        let memory = json!({ "$handle": name, "type": ty });
        let value =
            json!({ "memory": memory, "doorbell": { "$handle": "h1", "type": "Notification" } });
        encode_members(attach, &value, &mut ByPlace, LIMIT)
    };
    assert_eq!(with(json!("h0"), "MemoryObject"), Ok(vec![0, 1]));
    for forged in ["h9", "h", "", "7", "h0 "] {
        let path = "/memory".to_string();
        assert_eq!(
            with(json!(forged), "MemoryObject"),
            Err(Refused::Handle { path })
        );
    }
    let misfit = |outcome| match outcome {
        Err(Refused::Misfit(misfit)) => misfit.path,
        other => panic!("{other:?}"),
    };
    assert_eq!(misfit(with(json!("h0"), "Process")), "/memory/type");
    assert_eq!(misfit(with(json!(0), "MemoryObject")), "/memory");
}

#[test]
fn a_message_has_a_limit() {
    assert_eq!(
        encoded::<String>(json!("x".repeat(5000))),
        Err(Refused::TooLarge { limit: LIMIT })
    );
    // Values that take no bytes are counted, whatever the message says of their number.
    let units: OwnedNamedType = <Vec<()>>::SCHEMA.into();
    assert_eq!(
        decode(&units, &[3], &mut ByPlace),
        Ok(json!([null, null, null]))
    );
    assert_eq!(
        decode(&units, &samples::varint(u64::MAX.into()), &mut ByPlace),
        Err(Garbled)
    );
    assert_eq!(
        decode(&units, &samples::varint(100_000), &mut ByPlace),
        Err(Garbled)
    );
}

#[test]
fn bytes_that_are_no_value_are_found_out() {
    let cases: &[(Type, &[u8])] = &[
        (Type::Bool, &[2]),
        (Type::Bool, &[]),
        (Type::Bool, &[1, 0]),
        (Type::U16, &[0xff, 0xff, 0x04]),
        (Type::U64, &[0xff; 11]),
        (Type::Char, &[2, b'a', b'b']),
        (Type::String, &[1, 0xff]),
        (Type::String, &[9, b'a']),
        (Type::Option(Box::new(named("u8", Type::U8))), &[2]),
        (Type::Enum(Vec::new()), &[0]),
        (Type::NewtypeStruct(Box::new(named("u8", Type::U8))), &[]),
    ];
    for (ty, bytes) in cases {
        assert_eq!(
            decode(&named("x", ty.clone()), bytes, &mut ByPlace),
            Err(Garbled),
            "{ty:?} {bytes:?}"
        );
    }
    let handle = named(
        "Handle<Process>",
        Type::NewtypeStruct(Box::new(named("u8", Type::U8))),
    );
    assert_eq!(decode(&handle, &[4], &mut ByPlace), Err(Garbled));
    let twice = [2, 1, b'a', 0, 1, b'a', 1];
    assert_eq!(
        decode(&<BTreeMap<String, u8>>::SCHEMA.into(), &twice, &mut ByPlace),
        Err(Garbled)
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9$]{0,6}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("$b64".to_string()),
        Just("$some".to_string()),
        Just("$handle".to_string()),
        Just("Struct".to_string()),
        "[a-z]{1,4}",
    ];
    leaf.prop_recursive(6, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..5)
                .prop_map(|members| members.into_iter().collect::<Value>()),
        ]
    })
}

proptest! {
    /// A schema that a server made up, of bytes that happen to be one; bytes and JSON that have nothing to do with it.
    #[test]
    fn nothing_hostile_panics(
        schema in prop::collection::vec(0_u8..30, 2..120),
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        value in any_json(),
    ) {
        if let Some((ty, _)) = libipc::schema::take_type(&schema) {
            Schemas::at("/types").of(&ty);
            if let Ok(value) = decode(&ty, &bytes, &mut ByPlace) {
                value.to_string();
            }
            if let Ok(bytes) = encode(&ty, &value, &mut ByPlace, LIMIT) {
                prop_assert!(bytes.len() <= LIMIT);
                prop_assert!(decode(&ty, &bytes, &mut ByPlace).is_ok());
            }
        }
    }

    #[test]
    fn random_bytes_are_a_value_or_garbled(which in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let types = protocol_types();
        let ty = &types[which.index(types.len())];
        if let Ok(value) = decode(ty, &bytes, &mut ByPlace) {
            let again = encode(ty, &value, &mut ByPlace, LIMIT).expect("it fits its own schema");
            prop_assert_eq!(decode(ty, &again, &mut ByPlace), Ok(value));
        }
    }

    #[test]
    fn random_json_fits_or_is_refused(which in any::<prop::sample::Index>(), value in any_json()) {
        let types = protocol_types();
        let ty = &types[which.index(types.len())];
        let outcome = encode(ty, &value, &mut ByPlace, LIMIT);
        if let Ok(bytes) = outcome {
            prop_assert!(decode(ty, &bytes, &mut ByPlace).is_ok());
        }
    }

    /// A description as a server would send it that lost its mind: a real one with some bytes changed. Whatever is read is walked in every way there is.
    #[test]
    fn a_damaged_description_is_harmless(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
        value in any_json(),
    ) {
        let description = protocols::ALL[which.index(protocols::ALL.len())].describe();
        let mut damaged = postcard::to_allocvec(&description).unwrap();
        for (place, byte) in changes {
            let place = place.index(damaged.len());
            damaged[place] = byte;
        }
        let read = libipc::schema::parse_description(&damaged);
        for method in read.iter().flat_map(|description| &description.methods) {
            let mut schemas = Schemas::at("/types");
            schemas.of_members(&method.parameters);
            let _ = encode_members(&method.parameters, &value, &mut ByPlace, LIMIT);
            for ty in [&method.result, &method.error] {
                schemas.of(ty);
                let _ = decode(ty, &bytes, &mut ByPlace);
            }
            schemas.into_table();
        }
    }
}
