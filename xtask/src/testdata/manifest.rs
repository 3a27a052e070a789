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
# reading of the captures.
#
# tokens: each as its own host's kernel knew it, absent where it had none. idsns: as the client's kernel
# knew both; idsns_at_server where the server's knew others, because something changed them on the way.
# subflows: those that the client's kernel reported as established; subflows_at_server where the server's
# reported others. A stream's sha256 covers what an application wrote or read. counters: of the whole
# run, or from the establishment of the connection on, if others came before it.
#
# Of a capture: fallback is what is missing at its place, findings what a reader must be warned of there.

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
    /// Both streams arrived whole and unchanged.
    pub(crate) complete: bool,
    /// Bytes in the SYN, which have no data sequence numbers (RFC 8684 appendix B).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) syn_bytes: u64,
    /// A host asked for checksums.
    pub(crate) checksum: bool,
    #[serde(default)]
    pub(crate) tokens: Sides,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idsns: Option<Sides>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) idsns_at_server: Option<Sides>,
    pub(crate) subflows: Vec<Subflow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subflows_at_server: Option<Vec<Subflow>>,
    pub(crate) to_server: Stream,
    pub(crate) to_client: Stream,
    pub(crate) counters_client: BTreeMap<String, u64>,
    pub(crate) counters_server: BTreeMap<String, u64>,
}

/// A value for each host.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sides {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<String>,
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
    /// It begins in the middle of the connection.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) late: bool,
    /// Connections with MPTCP that are found in it.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub(crate) connections: usize,
    /// The reason of the fallback as it shows in this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fallback: Option<String>,
    /// What the analyzer must warn of, and all that it may warn of.
    #[serde(default)]
    pub(crate) findings: Vec<String>,
    /// Of what the analyzer must tell without alarm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
    /// Why it is larger than 200 KiB, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) large_because: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde wants a function of a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde wants a function of a reference"
)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn one() -> usize {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde wants a function of a reference"
)]
fn is_one(value: &usize) -> bool {
    *value == 1
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
    // The old one stays whole until the new one is.
    let partial = path.with_extension("partial");
    let written = std::fs::write(&partial, text).and_then(|()| std::fs::rename(&partial, path));
    written.with_context(|| format!("writing {}", path.display()))
}
