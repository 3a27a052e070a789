//! The reviewed table: for each box, what is said of it, and where that is said.
//!
//! `5@1-4` is a chain of five routers with the box in one of the first four.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// What is said of each case.
pub(super) type Rows = BTreeMap<Key, String>;

/// A case: a box in a router of a chain, seen from a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Number of the box.
    pub(super) number: usize,
    pub(super) family: Family,
    /// Routers.
    pub(super) chain: u8,
    /// The one with the box, from 1.
    pub(super) router: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const ALL: [Self; 2] = [Self::V4, Self::V6];

    const fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// The table as text.
pub(super) fn text(rows: &Rows, boxes: &[&str]) -> String {
    let mut table: BTreeMap<usize, BTreeMap<String, Vec<(u8, u8)>>> = BTreeMap::new();
    for (key, text) in rows {
        let texts = table.entry(key.number).or_default();
        let text = format!("{} {text}", key.family.name());
        let places = texts.entry(text).or_default();
        places.push((key.chain, key.router));
    }
    let mut out = String::new();
    // Writing to a string cannot fail.
    for (number, texts) in table {
        let _ = writeln!(out, "{}", boxes[number]);
        for (text, places) in texts {
            let _ = writeln!(out, "  {text}  {}", ranges(&places));
        }
    }
    out
}

fn ranges(places: &[(u8, u8)]) -> String {
    let mut ranges: Vec<(u8, u8, u8)> = Vec::new();
    for &(chain, router) in places {
        match ranges.last_mut() {
            Some((known, _, last)) if *known == chain && *last + 1 == router => *last = router,
            _ => ranges.push((chain, router, router)),
        }
    }
    let texts = ranges.iter().map(|(chain, first, last)| {
        if first == last {
            format!("{chain}@{first}")
        } else {
            format!("{chain}@{first}-{last}")
        }
    });
    texts.collect::<Vec<_>>().join(" ")
}

/// The table that was reviewed; nothing if there is none yet.
pub(super) fn reviewed(boxes: &[&str]) -> Rows {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("it/lab/tracebox/snapshots/it__lab__tracebox__boxes__boxes.snap");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    // What is known of the snapshot itself ends with the second line of dashes.
    parse(text.splitn(3, "---\n").last().unwrap_or_default(), boxes)
}

fn parse(text: &str, boxes: &[&str]) -> Rows {
    let mut rows = Rows::new();
    let mut number = None;
    for line in text.lines() {
        let Some(row) = line.strip_prefix("  ") else {
            number = boxes.iter().position(|spec| *spec == line);
            continue;
        };
        let (text, places) = row.rsplit_once("  ").unwrap();
        for family in Family::ALL {
            let prefix = format!("{} ", family.name());
            if let (Some(number), Some(text)) = (number, text.strip_prefix(&prefix)) {
                for (chain, router) in places.split(' ').flat_map(expanded) {
                    let key = Key {
                        number,
                        family,
                        chain,
                        router,
                    };
                    rows.insert(key, text.to_owned());
                }
            }
        }
    }
    rows
}

fn expanded(range: &str) -> impl Iterator<Item = (u8, u8)> {
    let (chain, routers) = range.split_once('@').unwrap();
    let (first, last) = routers.split_once('-').unwrap_or((routers, routers));
    let [chain, first, last] = [chain, first, last].map(|text| text.parse::<u8>().unwrap());
    (first..=last).map(move |router| (chain, router))
}

#[test]
fn the_table_can_be_read_again() {
    let boxes = ["split", "hole"];
    let rows: Rows = [
        (0, Family::V4, 3, 1, "mptcp_ok"),
        (0, Family::V4, 3, 2, "mptcp_ok"),
        (0, Family::V4, 10, 9, "mptcp_ok"),
        (
            0,
            Family::V6,
            10,
            9,
            "path_resegments [r..r+1]; length larger",
        ),
        (1, Family::V6, 3, 1, "mptcp_ok; blocks holes"),
    ]
    .map(|(number, family, chain, router, text)| {
        let key = Key {
            number,
            family,
            chain,
            router,
        };
        (key, text.to_owned())
    })
    .into();
    let text = text(&rows, &boxes);
    assert!(
        text.starts_with("split\n  IPv4 mptcp_ok  3@1-2 10@9\n"),
        "{text}"
    );
    assert_eq!(parse(&text, &boxes), rows);
}
