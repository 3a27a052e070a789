//! Every corner case has its line and every line its tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// How many corner cases there are.
const CASES: usize = 78;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The tests that each line of the table names.
fn listed() -> Vec<(usize, Vec<String>)> {
    let table = fs::read_to_string(root().join("docs/corner-cases.md")).unwrap();
    let lines = table.lines().filter(|line| line.starts_with("| "));
    lines
        .filter_map(|line| {
            let cells: Vec<&str> = line.split(" | ").collect();
            let number = cells[0].trim_start_matches("| ").trim().parse().ok()?;
            let names = cells[3].split('`').skip(1).step_by(2);
            Some((number, names.map(str::to_owned).collect()))
        })
        .collect()
}

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push(path);
        }
    }
}

/// Functions of this crate and its tests, and the case that stands at each.
fn functions() -> BTreeMap<String, Vec<usize>> {
    let mut files = Vec::new();
    for dir in ["src", "tests"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), &mut files);
    }
    let mut found = BTreeMap::new();
    for file in files {
        let mut cases = Vec::new();
        for line in fs::read_to_string(file).unwrap().lines().map(str::trim) {
            if let Some(numbers) = line.strip_prefix("/// Case ") {
                cases = numbers.split(", ").map(|n| n.parse().unwrap()).collect();
            } else if let Some((name, _)) = line
                .strip_prefix("fn ")
                .and_then(|rest| rest.split_once('('))
            {
                found.insert(name.to_owned(), std::mem::take(&mut cases));
            }
        }
    }
    found
}

#[test]
fn each_corner_case_has_a_line_with_tests_that_exist() {
    let (listed, functions) = (listed(), functions());
    let numbers: Vec<usize> = listed.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=CASES).collect::<Vec<_>>());
    for (number, names) in &listed {
        assert!(!names.is_empty(), "case {number} has no test");
        for name in names {
            assert!(
                functions.contains_key(name),
                "case {number} names {name}, which is no test"
            );
        }
    }
}

#[test]
fn each_test_of_a_corner_case_stands_in_its_line() {
    let listed: BTreeMap<usize, Vec<String>> = listed().into_iter().collect();
    let mut count = 0;
    for (name, cases) in functions() {
        for case in cases {
            count += 1;
            assert!(listed[&case].contains(&name), "case {case} lacks {name}");
        }
    }
    assert!(count > CASES / 2);
}
