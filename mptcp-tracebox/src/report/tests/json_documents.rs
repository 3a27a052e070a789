//! Documents and events against their schema and its page.

use boon::{Compiler, Schemas};
use serde_json::Value;

use super::sample::{self, Sample};
use crate::engine::Event;
use crate::evidence::SentId;
use crate::report::json;
use crate::run::{End, Extent, KernelMptcp, Tier};

fn document(sample: &Sample) -> Value {
    let mut out = Vec::new();
    let (trace, names) = (sample.trace(), sample::names());
    json::write(
        &mut out,
        &sample.run,
        &trace,
        (&sample.evidence, sample.extent),
        &names,
    )
    .unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn the_document_has_the_names_of_the_schema() {
    let document = document(&sample::clean());
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
}

#[test]
fn a_run_without_raw_sockets_tells_what_the_kernel_got() {
    let mut sample = sample::clean();
    assert!(document(&sample).get("kernel_mptcp").is_none());
    sample.run.tier = Tier::Kernel;
    for outcome in KernelMptcp::ALL {
        sample.run.kernel_mptcp = Some(outcome);
        let document = document(&sample);
        assert_eq!(errors(&document), None);
        assert_eq!(document["kernel_mptcp"]["outcome"], outcome.name());
    }
}

#[test]
fn a_run_that_ended_early_says_so_beside_its_verdict() {
    let mut sample = sample::clean();
    assert!(document(&sample).get("ended").is_none());
    for end in [End::Complete, End::Interrupted, End::Broken] {
        sample.extent = Some(Extent {
            end,
            foreign_resets: 7,
        });
        let document = document(&sample);
        assert_eq!(errors(&document), None);
        assert_eq!(document["ended"], end.name());
        assert_eq!(document["foreign_resets"], 7);
    }
}

#[test]
fn a_change_has_its_bytes_and_its_interval() {
    let document = document(&sample::stripped());
    assert_eq!(document["verdict"]["code"], "path_strips_syn");
    assert_eq!(document["verdict"]["between"]["after"], 0);
    let changes = &document["flows"][0]["changes"];
    insta::assert_snapshot!(serde_json::to_string_pretty(changes).unwrap());
}

/// The schema of `docs/json`; it allows no field that it does not name.
fn schema() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/json/mptcp-tracebox-1.schema.json"
    );
    let mut schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    close(&mut schema);
    schema
}

/// Later versions of the schema may have more fields, but this one has all that there are.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("properties").is_some() {
                map.insert("additionalProperties".to_owned(), false.into());
            }
            map.values_mut().for_each(close);
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}

/// What is wrong with a document.
pub(super) fn errors(document: &Value) -> Option<String> {
    let mut compiler = Compiler::new();
    compiler.add_resource("schema.json", schema()).unwrap();
    let mut schemas = Schemas::new();
    let index = compiler.compile("schema.json", &mut schemas).unwrap();
    let result = schemas.validate(document, index);
    result.err().map(|error| error.to_string())
}

#[test]
fn documents_and_events_keep_to_the_schema() {
    for sample in [sample::clean(), sample::stripped(), sample::silent()] {
        assert_eq!(errors(&document(&sample)), None);
        let mut out = Vec::new();
        for (number, sent) in sample.evidence.all().iter().enumerate() {
            let id = SentId(number);
            let event = if sent.answers.is_empty() {
                Event::Silent(id)
            } else {
                Event::Answered(id)
            };
            json::write_event(&mut out, &sample.evidence, event).unwrap();
        }
        json::write_event(&mut out, &sample.evidence, Event::FlowDone(0)).unwrap();
        let (trace, names) = (sample.trace(), sample::names());
        json::write_result(
            &mut out,
            &sample.run,
            &trace,
            (&sample.evidence, sample.extent),
            &names,
        )
        .unwrap();
        let lines = String::from_utf8(out).unwrap();
        assert_eq!(lines.lines().count(), sample.evidence.all().len() + 2);
        for line in lines.lines() {
            assert_eq!(errors(&serde_json::from_str(line).unwrap()), None, "{line}");
        }
    }
}

#[test]
fn the_schema_refuses_what_it_does_not_name() {
    let mut document = document(&sample::clean());
    document["verdict"]["code"] = "great".into();
    assert!(errors(&document).is_some());
    let mut document = self::document(&sample::clean());
    document["verdict"]["more"] = 1.into();
    assert!(errors(&document).is_some());
}

#[test]
fn each_name_of_the_schema_is_explained_on_its_page() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/json/mptcp-tracebox-1.md"
    );
    let page = std::fs::read_to_string(path).unwrap();
    let mut names = Vec::new();
    collect(&schema(), &mut names);
    assert!(names.len() > 50);
    for name in names {
        assert!(page.contains(&format!("`{name}")), "{name}");
    }
}

/// Names of fields, and words that a field can have.
fn collect(schema: &Value, names: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::Object(fields)) = map.get("properties") {
                names.extend(fields.keys().cloned());
            }
            if let Some(Value::Array(words)) = map.get("enum") {
                names.extend(words.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            map.values().for_each(|value| collect(value, names));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, names)),
        _ => {}
    }
}
