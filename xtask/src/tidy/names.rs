//! Rules about which files may exist, and in what state.

use super::{Complaint, File, Tree};

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
    complaints.extend(tree.files.iter().filter_map(check_merge));
    complaints
}

/// A merge that nobody finished: only its beginning and its end are never part of a text.
fn check_merge(file: &File) -> Option<Complaint> {
    let is_mark = |line: &str| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ");
    let (number, _) = (1..)
        .zip(file.text.lines())
        .find(|(_, line)| is_mark(line))?;
    Some(file.complain_at(number, "a mark of a merge that is not finished"))
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
    fn an_unfinished_merge_is_refused() {
        let text = "one\n<<<<<<< HEAD\ntwo\n=======\nthree\n>>>>>>> other\n";
        check_complains(&check(&tree(&[("README.md", text)])), "README.md:2");
        assert_eq!(check(&tree(&[("a.md", "Title\n=======\n")])), []);
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
