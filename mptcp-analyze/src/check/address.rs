//! Announced addresses.

use super::Findings;
use super::handshake::name;
use crate::model::{AddressEvent, CheckResult, Connection};

pub(super) fn check(connection: &Connection, findings: &mut Findings) {
    for address in &connection.addresses {
        let (who, id) = (name(address.owner), address.id.0);
        if address.hmac == CheckResult::Bad {
            let text = format!(
                "wrong HMAC in ADD_ADDR of {who} for {} (id {id})",
                address.address
            );
            findings.add("MPT050", address.advertised_frame, text);
        }
        if connection.version == Some(1) && address.echo_frame.is_none() {
            let times = address.advertised_count;
            let text = format!(
                "{who} announced {} (id {id}) {times} {}, and no echo came",
                address.address,
                if times == 1 { "time" } else { "times" }
            );
            findings.add("MPT051", address.advertised_frame, text);
        }
    }
    for event in &connection.address_events {
        match event {
            AddressEvent::IdReused {
                frame,
                owner,
                id,
                before,
                after,
            } => {
                let (who, id) = (name(*owner), id.0);
                let text = format!("{who} uses address id {id} for {before} and for {after}");
                findings.add("MPT052", *frame, text);
            }
            AddressEvent::UnmatchedEcho {
                frame,
                sender,
                id,
                address,
            } => {
                let (who, id) = (name(*sender), id.0);
                let text = format!("{who} echoes {address} (id {id}), which was not announced");
                findings.add("MPT053", *frame, text);
            }
            AddressEvent::UnknownRemoved { frame, owner, id } => {
                let text = format!("{} removes the unknown address id {}", name(*owner), id.0);
                findings.add("MPT054", *frame, text);
            }
        }
    }
}
