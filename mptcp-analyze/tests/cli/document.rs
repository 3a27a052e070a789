//! The JSON documents.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{TWO_SUBFLOWS, argument, stdout};

#[track_caller]
fn document(arguments: &[&str], code: i32) -> Value {
    let text = stdout(&[arguments, &["--json"]].concat(), code);
    let value: Value = serde_json::from_str(&text).expect("one JSON document");
    assert!(text.trim_start().starts_with("{\"schema\"") || text.starts_with("{\n  \"schema\""));
    assert_eq!(value["schema"], "mptcp-analyze/1");
    value
}

#[track_caller]
fn check_fields(value: &Value, names: &[&str]) {
    for name in names {
        assert!(value.get(name).is_some(), "{name} is missing in {value:#}");
    }
}

/// Fields of DESIGN's core, by the JSON pointer of the object that has them.
const CORE: [(&str, &str); 8] = [
    ("", "schema captures plain_tcp_streams connections"),
    (
        "/captures/0",
        "file packets link_types truncated_packets undecoded_packets complete",
    ),
    (
        "/connections/0",
        "id version grouping checksum tokens idsns state fallback subflows to_server to_client \
         addresses findings",
    ),
    (
        "/connections/0/to_server",
        "unique_bytes wire_bytes reinjected_bytes data_retransmitted_bytes mappings \
         mapping_options checksums data_fin goodput_bps",
    ),
    ("/connections/0/to_server/checksums", "ok bad unverifiable"),
    (
        "/connections/0/subflows/1",
        "id tcp_stream kind initiator client server client_address_id server_address_id backup \
         established hmac packets first_frame last_frame close to_server to_client",
    ),
    (
        "/connections/0/subflows/1/close",
        "kind by reset_reason frame",
    ),
    (
        "/connections/0/subflows/1/to_client",
        "wire_bytes unique_bytes tcp_retransmitted_bytes data_retransmitted_bytes \
         reinjected_bytes unmapped_bytes",
    ),
];

#[test]
fn list_and_show_have_all_fields_of_the_schema() {
    for command in ["list", "show"] {
        let document = document(&[command, &argument(TWO_SUBFLOWS)], 0);
        for (pointer, names) in CORE {
            let value = document.pointer(pointer).expect(pointer);
            check_fields(value, &names.split_whitespace().collect::<Vec<_>>());
        }
        let connection = &document["connections"][0];
        check_fields(&connection["subflows"][1]["hmac"], &["syn_ack", "ack"]);
        check_fields(&connection["tokens"], &["client", "server"]);
        let hashed = connection["to_server"].get("stream_sha256").is_some();
        assert_eq!(hashed, command == "show");
    }
}

#[test]
fn addresses_findings_and_fallbacks_have_all_fields_of_the_schema() {
    let announced = document(&["list", &argument("v1-add-addr.pcap")], 0);
    check_fields(
        &announced["connections"][0]["addresses"][0],
        &[
            "owner",
            "id",
            "address",
            "port",
            "hmac",
            "advertised_frame",
            "echo_frame",
            "removed_frame",
        ],
    );
    let fallen_back = document(&["list", &argument("v1-strip-mid-stream-client.pcap")], 0);
    let connection = &fallen_back["connections"][0];
    check_fields(
        &connection["fallback"],
        &["reason", "frame", "by", "confidence"],
    );
    check_fields(
        &connection["findings"][0],
        &["id", "severity", "frames", "text"],
    );
}

#[test]
fn keys_need_their_flag() {
    let file = argument(TWO_SUBFLOWS);
    for command in ["list", "show"] {
        let without = document(&[command, &file], 0);
        assert!(without["connections"][0].get("keys").is_none());
        let with = document(&[command, &file, "--show-keys"], 0);
        let key = with["connections"][0]["keys"]["client"]
            .as_str()
            .expect("a key");
        assert!(key.starts_with("0x") && key.len() == 18, "{key}");
    }
}

#[test]
fn check_says_where_a_finding_belongs() {
    let document = document(&["check", &argument("v1-strip-mid-stream-client.pcap")], 1);
    let finding = &document["findings"][0];
    check_fields(
        finding,
        &["connection", "id", "severity", "frames", "count", "text"],
    );
    assert_eq!(finding["connection"], 0);
}

#[test]
fn packets_is_one_document_with_every_packet() {
    let file = argument(TWO_SUBFLOWS);
    let list = document(&["list", &file], 0);
    let packets = document(&["packets", &file], 0);
    let packets = packets["packets"].as_array().unwrap();
    let subflows = list["connections"][0]["subflows"].as_array().unwrap();
    let counted: u64 = subflows
        .iter()
        .map(|s| s["packets"].as_u64().unwrap())
        .sum();
    let originals = packets
        .iter()
        .filter(|packet| packet["duplicate"] == false)
        .count();
    assert_eq!(originals as u64, counted);
    assert_eq!(packets[0]["frame"], 1);
}

#[test]
fn packets_add_up_to_the_bytes_of_the_list() {
    let file = argument(TWO_SUBFLOWS);
    let list = document(&["list", &file], 0);
    let packets = document(&["packets", &file], 0);
    let packets = packets["packets"].as_array().unwrap();
    for direction in ["to_server", "to_client"] {
        let pieces = packets
            .iter()
            .filter(|packet| packet["direction"] == direction)
            .flat_map(|packet| packet["pieces"].as_array().unwrap());
        let sum = |class: &str| -> u64 {
            let of_class = pieces.clone().filter(|piece| piece["class"] == class);
            of_class.map(|piece| piece["len"].as_u64().unwrap()).sum()
        };
        let totals = &list["connections"][0][direction];
        assert_eq!(totals["unique_bytes"], sum("new"));
        assert_eq!(totals["reinjected_bytes"], sum("reinjection"));
        assert_eq!(
            totals["data_retransmitted_bytes"],
            sum("data_retransmission")
        );
    }
}

#[test]
fn a_filter_leaves_only_what_it_describes() {
    let file = argument(TWO_SUBFLOWS);
    let count = |filter: &str| {
        let document = document(&["list", &file, "--filter", filter], 0);
        document["connections"].as_array().unwrap().len()
    };
    assert_eq!(
        count("addr=10.1.0.0/16 port=5001 version=1 state=closed"),
        1
    );
    assert_eq!(count("addr=10.9.0.0/16"), 0);
    assert_eq!(count("port=5002"), 0);
    assert_eq!(count("version=0,unknown"), 0);
    assert_eq!(count("state=fallen_back"), 0);
    assert_eq!(count("finding=warn"), 0);
}

#[test]
fn explain_gives_the_text_of_a_finding() {
    let document = document(&["explain", "MPT001"], 0);
    check_fields(
        &document["explanations"][0],
        &["id", "title", "severity", "rfc", "text"],
    );
}

/// All field names of a document, but for those that name options.
fn field_names(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                names.insert(name.clone());
                if name != "by_subtype" {
                    field_names(value, names);
                }
            }
        }
        Value::Array(elements) => elements
            .iter()
            .for_each(|element| field_names(element, names)),
        _ => {}
    }
}

#[test]
fn the_schema_describes_every_field() {
    let schema = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/json/mptcp-analyze-1.md"
    ));
    let mut names = BTreeSet::new();
    let captures = [TWO_SUBFLOWS, "v1-add-addr.pcap", "v1-backup-prio.pcapng"].map(argument);
    for capture in &captures {
        for arguments in [
            vec!["show", capture, "--show-keys"],
            vec!["packets", capture],
        ] {
            field_names(&document(&arguments, 0), &mut names);
        }
    }
    field_names(
        &document(&["check", &argument("v1-strip-mid-stream-client.pcap")], 1),
        &mut names,
    );
    field_names(
        &document(&["list", &argument("v1-strip-mid-stream-client.pcap")], 0),
        &mut names,
    );
    field_names(&document(&["explain"], 0), &mut names);
    let follow = ["follow", &captures[0], "--conn", "0", "--to", "server"];
    field_names(&document(&follow, 0), &mut names);
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.pcapng");
    let out = out.to_str().unwrap();
    let extract = ["extract", &captures[0], "--conn", "0", "-o", out];
    field_names(&document(&extract, 0), &mut names);
    let described = |name: &&String| {
        schema.contains(&format!("`{name}`")) || schema.contains(&format!("`{name}[]`"))
    };
    let missing: Vec<&String> = names
        .iter()
        .filter(|name| !described(name) && !name.ends_with("_why"))
        .collect();
    assert_eq!(missing, Vec::<&String>::new());
}
