//! Where `follow` and `extract` put the bytes that they take out of a capture.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mptcp_cli::named::NamedWriter;
use mptcp_cli::{Output, UsageError};

/// The place that the user chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination<'a> {
    /// They are not wanted, only what can be said about them.
    Nowhere,
    /// Standard output, which is no terminal.
    Stdout,
    /// A file.
    File(&'a Path),
}

impl<'a> Destination<'a> {
    /// The place that `-o` names. Without it that is standard output, or nowhere when a JSON
    /// document goes there.
    pub(crate) fn choose(
        named: Option<&'a Path>,
        json: bool,
        inputs: &[PathBuf],
        out: &Output,
    ) -> Result<Self, UsageError> {
        let destination = match named {
            None if json => Destination::Nowhere,
            None => Destination::Stdout,
            Some(path) if path.as_os_str() == "-" => Destination::Stdout,
            Some(path) => Destination::File(path),
        };
        match destination {
            Destination::Stdout if json => Err(UsageError(BOTH.to_owned())),
            Destination::Stdout if out.is_terminal() => Err(UsageError(TERMINAL.to_owned())),
            Destination::File(path) if is_input(path, inputs) => {
                let text = format!("{} is an input; choose another output", path.display());
                Err(UsageError(text))
            }
            allowed => Ok(allowed),
        }
    }

    /// A writer to that place.
    pub(crate) fn open<'o>(self, out: &'o mut Output) -> anyhow::Result<Box<dyn Write + 'o>> {
        match self {
            Destination::Nowhere => Ok(Box::new(io::sink())),
            Destination::Stdout => Ok(Box::new(out.bytes())),
            Destination::File(path) => {
                let name = path.display().to_string();
                let file = File::create(path).with_context(|| format!("creating {name}"))?;
                Ok(Box::new(BufWriter::new(NamedWriter::new(name, file))))
            }
        }
    }

    /// Name of the file, if it is one.
    pub(crate) fn file_name(self) -> Option<String> {
        match self {
            Destination::File(path) => Some(path.display().to_string()),
            Destination::Nowhere | Destination::Stdout => None,
        }
    }
}

/// Writing to a file that is still to be read would destroy it.
fn is_input(path: &Path, inputs: &[PathBuf]) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    real(path).is_some_and(|path| {
        inputs
            .iter()
            .any(|input| real(input).as_ref() == Some(&path))
    })
}

const BOTH: &str = "the JSON document goes to standard output already; name a file with -o";
const TERMINAL: &str = "these bytes could command the terminal; send them to a file with \
                        `-o FILE` or `> FILE`, or to a program, for example `| cat -v`";
