//! Whether the analyzer names a box that acted.

use std::collections::BTreeSet;

use mptcp_proto::conn::{ConnectionEnd, FallbackReason};

use super::boxes::Case;
use super::run::{Data, Host, Outcome};
use super::{LOSSES, Row};

/// Why no finding can be expected, computed from the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// There is no box, or it forwarded every packet as it was.
    NothingTouched,
    /// MPTCP has met nothing that it could notice: all subflows lived to the end, and all data are whole.
    NoEffect,
    /// Data were changed, and without checksums nobody can know (RFC 8684 §3.3.1).
    NoChecksums,
    /// All mappings passed their checksums: what was changed were the data of the SYN, which have neither (appendix B).
    DataOfTheSyn,
    /// A join came so late, because its packets were lost, that all data had arrived by then.
    LateJoin,
    /// The third ACK of version 0 was lost, which alone shows both keys as the client has them.
    LostThirdAck,
    /// The box loses packets, as the link does: nobody can tell one loss from another.
    IndistinctLoss,
}

impl Outcome {
    fn silence(&self, case: Case, paths: usize, loss_percent: u32) -> Option<Silence> {
        let is_intact = self.hosts.iter().all(|host| {
            let is_up = host.up == paths && host.lost == 0;
            is_up && host.fallback.is_none() && host.end == Some(ConnectionEnd::Closed)
        });
        let is_late = self.hosts.iter().any(|host| host.late_joins > 0)
            && self.hosts.iter().all(Host::is_mptcp_to_the_end)
            && (self.received == [Data::Whole; 2] || !case.checksum);
        let has_other_key = self.hosts[1].fallback == Some(FallbackReason::KeyMismatch);
        if self.touched == 0 {
            Some(Silence::NothingTouched)
        } else if is_intact && self.received == [Data::Whole; 2] {
            Some(Silence::NoEffect)
        } else if is_intact && !case.checksum {
            Some(Silence::NoChecksums)
        } else if is_intact && self.is_early {
            Some(Silence::DataOfTheSyn)
        } else if (loss_percent > 0 || case.spec.starts_with("impair:down")) && is_late {
            Some(Silence::LateJoin)
        } else if loss_percent > 0 && has_other_key && case.spec.contains("field=key,on=synack") {
            Some(Silence::LostThirdAck)
        } else if loss_percent > 0
            && case.spec.starts_with("refuse:from=")
            && !case.spec.contains("how=")
        {
            Some(Silence::IndistinctLoss)
        } else {
            None
        }
    }
}

impl Outcome {
    /// What both ends found, where the box had an effect on MPTCP and none of that fits it.
    pub(super) fn unnamed(&self, case: Case, paths: usize, loss_percent: u32) -> Option<String> {
        if self.silence(case, paths, loss_percent).is_some() {
            return None;
        }
        let ends = [&self.seen.all, &self.seen_by_server.all];
        let found: BTreeSet<&str> = ends.into_iter().flatten().map(String::as_str).collect();
        let is_named = fitting(case.spec).iter().any(|(id, words)| {
            let mut found = found.iter();
            found.any(|text| text.starts_with(id) && text.contains(words))
        });
        (!is_named).then(|| Vec::from_iter(found).join("; "))
    }
}

impl Row {
    /// Runs in which the box had an effect on MPTCP, and no finding at either end fits it.
    pub(super) fn unnamed(&self) -> Vec<String> {
        let mut unnamed = Vec::new();
        for (column, outcomes) in &self.mptcp {
            for (outcome, loss) in outcomes.iter().flatten().zip(LOSSES) {
                let found = outcome.unnamed(self.case, column.paths, loss);
                unnamed.extend(found.map(|found| {
                    let (place, name) = (self.place, column.name());
                    format!("{found} found, {place:?} {name} # {}", outcome.scenario)
                }));
            }
        }
        unnamed
    }
}

/// An id, and words that the sentence has to have.
type Fitting = &'static [(&'static str, &'static str)];

/// Findings that fit what a box does: an id, and what the sentence has to say. Those that any lost subflow or
/// many repeated bytes bring along (MPT046, MPT060 without a word on interference) fit nothing.
fn fitting(spec: &str) -> Fitting {
    let name = spec.split(':').next().unwrap_or(spec);
    let has = |word: &str| spec.contains(word);
    match name {
        "strip" if has("option=mp_join") || has("on=third_ack") => &[
            ("MPT011", "NOPs in a row where an MPTCP option was"),
            ("MPT031", "answered without MP_JOIN"),
            ("MPT032", "no third ACK with MP_JOIN came before"),
            ("MPT010", "the third ACK has a run of NOPs"),
        ],
        "strip" => &[
            ("MPT010", "the path removed the option"),
            ("MPT010", "NOPs"),
            ("MPT010", "their mappings were lost or wrong"),
            ("MPT031", "answered without MP_JOIN"),
            ("MPT032", "no third ACK with MP_JOIN came before"),
            ("MPT044", "have no mapping"),
            ("MPT045", "have no DATA_ACK"),
            ("MPT060", "middlebox interference"),
        ],
        "rewrite" => fitting_rewrite(spec),
        "mirror" => &[("MPT012", "repeats the option")],
        "flip" | "payload" => &[("MPT040", "wrong DSS checksum")],
        "coalesce" => &[("MPT044", "have no mapping")],
        "proactive" => &[
            (
                "MPT010",
                "have no DSS from the first data on; something removed",
            ),
            ("MPT045", "have no DATA_ACK"),
            ("MPT060", "middlebox interference"),
        ],
        "refuse" if has("how=rst") => &[
            ("MPT010", "refuses the option"),
            ("MPT032", "refused: RST without MP_TCPRST"),
            ("MPT061", "with a TTL unlike its other packets"),
        ],
        "refuse" => &[
            ("MPT010", "stayed without answer"),
            ("MPT032", "and no SYN/ACK"),
            ("MPT032", "no third ACK with MP_JOIN came before"),
            ("MPT033", "stayed without answer"),
            ("MPT066", "nothing came through"),
        ],
        "impair" => &[("MPT066", "nothing came through")],
        _ => &[],
    }
}

/// Those for a rewritten field.
fn fitting_rewrite(spec: &str) -> Fitting {
    let field = spec.split("field=").nth(1).unwrap_or_default();
    match field.split(',').next().unwrap_or(field) {
        "version" => &[
            ("MPT010", "malformed"),
            ("MPT010", "by its version or flags"),
            ("MPT013", "asks for version"),
        ],
        "capable_flags" => &[
            ("MPT010", "by its version or flags"),
            ("MPT010", "extension that nobody knows"),
            // RFC 6824 §3.1: a host of version 0 is silent then.
            ("MPT010", "stayed without answer"),
            ("MPT042", "without the DSS checksum"),
        ],
        "key" | "peer_key" => &[
            ("MPT020", "echoes a key that was not sent"),
            ("MPT022", "do not begin at its IDSN"),
        ],
        "token" => &[("MPT034", "no key in the capture explains")],
        "nonce" | "join_hmac" => &[("MPT030", "wrong HMAC")],
        "data_checksum" => &[
            ("MPT040", "wrong DSS checksum"),
            ("MPT049", "two checksums"),
        ],
        "data_len" => &[
            ("MPT040", "wrong DSS checksum"),
            ("MPT043", "to other DSNs"),
            ("MPT049", "other lengths"),
        ],
        "dsn" | "ssn" => &[
            ("MPT040", "wrong DSS checksum"),
            ("MPT043", "to other DSNs"),
        ],
        _ => &[],
    }
}
