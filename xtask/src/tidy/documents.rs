//! Rules about the documents: what they say about the code must be so.

use super::{Complaint, File, Tree};

/// A longer README is not read.
const MAX_README_LINES: usize = 120;

/// What a stranger looks for first.
const REQUIRED: [&str; 7] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/decisions.md",
    "docs/rfc-coverage.md",
    ".ci/run",
];

/// The shell part of the README's commands, which refuses a Rust that is too old.
const SCRIPT: &str = ".ci/system";

const COVERAGE: &str = "docs/rfc-coverage.md";
const REQUIREMENTS: &str = "docs/requirements.txt";
const DECISIONS: &str = "docs/decisions.md";

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let Some(workspace) = tree.get("Cargo.toml") else {
        return complaints;
    };
    let manifest: toml::Table = match workspace.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![workspace.complain(format!("not readable: {error}"))],
    };
    if let Some(readme) = tree.get("README.md") {
        complaints.extend(check_readme(readme, &manifest));
    }
    if let Some(script) = tree.get(SCRIPT) {
        complaints.extend(check_script(script, &manifest));
    }
    let missing = REQUIRED.iter().filter(|path| tree.get(path).is_none());
    complaints.extend(missing.map(|path| workspace.complain(format!("{path} is missing"))));
    complaints.extend(check_links(tree));
    if let Some(coverage) = tree.get(COVERAGE) {
        complaints.extend(check_coverage(coverage, tree));
        complaints.extend(check_files(coverage, tree));
        if let Some(list) = tree.get(REQUIREMENTS) {
            complaints.extend(check_requirements(coverage, list));
        }
    }
    if let Some(decisions) = tree.get(DECISIONS) {
        complaints.extend(check_dependencies(decisions, &manifest));
    }
    complaints
}

/// README states the version and the oldest Rust that the manifest states, in these words.
fn check_readme(readme: &File, manifest: &toml::Table) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let lines = readme.text.lines().count();
    if lines > MAX_README_LINES {
        complaints.push(readme.complain(format!("{lines} lines, {MAX_README_LINES} at most")));
    }
    let package = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("package"));
    for (key, words) in [("version", "Version "), ("rust-version", "Rust ")] {
        let value = package
            .and_then(|package| package.get(key))
            .and_then(|value| value.as_str());
        let stated = format!("{words}{}", value.unwrap_or_default());
        if !readme.text.contains(&stated) {
            complaints.push(readme.complain(format!("must say `{stated}`, as Cargo.toml does")));
        }
    }
    complaints
}

fn check_script(script: &File, manifest: &toml::Table) -> Option<Complaint> {
    let stated = format!("MSRV={}", package_value(manifest, "rust-version"));
    let says_so = script.text.lines().any(|line| line == stated);
    (!says_so).then(|| script.complain(format!("must say `{stated}`, as Cargo.toml does")))
}

/// A value of the manifest's `[workspace.package]`.
fn package_value<'a>(manifest: &'a toml::Table, key: &str) -> &'a str {
    let package = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("package"));
    package
        .and_then(|package| package.get(key))
        .and_then(|value| value.as_str())
        .unwrap_or_default()
}

/// Links to files of the repository lead somewhere.
fn check_links(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in tree.ending(".md") {
        let directory = file
            .path
            .rsplit_once('/')
            .map_or("", |(directory, _)| directory);
        for (number, line) in (1..).zip(file.text.lines()) {
            for target in line
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split_once(')'))
            {
                let path = target.0.split('#').next().unwrap_or_default();
                if path.is_empty() || path.contains("://") {
                    continue;
                }
                let path = resolve(directory, path);
                let directory = format!("{path}/");
                let known = |file: &File| file.path == path || file.path.starts_with(&directory);
                if !tree.files.iter().any(known) {
                    complaints.push(file.complain_at(number, format!("no such file: {path}")));
                }
            }
        }
    }
    complaints
}

/// `path` as seen from `directory`, without `.` and `..`.
fn resolve(directory: &str, path: &str) -> String {
    let mut parts: Vec<&str> = directory
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The last column of the coverage table names tests, or files of tests, in backticks; each must
/// exist.
fn check_coverage(coverage: &File, tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let is_row = |line: &str| line.starts_with('|') && !line.contains("---");
    let rows = (1..)
        .zip(coverage.text.lines())
        .filter(|(_, line)| is_row(line));
    for (number, row) in rows {
        let column = row
            .trim_end_matches(['|', ' '])
            .rsplit('|')
            .next()
            .unwrap_or_default();
        for name in column.split('`').skip(1).step_by(2) {
            let function = format!("fn {}(", name.rsplit("::").next().unwrap_or(name));
            let is_there = |file: &File| {
                file.text.contains(&function) || file.path.ends_with(&format!("/{name}"))
            };
            if !tree.ending(".rs").any(is_there) {
                complaints
                    .push(coverage.complain_at(number, format!("no test is called `{name}`")));
            }
        }
    }
    complaints
}

/// The column before the tests names files, or folders of them, in backticks; each must exist.
fn check_files(coverage: &File, tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (number, row) in (1..).zip(coverage.text.lines()) {
        let cells: Vec<&str> = row.trim().trim_end_matches('|').split('|').collect();
        let [.., code, _] = cells.as_slice() else {
            continue;
        };
        for name in code.split('`').skip(1).step_by(2) {
            let stem = name.trim_end_matches(".rs");
            let stem = format!("/{}", stem.trim_end_matches('*'));
            if !tree.ending(".rs").any(|file| file.path.contains(&stem)) {
                complaints.push(coverage.complain_at(number, format!("no such file: `{name}`")));
            }
        }
    }
    complaints
}

/// Every requirement of the list has one line that begins with its id, with code and tests, and every line
/// with an id of that kind is in the list.
fn check_requirements(coverage: &File, list: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let ids = list.text.lines().filter_map(|line| line.split('\t').next());
    for (number, id) in (1..).zip(ids) {
        let begin = format!("| {id} | ");
        let mut rows = coverage.text.lines().filter(|row| row.starts_with(&begin));
        let named = rows.next().map_or(0, |row| row.matches('`').count());
        if named < 4 || rows.next().is_some() {
            let text = format!("`{id}` needs one line with code and test in {COVERAGE}");
            complaints.push(list.complain_at(number, text));
        }
    }
    complaints
}

/// Each dependency from outside has its reason.
fn check_dependencies(decisions: &File, manifest: &toml::Table) -> Vec<Complaint> {
    let dependencies = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
        .and_then(|dependencies| dependencies.as_table());
    let foreign = dependencies
        .into_iter()
        .flatten()
        .filter(|(_, value)| value.get("path").is_none())
        .filter(|(name, _)| !decisions.text.contains(&format!("`{name}`")));
    foreign
        .map(|(name, _)| decisions.complain(format!("no reason given for `{name}`")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::kit::{check_complains, tree};
    use super::*;

    const MANIFEST: &str = "[workspace.package]\nversion = \"0.1.0\"\nrust-version = \"1.88\"\n\
                            [workspace.dependencies]\nclap = \"4\"\nown = { path = \"own\" }\n";
    const README: &str = "Version 0.1.0, Rust 1.88 or newer.\n";

    /// A tree in which nothing is wrong but for the file `path`.
    fn check_with(path: &str, text: &str) -> Vec<Complaint> {
        let mut files = vec![("Cargo.toml", MANIFEST), ("src/a.rs", "fn it_works() {}")];
        files.extend(REQUIRED.map(|required| match required {
            "README.md" => (required, README),
            DECISIONS => (required, "`clap`"),
            _ => (required, ""),
        }));
        files.retain(|(other, _)| *other != path);
        files.push((path, text));
        check(&tree(&files))
    }

    #[test]
    fn required_documents_must_exist() {
        let found = check(&tree(&[("Cargo.toml", MANIFEST)]));
        assert_eq!(found.len(), REQUIRED.len(), "{found:?}");
    }

    #[test]
    fn the_script_refuses_the_same_rust_as_the_manifest() {
        assert_eq!(check_with(SCRIPT, "MSRV=1.88\n"), []);
        check_complains(&check_with(SCRIPT, "MSRV=1.87\n"), "`MSRV=1.88`");
    }

    #[test]
    fn readme_must_state_the_versions_of_the_manifest() {
        assert_eq!(check_with("README.md", README), []);
        check_complains(
            &check_with("README.md", "Version 0.1.0, Rust 1.87."),
            "`Rust 1.88`",
        );
        check_complains(
            &check_with("README.md", "Version 0.2.0, Rust 1.88."),
            "`Version 0.1.0`",
        );
    }

    #[test]
    fn a_long_readme_is_refused() {
        let text = format!("{README}{}", "x\n".repeat(MAX_README_LINES));
        check_complains(&check_with("README.md", &text), "121 lines");
    }

    #[test]
    fn links_lead_to_files_and_directories() {
        assert_eq!(
            check_with(
                "docs/x.md",
                "[a](../src/a.rs#x) [b](../src) [c](https://x.org)"
            ),
            []
        );
        check_complains(
            &check_with("docs/x.md", "\n[a](src/a.rs)"),
            "docs/x.md:2: no such file: docs/src/a.rs",
        );
    }

    #[test]
    fn coverage_names_tests_that_exist() {
        assert_eq!(
            check_with(COVERAGE, "| 3.1 | `a.rs` | `a::it_works` |\n"),
            []
        );
        check_complains(
            &check_with(COVERAGE, "| 3.1 | x | `it_broke` |\n"),
            "`it_broke`",
        );
    }

    #[test]
    fn coverage_names_files_that_exist() {
        let row = |file: &str| format!("| 3.1 | x | M | `{file}` | `it_works` |\n");
        assert_eq!(check_with(COVERAGE, &row("a.rs")), []);
        assert_eq!(check_with(COVERAGE, &row("*.rs")), []);
        check_complains(&check_with(COVERAGE, &row("b.rs")), "`b.rs`");
    }

    #[test]
    fn every_requirement_of_the_list_has_one_line() {
        let row = "| X1 | 3.1 | M | x | `a.rs` | `it_works` |\n";
        let check_list = |coverage: &str, list: &str| {
            let file = |path: &str, text: &str| tree(&[(path, text)]).files.remove(0);
            check_requirements(&file(COVERAGE, coverage), &file(REQUIREMENTS, list))
        };
        assert_eq!(check_list(row, "X1\t3.1\tM\n"), []);
        check_complains(&check_list(row, "X1\t3.1\tM\nX2\t3.1\tM\n"), "`X2`");
        check_complains(&check_list(&row.repeat(2), "X1\n"), "`X1`");
        check_complains(&check_list("| X1 | 3.1 | M | x | | |\n", "X1\n"), "`X1`");
    }

    #[test]
    fn every_foreign_dependency_has_its_reason() {
        assert_eq!(check_with(DECISIONS, "| `clap` | flags |"), []);
        check_complains(&check_with(DECISIONS, ""), "no reason given for `clap`");
    }
}
