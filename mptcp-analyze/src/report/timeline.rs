//! Everything that happened in a connection, in one list: its events, the oddities of its
//! addresses, its fallback.

use std::collections::BTreeMap;

use super::event::{kind_name, sentence};
use super::word;
use crate::model::{AddressEvent, Blame, Connection, Event, Fallback, Side, Timestamp};

/// An entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    /// Frame that shows it.
    pub(super) frame: u64,
    /// Time of that frame, if the model knows it.
    pub(super) at: Option<Timestamp>,
    /// Subflow of that frame, if the model knows it.
    pub(super) subflow: Option<u32>,
    /// Host that sent the frame; of a fallback, the host that caused it, if it was one.
    pub(super) sender: Option<Side>,
    /// Stable name.
    pub(super) kind: &'static str,
    /// What happened, for a person.
    pub(super) text: String,
}

/// The list, in the order of the events; what is none of them stands with the event of its frame,
/// or before the next one.
pub(super) fn of(connection: &Connection) -> Vec<Moment> {
    let places = places(&connection.events);
    let events = connection
        .events
        .iter()
        .enumerate()
        .map(|(index, event)| ((index, Rank::Event), of_event(event, connection.version)));
    let others = connection
        .address_events
        .iter()
        .map(of_address)
        .chain(connection.fallback.iter().map(of_fallback))
        .map(|mut moment| {
            if let Some(place) = places.get(&moment.frame) {
                moment.at = Some(place.at);
                moment.subflow = Some(place.subflow);
                return ((place.last, Rank::After), moment);
            }
            moment.at = time_of(connection, moment.frame);
            let next = places.range(moment.frame..).next();
            let index = next.map_or(usize::MAX, |(_, place)| place.first);
            ((index, Rank::Before), moment)
        });
    let mut all: Vec<_> = events.chain(others).collect();
    all.sort_by_key(|(key, _)| *key);
    all.into_iter().map(|(_, moment)| moment).collect()
}

/// Where something stands relative to the event of the same index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Before,
    Event,
    After,
}

/// What the events tell of a frame.
struct Place {
    first: usize,
    last: usize,
    at: Timestamp,
    subflow: u32,
}

fn places(events: &[Event]) -> BTreeMap<u64, Place> {
    let mut places: BTreeMap<u64, Place> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        let place = places.entry(event.frame).or_insert(Place {
            first: index,
            last: index,
            at: event.at,
            subflow: event.subflow,
        });
        place.last = index;
    }
    places
}

/// Time of a frame without event: known of the first and the last ones.
fn time_of(connection: &Connection, frame: u64) -> Option<Timestamp> {
    let ends = [
        (connection.first_frame, connection.first_at),
        (connection.last_frame, connection.last_at),
    ];
    let of_subflows = connection
        .subflows
        .iter()
        .flat_map(|s| [(s.first_frame, s.first_at), (s.last_frame, s.last_at)]);
    let mut known = ends.into_iter().chain(of_subflows);
    known.find_map(|(there, at)| (there == frame).then_some(at))
}

fn of_event(event: &Event, version: Option<u8>) -> Moment {
    Moment {
        frame: event.frame,
        at: Some(event.at),
        subflow: Some(event.subflow),
        sender: Some(event.sender),
        kind: kind_name(&event.kind),
        text: sentence(&event.kind, version),
    }
}

fn of_address(event: &AddressEvent) -> Moment {
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
    Moment {
        frame,
        at: None,
        subflow: None,
        sender: Some(sender),
        kind,
        text,
    }
}

fn of_fallback(fallback: &Fallback) -> Moment {
    let reason = word::fallback_reason(fallback.reason);
    Moment {
        frame: fallback.frame,
        at: None,
        subflow: None,
        sender: match fallback.by {
            Blame::Client => Some(Side::Client),
            Blame::Server => Some(Side::Server),
            Blame::Path | Blame::Unknown => None,
        },
        kind: "fallback",
        text: format!("fell back to TCP, {reason}: {}", fallback.text),
    }
}
