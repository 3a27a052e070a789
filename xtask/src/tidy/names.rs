//! Rules about which files may exist.

use super::{Complaint, Tree};

/// Module names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 5] = ["util", "utils", "common", "helpers", "misc"];

pub(super) fn check(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in tree.ending(".snap.new").chain(tree.ending(".pending-snap")) {
        complaints.push(file.complain("a snapshot nobody has accepted"));
    }
    for file in tree.ending(".rs") {
        if file
            .path
            .split('/')
            .any(|part| EMPTY_NAMES.contains(&part.trim_end_matches(".rs")))
        {
            complaints.push(file.complain("a module name must say what is inside"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::super::kit::{check_complains, tree};
    use super::*;

    #[test]
    fn pending_snapshots_are_refused() {
        check_complains(
            &check(&tree(&[("a/b.snap.new", ""), ("a/b.snap", "")])),
            "b.snap.new",
        );
    }

    #[test]
    fn a_module_called_util_is_refused() {
        check_complains(
            &check(&tree(&[("a/src/util.rs", ""), ("a/src/utility.rs", "")])),
            "util.rs",
        );
        check_complains(&check(&tree(&[("a/src/helpers/x.rs", "")])), "helpers");
    }
}
