//! Which reasons for a fallback are right, by what the box does: written from the RFCs, not from the outcomes.

use mptcp_proto::conn::FallbackReason;
use mptcp_proto::conn::config::Offer;

use super::Row;
use super::boxes::Case;
use super::effect::Effect;
use super::run::{Host, Outcome, Place};
use super::table::Column;

/// The reasons that each host may give; `-` is that it does not fall back.
struct Allowed {
    client: &'static [&'static str],
    server: &'static [&'static str],
    /// Where it follows from.
    rfc: &'static str,
}

const fn allowed(
    client: &'static [&'static str],
    server: &'static [&'static str],
    rfc: &'static str,
) -> Allowed {
    Allowed {
        client,
        server,
        rfc,
    }
}

/// No fallback at either host.
const NONE: Allowed = allowed(
    &["-"],
    &["-"],
    "RFC 8684 §3.7: nothing is lost that MPTCP needs",
);

/// A box on a joined subflow, or one that acts while another subflow is there, ends its subflow at most.
const OTHERS_GO_ON: Allowed = allowed(
    &["-"],
    &["-"],
    "RFC 8684 §3.7: with several subflows, the one that fails is reset",
);

/// Whichever end notices first, the other learns by MP_FAIL; both may notice.
const LATER_DATA: Allowed = allowed(
    &["mapping_conflict", "mp_fail"],
    &["mapping_conflict", "mp_fail"],
    "RFC 8684 §3.3.1, §3.7: a mapping contradicts another, and the host tells with MP_FAIL",
);

const LATER_SUMMED: Allowed = allowed(
    &["mapping_conflict", "checksum", "mp_fail"],
    &["mapping_conflict", "checksum", "mp_fail"],
    "RFC 8684 §3.3.1, §3.7: a mapping contradicts another, or its own checksum",
);

/// Where the options are lost in one direction, MP_FAIL passes in the other.
fn later(spec: &str, seen: [&'static [&'static str]; 3], rfc: &'static str) -> Allowed {
    let [here, told, either] = seen;
    match (
        spec.contains("toward=client"),
        spec.contains("toward=server"),
    ) {
        (true, _) => allowed(here, told, rfc),
        (_, true) => allowed(told, here, rfc),
        _ => allowed(either, either, rfc),
    }
}

fn no_more_options(spec: &str) -> Allowed {
    let seen = &["stripped_mid_stream"];
    later(
        spec,
        // Where they are lost in both, nobody hears of the other's.
        [seen, &["mp_fail", "infinite_mapping"], seen],
        "RFC 8684 §3.7: later data without mapping on the only subflow, told with MP_FAIL or an infinite mapping",
    )
}

fn later_checksum(spec: &str) -> Allowed {
    later(
        spec,
        [&["checksum"], &["mp_fail"], &["checksum", "mp_fail"]],
        "RFC 8684 §3.7: a checksum of the only subflow is wrong, and the host tells with MP_FAIL",
    )
}

const BARE_THIRD_ACK: Allowed = allowed(
    &["data_option_missing"],
    &["third_ack_option_missing"],
    "RFC 8684 §3.1: neither third ACK nor first data have MP_CAPABLE, and the client hears no DSS",
);

const SYN_STRIPPED: Allowed = allowed(
    &["synack_option_missing"],
    &["syn_option_missing"],
    "RFC 8684 §3.1: a SYN without MP_CAPABLE gets a SYN/ACK without",
);

const WRONG_KEY: Allowed = allowed(
    &["data_option_missing"],
    &["key_mismatch"],
    "RFC 8684 §3.1: the keys of the third ACK are those of the SYN and the SYN/ACK",
);

/// What may happen where the box stands on the path of the initial subflow.
fn expected(case: Case, place: Place, offer: Offer, paths: usize) -> Allowed {
    if place == Place::Second {
        return OTHERS_GO_ON;
    }
    let name = case.spec.split(':').next().unwrap_or(case.spec);
    let is_v0 = offer == Offer::V0;
    match name {
        "strip" => strip(case.spec, is_v0, place, paths),
        "rewrite" => rewrite(case, is_v0, paths),
        "mirror" => allowed(
            &["form"],
            &["third_ack_option_missing"],
            "RFC 8684 §3.1: a SYN/ACK has the server's key, and the client goes on as TCP without it",
        ),
        "flip" | "payload" if case.checksum => payload(case.spec, is_v0, place, paths),
        "proactive" if case.spec.contains("toward=client") => NONE,
        "proactive" => allowed(
            &["data_ack_missing"],
            // A server that never gets the first data has nothing to go by.
            &["stripped_mid_stream", "data_ack_missing", "-"],
            "RFC 8684 §3.7: the first data are acknowledged without DATA_ACK",
        ),
        "refuse" if case.spec.contains("mp_capable,on=third_ack") => NONE,
        "refuse" if case.spec.contains("with=mp_capable") => allowed(
            &["blackhole"],
            &["syn_option_missing"],
            "RFC 8684 §3.9.3: after some SYNs with MP_CAPABLE the client sends one without",
        ),
        _ => NONE,
    }
}

fn strip(spec: &str, is_v0: bool, place: Place, paths: usize) -> Allowed {
    let has = |words: &str| spec.contains(words);
    if has("option=") && !has("option=dss") && !has("option=mp_capable") {
        return NONE;
    }
    if has("count=1") && has("from=60") {
        // The mapping stands in the next segment as well.
        return NONE;
    }
    if has("from=60") {
        return if paths == 1 {
            no_more_options(spec)
        } else {
            OTHERS_GO_ON
        };
    }
    if has("on=third_ack") || has("on=pure_ack,toward=server") {
        return match (is_v0, has("on=third_ack")) {
            // On the other path the box takes the option of the join, and only that.
            (false, true) if place == Place::Both => NONE,
            (true, _) | (false, true) => BARE_THIRD_ACK,
            (false, false) => allowed(
                &["-"],
                // On both paths, the third ACK of the join is lost as well, and the subflow is alone.
                if paths == 1 || place == Place::Both {
                    &["-", "data_ack_missing"]
                } else {
                    &["-"]
                },
                "RFC 8684 §3.7: data that the subflow acknowledges and no DATA_ACK does",
            ),
        };
    }
    strip_data(spec, is_v0)
}

/// Options that disappear in the handshake, or from the first data on.
fn strip_data(spec: &str, is_v0: bool) -> Allowed {
    let has = |words: &str| spec.contains(words);
    if has("option=dss") {
        return allowed(
            &["data_option_missing"],
            if is_v0 {
                &["data_option_missing"]
            } else {
                &["stripped_mid_stream"]
            },
            "RFC 8684 §3.7: first data without DSS; in version 1, MP_CAPABLE with the data maps them",
        );
    }
    if has("on=synack") {
        return allowed(
            &["synack_option_missing"],
            &["third_ack_option_missing"],
            "RFC 8684 §3.1: a SYN/ACK without MP_CAPABLE makes the client a TCP",
        );
    }
    if has("on=data,toward=server") && is_v0 {
        return allowed(
            &["stripped_mid_stream"],
            &["data_option_missing"],
            "RFC 6824 §3.6: the first data without DSS make the server a TCP, which answers bare",
        );
    }
    if has("on=data,toward=client") {
        return allowed(
            &["data_option_missing"],
            &["stripped_mid_stream"],
            "RFC 8684 §3.7: the first data without DSS make the client a TCP, which answers bare",
        );
    }
    if has("on=non_syn") || has("on=data,toward=server") {
        return BARE_THIRD_ACK;
    }
    if has("on=pure_ack") {
        // Until data of the server bring a DATA_ACK, its acknowledgements have none.
        allowed(
            &["-", "data_ack_missing"],
            &["-", "stripped_mid_stream", "data_ack_missing"],
            "RFC 8684 §3.7: the first data are acknowledged without DATA_ACK",
        )
    } else {
        SYN_STRIPPED
    }
}

fn rewrite(case: Case, is_v0: bool, paths: usize) -> Allowed {
    let (spec, is_summed) = (case.spec, case.checksum);
    let has = |words: &str| spec.contains(words);
    let field = spec.split("field=").nth(1).unwrap_or_default();
    let on_syn = has("on=syn") && !has("on=synack");
    match field.split(',').next().unwrap_or(field) {
        "version" if has("set=0") && is_v0 => NONE,
        // A server answers with its own version, which is the one that the client has.
        "version" if has("set=2") && !is_v0 => NONE,
        "version" | "capable_flags" if has("xor=0x80") => allowed(
            &["checksum_missing", "mp_fail"],
            &["checksum_missing", "mp_fail"],
            "RFC 8684 §3.1, §3.3: one host was told of checksums and gets none",
        ),
        "version" if on_syn => allowed(
            &["synack_option_missing"],
            if is_v0 {
                &["version"]
            } else {
                &["syn_option_missing"]
            },
            "RFC 8684 §3.1: a version that the server has not, or a form that the version has not",
        ),
        "version" => allowed(
            &["version"],
            &["third_ack_option_missing"],
            "RFC 8684 §3.1: the client has not the version of the SYN/ACK",
        ),
        "capable_flags" if on_syn && is_v0 && has("xor=0x40") => allowed(
            &["blackhole"],
            &["syn_option_missing"],
            "RFC 6824 §3.1: a SYN with flag B is met with silence, and one without the option follows",
        ),
        "capable_flags" if on_syn => allowed(
            &["synack_option_missing"],
            &["flags"],
            "RFC 8684 §3.1: flag B is set, or no algorithm is offered",
        ),
        "capable_flags" => allowed(
            &["flags"],
            &["third_ack_option_missing"],
            "RFC 8684 §3.1: flag B is set, or no algorithm is offered",
        ),
        "key" if on_syn && !is_v0 => NONE,
        "key" | "peer_key" => WRONG_KEY,
        "dsn" | "ssn" | "data_len" | "data_checksum" if paths == 1 && is_summed => LATER_SUMMED,
        "dsn" | "ssn" | "data_len" if paths == 1 => LATER_DATA,
        "dsn" | "ssn" | "data_len" | "data_checksum" => OTHERS_GO_ON,
        _ => NONE,
    }
}

/// Payload that changes while checksums are in use.
fn payload(spec: &str, is_v0: bool, place: Place, paths: usize) -> Allowed {
    let has = |words: &str| spec.contains(words);
    if has("at=60000") || has("skip_bytes=") {
        return if paths == 1 {
            later_checksum(spec)
        } else {
            OTHERS_GO_ON
        };
    }
    if has("toward=server") {
        return allowed(
            // It learns of the server's by data or by acknowledgements, whichever come first.
            if is_v0 {
                &["stripped_mid_stream", "data_ack_missing"]
            } else {
                &["data_ack_missing"]
            },
            &["first_checksum"],
            "RFC 8684 §3.7: the first mapping's checksum is wrong, and no other subflow is there",
        );
    }
    match (paths, place) {
        (1, _) => allowed(
            &["first_checksum"],
            &["stripped_mid_stream"],
            "RFC 8684 §3.7: the first mapping's checksum is wrong, and no other subflow is there",
        ),
        (_, Place::Both) => allowed(
            &["checksum"],
            // What it has sent twice does not lie on the last one alone: that is reset.
            &["mp_fail", "-"],
            "RFC 8684 §3.7: the subflow before was reset, and the last one has wrong checksums too",
        ),
        _ => OTHERS_GO_ON,
    }
}

/// The same for a run with losses, of which some may have taken what the box had changed, what a host was to be told,
/// or have kept the second subflow from coming up before it.
fn expected_of(case: Case, place: Place, column: Column, outcome: &Outcome) -> Allowed {
    let Effect {
        has_any,
        contradicts,
        begins_with_data,
        lost_first_data,
        ..
    } = outcome.effect;
    let has = |words: &str| case.spec.contains(words);
    if !has_any && !has("nat") {
        return NONE;
    }
    let has_joined = outcome.hosts.iter().any(|host| host.up > 1);
    let paths = if has_joined { column.paths } else { 1 };
    // What is to be sent again does not lie on the subflow without a gap: a new one takes its place.
    let is_replaced = |host: &Host| host.lost > 0 && host.up > paths;
    if has("count=1") && outcome.hosts.iter().any(is_replaced) {
        return OTHERS_GO_ON;
    }
    // Without checksums, a changed mapping that contradicts none is as good as any (RFC 8684 §3.3.1).
    if has("rewrite:") && has("count=1") && !case.checksum && !contradicts {
        return NONE;
    }
    let by_box = expected(case, place, column.offer, paths);
    if place == Place::Second || !has("strip:") {
        return by_box;
    }
    match column.offer {
        // Without the third ACK, the first data stand for it.
        Offer::V0 if begins_with_data && (has("on=data,toward=server") || has("option=dss")) => {
            BARE_THIRD_ACK
        }
        Offer::V0 if begins_with_data && has("on=pure_ack,toward=server") => {
            expected(case, place, Offer::V1, paths)
        }
        Offer::V0 if lost_first_data && has("on=data,toward=server") => LATE_DATA_TO_SERVER,
        Offer::V0 if lost_first_data && has("option=dss") => LATE_DATA_AND_ACK,
        _ if begins_with_data && has("on=third_ack") => NONE,
        _ => by_box,
    }
}

/// The client's first data come after its acknowledgements, which have a DSS.
const LATE_DATA_TO_SERVER: Allowed = allowed(
    &["stripped_mid_stream", "mp_fail"],
    &["data_option_missing", "stripped_mid_stream"],
    "RFC 6824 §3.6: data without DSS on the only subflow",
);

/// They come after the acknowledgements of a client that is TCP by now.
const LATE_DATA_AND_ACK: Allowed = allowed(
    &["data_option_missing"],
    &["data_option_missing", "data_ack_missing"],
    "RFC 6824 §3.6: data or their acknowledgement without DSS",
);

impl Row {
    /// Runs in which a host gave another reason than the box allows.
    pub(super) fn unreasonable(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (column, outcomes) in &self.mptcp {
            for outcome in outcomes.iter().flatten() {
                let allowed = expected_of(self.case, self.place, *column, outcome);
                let [client, server] = reasons(outcome);
                let [by_client, by_server] = outcome.effect.told_by_mapping;
                let has = |list: &[&str], reason: &str, by_mapping: bool| {
                    // RFC 8684 §3.7: the infinite mapping tells what a lost MP_FAIL would have told.
                    list.contains(&reason)
                        || by_mapping && reason == "infinite_mapping" && list.contains(&"mp_fail")
                };
                // MP_FAIL comes from a host that has seen something itself.
                let has_cause = [client, server] != ["mp_fail"; 2];
                let is_allowed = has(allowed.client, client, by_client)
                    && has(allowed.server, server, by_server);
                if !has_cause || !is_allowed {
                    let Allowed {
                        client: clients,
                        server: servers,
                        rfc,
                    } = allowed;
                    complaints.push(format!(
                        "{client}/{server}, not {clients:?}/{servers:?} ({rfc}): {:?} {} # {}",
                        self.place,
                        column.name(),
                        outcome.scenario
                    ));
                }
            }
        }
        complaints
    }
}

fn reasons(outcome: &Outcome) -> [&'static str; 2] {
    outcome
        .hosts
        .map(|host| host.fallback.map_or("-", FallbackReason::code))
}
