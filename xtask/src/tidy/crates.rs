//! Rules about the crates: dependencies run one way, the codec stays free of input and output,
//! features are few.

use super::{Complaint, File, Tree};

/// The crates of the workspace and which of its crates each may depend on. Development
/// dependencies are free: tests may look at everything.
const GRAPH: &[(&str, &[&str])] = &[
    ("mptcp-proto", &[]),
    ("mptcp-cli", &[]),
    ("mptcp-analyze", &["mptcp-cli", "mptcp-proto"]),
    ("mptcp-tracebox", &["mptcp-cli", "mptcp-proto"]),
    (
        "mptcp-probe",
        &["mptcp-cli", "mptcp-proto", "mptcp-tracebox"],
    ),
    ("mptcp-tests", &["mptcp-proto"]),
    ("mptcp-fuzz", &["mptcp-analyze", "mptcp-proto"]),
    ("xtask", &["mptcp-proto", "mptcp-tests"]),
];

/// All that `mptcp-proto` may use: nothing that opens, spawns, or reads a clock.
const PROTO_USES: [&str; 6] = ["etherparse", "hmac", "sha1", "sha2", "thiserror", "tracing"];

/// The only cargo features, and the crate that may have them.
const FEATURES: (&str, [&str; 2]) = ("mptcp-analyze", ["live", "parquet"]);

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let is_member = |file: &&File| file.path.matches('/').count() == 1;
    tree.ending("/Cargo.toml")
        .filter(is_member)
        .flat_map(check_manifest)
        .collect()
}

fn check_manifest(file: &File) -> Vec<Complaint> {
    let manifest: toml::Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![file.complain(format!("not readable: {error}"))],
    };
    let name = manifest
        .get("package")
        .and_then(|p| p.get("name"))
        .and_then(|n| n.as_str());
    let Some((name, allowed)) = GRAPH.iter().find(|(known, _)| Some(*known) == name) else {
        return vec![file.complain("a crate that xtask/src/tidy/crates.rs does not know")];
    };
    let mut complaints = Vec::new();
    for dependency in keys(&manifest, "dependencies") {
        if GRAPH.iter().any(|(own, _)| *own == dependency) {
            if !allowed.contains(&dependency) {
                complaints.push(file.complain(format!("{name} must not depend on {dependency}")));
            }
        } else if *name == "mptcp-proto" && !PROTO_USES.contains(&dependency) {
            complaints.push(file.complain(format!("mptcp-proto must do without {dependency}")));
        }
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let inherits = |dependency: &str| {
            let value = manifest.get(section)?.get(dependency)?;
            value.get("workspace")?.as_bool()
        };
        for dependency in keys(&manifest, section).filter(|name| inherits(name) != Some(true)) {
            let text = format!("{dependency} must take its version from the workspace");
            complaints.push(file.complain(text));
        }
    }
    for feature in keys(&manifest, "features") {
        if *name != FEATURES.0 || !FEATURES.1.contains(&feature) {
            complaints
                .push(file.complain(format!("feature `{feature}` is not one of the agreed two")));
        }
    }
    complaints
}

fn keys<'a>(manifest: &'a toml::Table, section: &str) -> impl Iterator<Item = &'a str> {
    let table = manifest.get(section).and_then(|section| section.as_table());
    table
        .into_iter()
        .flat_map(|table| table.keys().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::super::kit::{check_complains, tree};
    use super::*;

    fn check_one(package: &str, rest: &str) -> Vec<Complaint> {
        let text = format!("[package]\nname = \"{package}\"\n{rest}");
        check(&tree(&[("x/Cargo.toml", &text)]))
    }

    #[test]
    fn dependencies_run_one_way() {
        let probe = "[dependencies]\nmptcp-probe.workspace = true\n";
        check_complains(
            &check_one("mptcp-tracebox", probe),
            "must not depend on mptcp-probe",
        );
        let proto = "[dependencies]\nmptcp-proto.workspace = true\n";
        assert_eq!(check_one("mptcp-tracebox", proto), []);
    }

    #[test]
    fn the_codec_does_without_serde() {
        let serde = "[dependencies]\nserde.workspace = true\n";
        check_complains(&check_one("mptcp-proto", serde), "must do without serde");
        let for_tests = "[dev-dependencies]\nserde.workspace = true\n";
        assert_eq!(check_one("mptcp-proto", for_tests), []);
    }

    #[test]
    fn versions_stand_in_the_workspace_only() {
        let own = "[dev-dependencies]\ninsta = \"1\"\n";
        check_complains(&check_one("mptcp-cli", own), "from the workspace");
    }

    #[test]
    fn other_features_are_refused() {
        check_complains(
            &check_one("mptcp-analyze", "[features]\nfast = []\n"),
            "`fast`",
        );
        check_complains(&check_one("mptcp-cli", "[features]\nlive = []\n"), "`live`");
        assert_eq!(check_one("mptcp-analyze", "[features]\nlive = []\n"), []);
    }

    #[test]
    fn an_unknown_crate_is_refused() {
        check_complains(&check_one("mptcp-util", ""), "does not know");
    }
}
