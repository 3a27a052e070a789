//! The rules of the house that a program can check. Each rule looks at the files as text and
//! returns complaints; none of them needs a build.

mod crates;
mod documents;
mod names;
mod source;
mod testdata;

use std::fmt;
use std::path::Path;

use anyhow::{Context, bail};

use crate::say::say;

/// Every rule; the order is the order of the complaints.
const RULES: &[fn(&Tree) -> Vec<Complaint>] = &[
    names::check,
    source::check,
    crates::check,
    documents::check,
    testdata::check,
];

/// The files of the workspace, with paths relative to it.
pub(crate) struct Tree {
    files: Vec<File>,
}

/// One file; `text` is empty for what is not UTF-8.
pub(crate) struct File {
    path: String,
    bytes: Vec<u8>,
    text: String,
}

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    path: String,
    line: Option<usize>,
    text: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(out, "{}:{line}: {}", self.path, self.text),
            None => write!(out, "{}: {}", self.path, self.text),
        }
    }
}

impl Tree {
    fn read(root: &Path) -> anyhow::Result<Self> {
        let mut tree = Self { files: Vec::new() };
        tree.add(root, "")
            .with_context(|| format!("reading {}", root.display()))?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn add(&mut self, directory: &Path, prefix: &str) -> std::io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            if kind.is_dir() && name != ".git" && name != "target" {
                self.add(&entry.path(), &format!("{prefix}{name}/"))?;
            } else if kind.is_file() {
                self.push(&format!("{prefix}{name}"), std::fs::read(entry.path())?);
            }
        }
        Ok(())
    }

    fn push(&mut self, path: &str, bytes: Vec<u8>) {
        let text = std::str::from_utf8(&bytes).unwrap_or_default().to_owned();
        self.files.push(File {
            path: path.to_owned(),
            bytes,
            text,
        });
    }

    fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    fn ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = &'a File> {
        self.files
            .iter()
            .filter(move |file| file.path.ends_with(ending))
    }
}

impl File {
    fn complain(&self, text: impl Into<String>) -> Complaint {
        Complaint {
            path: self.path.clone(),
            line: None,
            text: text.into(),
        }
    }

    fn complain_at(&self, line: usize, text: impl Into<String>) -> Complaint {
        Complaint {
            path: self.path.clone(),
            line: Some(line),
            text: text.into(),
        }
    }
}

/// Checks all rules and fails when one is broken.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let tree = Tree::read(root)?;
    let complaints: Vec<Complaint> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    for complaint in &complaints {
        say(&complaint.to_string());
    }
    if !complaints.is_empty() {
        bail!("tidy: {} broken rules", complaints.len());
    }
    say(&format!(
        "tidy: {} files, nothing to complain about",
        tree.files.len()
    ));
    Ok(())
}

#[cfg(test)]
mod kit {
    use super::{Complaint, Tree};

    /// A tree of files for a test.
    pub(super) fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree { files: Vec::new() };
        for (path, text) in files {
            tree.push(path, text.as_bytes().to_vec());
        }
        tree
    }

    /// The rule must complain once, and its complaint must contain `expected`.
    #[track_caller]
    pub(super) fn check_complains(found: &[Complaint], expected: &str) {
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].to_string().contains(expected), "{found:?}");
    }
}
