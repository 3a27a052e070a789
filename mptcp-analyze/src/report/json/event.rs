//! Events of a connection in JSON.

use serde::Serialize;

use super::time;
use crate::model::{AddressEvent, Connection, Event};
use crate::report::event::{kind_name, sentence};
use crate::report::word;

#[derive(Serialize)]
pub(super) struct EventView {
    frame: u64,
    at: Option<String>,
    subflow: Option<u32>,
    sender: &'static str,
    kind: &'static str,
    text: String,
}

impl EventView {
    /// All events of `connection`, in packet order.
    pub(super) fn all(connection: &Connection) -> Vec<Self> {
        let events = connection.events.iter().map(Self::new);
        let addresses = connection.address_events.iter().map(Self::of_address);
        let mut all: Vec<Self> = events.chain(addresses).collect();
        all.sort_by_key(|event| event.frame);
        all
    }

    fn new(event: &Event) -> Self {
        EventView {
            frame: event.frame,
            at: time(event.at),
            subflow: Some(event.subflow),
            sender: word::side(event.sender),
            kind: kind_name(&event.kind),
            text: sentence(&event.kind),
        }
    }

    fn of_address(event: &AddressEvent) -> Self {
        let (frame, sender, kind, text) = match event {
            AddressEvent::IdReused {
                frame,
                owner,
                id,
                before,
                after,
            } => (
                *frame,
                *owner,
                "address_id_reused",
                format!("address id {id}: {before}, now {after}"),
            ),
            AddressEvent::UnmatchedEcho {
                frame,
                sender,
                id,
                address,
            } => (
                *frame,
                *sender,
                "unmatched_echo",
                format!("echo of {address} (id {id}) matches no ADD_ADDR"),
            ),
            AddressEvent::UnknownRemoved { frame, owner, id } => (
                *frame,
                *owner,
                "unknown_removed",
                format!("REMOVE_ADDR of the unknown address id {id}"),
            ),
        };
        EventView {
            frame,
            at: None,
            subflow: None,
            sender: word::side(sender),
            kind,
            text,
        }
    }
}
