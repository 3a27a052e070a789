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

/// Tests of this crate that run, and the cases that stand at each.
fn tests() -> BTreeMap<String, Vec<usize>> {
    let mut files = Vec::new();
    for dir in ["src", "tests"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), &mut files);
    }
    let mut found = BTreeMap::new();
    for file in files {
        let (mut cases, mut is_test, mut is_ignored) = (Vec::new(), false, false);
        for line in fs::read_to_string(file).unwrap().lines().map(str::trim) {
            is_test |= line == "#[test]";
            is_ignored |= line.starts_with("#[") && line.contains("ignore");
            if let Some(numbers) = line.strip_prefix("/// Case ") {
                cases = numbers.split(", ").map(|n| n.parse().unwrap()).collect();
            } else if let Some((name, _)) = function(line) {
                let runs = std::mem::take(&mut is_test) & !std::mem::take(&mut is_ignored);
                let cases = std::mem::take(&mut cases);
                if runs {
                    found.insert(name.to_owned(), cases);
                } else {
                    assert!(cases.is_empty(), "{name} has a case and does not run");
                }
            }
        }
    }
    found
}

/// Name of the function that begins in this line, and the rest.
fn function(line: &str) -> Option<(&str, &str)> {
    let words = line.split_once("fn ")?;
    let is_item = words.0.is_empty() || words.0.starts_with("pub") || words.0 == "const ";
    is_item.then_some(words.1)?.split_once(['(', '<'])
}

#[test]
fn each_corner_case_has_a_line_with_tests_that_exist() {
    let (listed, tests) = (listed(), tests());
    let numbers: Vec<usize> = listed.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=CASES).collect::<Vec<_>>());
    for (number, names) in &listed {
        assert!(!names.is_empty(), "case {number} has no test");
        for name in names {
            assert!(
                tests.contains_key(name),
                "case {number} names {name}, which is no test that runs"
            );
        }
    }
}

#[test]
fn each_test_of_a_corner_case_stands_in_its_line() {
    let listed: BTreeMap<usize, Vec<String>> = listed().into_iter().collect();
    let mut count = 0;
    for (name, cases) in tests() {
        for case in cases {
            count += 1;
            assert!(listed[&case].contains(&name), "case {case} lacks {name}");
        }
    }
    assert!(count > CASES / 2);
}
