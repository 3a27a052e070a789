//! What the analyzer has to say about a connection or a file.

/// Something worth a person's attention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable id, for example `MPT012`; `mptcp-analyze explain MPT012` tells more.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Frames that show it, ascending, at most [`Finding::MAX_FRAMES`].
    pub frames: Vec<u64>,
    /// How often it was seen, which may be more than `frames` holds.
    pub count: u64,
    /// One sentence for a person, without full stop.
    pub text: String,
}

impl Finding {
    /// Most frames that a finding lists; `count` has the full number.
    pub const MAX_FRAMES: usize = 20;
}

/// How bad a finding is. A clean capture has none that is `Warn` or worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing, nothing is wrong.
    Note,
    /// Something did not work as it should.
    Warn,
    /// A rule of the protocol was broken, or data are damaged.
    Error,
}
