//! Documents against what `serde_json` makes of the same values.

use serde_json::{Value, json};

use super::*;

#[derive(Serialize)]
struct Head {
    packets: u64,
}

#[test]
fn the_schema_comes_first() {
    let mut out = Vec::new();
    write_document(&mut out, "x/1", Head { packets: 3 }).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "{\n  \"schema\": \"x/1\",\n  \"packets\": 3\n}\n"
    );
}

#[test]
fn every_element_of_an_array_has_its_line() {
    let body = json!({ "empty": [], "rows": [{ "a": [1, {}], "b": "x\n" }, { "a": [] }] });
    let mut out = Vec::new();
    write_document(&mut out, "x/1", &body).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(
        text,
        "{\n  \"schema\": \"x/1\",\n  \"empty\": [],\n  \"rows\": [\n    {\"a\": [1,{}],\"b\": \"x\\n\"},\n    \
         {\"a\": []}\n  ]\n}\n"
    );
}

#[test]
fn documents_hold_what_serde_json_holds() {
    let deep = (0..30).fold(
        json!({}),
        |inner, n| json!({ "n": n, "in": [inner, [], {}] }),
    );
    let long: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    for body in [deep, json!({ "long": long, "text": "a\n\"b\"" })] {
        let mut out = Vec::new();
        write_document(&mut out, "x/1", &body).unwrap();
        let schema = "x/1";
        let found: Value = serde_json::from_slice(&out).unwrap();
        let expected = serde_json::to_value(Document { schema, body }).unwrap();
        assert_eq!(found, expected);
    }
}

/// A document with everything that the format distinguishes.
fn odd_values() -> Value {
    json!({
        "text": "a\n\"b\" \u{1}\\ \u{fc}",
        "numbers": [0, -1, u64::MAX, i64::MIN, 1.5, -0.0, 1e300],
        "words": [null, true, false],
        "quoted \"name\"": {},
    })
}

#[derive(Serialize)]
enum Variant {
    Unit,
    Newtype(u8),
    Tuple(u8, u8),
    Struct { a: u8, b: [u8; 0] },
}

#[test]
fn every_kind_of_value_is_what_serde_json_makes_of_it() {
    let variants = [
        Variant::Unit,
        Variant::Newtype(1),
        Variant::Tuple(1, 2),
        Variant::Struct { a: 1, b: [] },
    ];
    let mut out = Vec::new();
    let body = json!({ "values": odd_values(), "variants": variants, "char": 'x' });
    write_document(&mut out, "x/1", &body).unwrap();
    let found: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(found.get("values"), Some(&odd_values()));
    assert_eq!(found.get("variants"), body.get("variants"));
    let mut direct = Vec::new();
    variants
        .serialize(&mut Writer::new(&mut direct, 0))
        .unwrap();
    let direct: Value = serde_json::from_slice(&direct).unwrap();
    assert_eq!(Some(&direct), body.get("variants"));
}

#[test]
fn a_name_that_is_no_string_is_an_error() {
    let numbers = std::collections::BTreeMap::from([(1, 2)]);
    assert!(write_document(&mut Vec::new(), "x/1", numbers).is_err());
}

#[derive(Serialize)]
struct Body {
    packets: u64,
    rows: Vec<Value>,
    tail: [&'static str; 1],
}

#[test]
fn lines_are_the_document_as_a_whole() {
    for count in 0..4_u64 {
        let rows: Vec<Value> = (0..count).map(|n| json!({ "n": n, "in": [n] })).collect();
        let mut out = Vec::new();
        let mut lines = Lines::begin(&mut out, "x/1", Head { packets: 3 }).unwrap();
        let mut array = lines.begin_array("rows").unwrap();
        for pair in rows.chunks(2) {
            let mut elements = Elements::default();
            array.extend(&elements).unwrap();
            for row in pair {
                elements.push(row).unwrap();
            }
            array.extend(&elements).unwrap();
        }
        array.end();
        lines.field("tail", &["x"]).unwrap();
        lines.end().unwrap();
        let body = Body {
            packets: 3,
            rows,
            tail: ["x"],
        };
        let mut whole = Vec::new();
        write_document(&mut whole, "x/1", body).unwrap();
        assert_eq!(String::from_utf8(out), String::from_utf8(whole));
    }
}

#[test]
fn a_stream_of_any_length_is_one_document() {
    for count in 0..3_u64 {
        let mut out = Vec::new();
        let mut stream = Stream::begin(&mut out, "x/1", Head { packets: 3 }, "rows").unwrap();
        for n in 0..count {
            stream.element(&n).unwrap();
        }
        stream.end().unwrap();
        let value: Value = serde_json::from_slice(&out).unwrap();
        let rows: Vec<u64> = (0..count).collect();
        assert_eq!(
            value,
            json!({ "schema": "x/1", "packets": 3, "rows": rows })
        );
    }
}
