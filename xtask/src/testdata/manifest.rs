//! `testdata/MANIFEST.toml`: what each capture is and what must be seen in it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use mptcp_tests::lab::oracle::monitor::Subflow;
use mptcp_tests::lab::oracle::stream::Stream;
use serde::{Deserialize, Serialize};

const HEAD: &str = "\
# Made by `cargo xtask testdata`: kernel MPTCP between namespaces (mptcp-tests::lab). The expected values
# come from the kernel (`ip mptcp monitor`, `ss -Mni`, `nstat`) and from the applications, not from any
# reading of the captures. tokens, idsns: absent where the kernel had none. subflows: those that the
# client's kernel reported as established. A capture's fallback: what is missing at its place. A stream's sha256 covers what an application wrote or read.

";

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Manifest {
    #[serde(default)]
    pub(crate) scenario: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) shows: String,
    pub(crate) command: String,
    pub(crate) kernel: String,
    pub(crate) tools: Vec<String>,
    /// What was done, as `node: shell text` or `application: command`.
    pub(crate) script: Vec<String>,
    pub(crate) expected: Expected,
    pub(crate) capture: Vec<Capture>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// Nothing in it deserves a warning.
    pub(crate) clean: bool,
    /// Both streams arrived whole.
    pub(crate) complete: bool,
    pub(crate) checksum: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tokens: Option<Pair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idsns: Option<Pair>,
    pub(crate) subflows: Vec<Subflow>,
    pub(crate) to_server: Stream,
    pub(crate) to_client: Stream,
    pub(crate) counters_client: BTreeMap<String, u64>,
    pub(crate) counters_server: BTreeMap<String, u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pair {
    pub(crate) client: String,
    pub(crate) server: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Capture {
    /// Relative to `testdata/`.
    pub(crate) file: String,
    pub(crate) sha256: String,
    pub(crate) bytes: u64,
    /// The packets that the capturing program counted.
    pub(crate) packets: u64,
    /// `client`, `router` or `server`.
    pub(crate) side: String,
    pub(crate) command: String,
    /// The reason of the fallback as it shows in this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fallback: Option<String>,
    /// Why it is larger than 200 KiB, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) large_because: Option<String>,
}

/// The manifest, empty when there is none yet.
pub(crate) fn read(path: &Path) -> anyhow::Result<Manifest> {
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).with_context(|| format!("reading {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Manifest::default()),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

pub(crate) fn write(path: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    let text = format!("{HEAD}{}", toml::to_string(manifest)?);
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
