//! Events of a connection in JSON.

use serde::Serialize;

use super::text::Time;
use crate::model::Connection;
use crate::report::timeline::{self, Moment};
use crate::report::word;

#[derive(Serialize)]
pub(super) struct EventView {
    frame: u64,
    at: Option<Time>,
    subflow: Option<u32>,
    sender: Option<&'static str>,
    kind: &'static str,
    text: String,
}

impl EventView {
    /// Everything that happened in `connection`.
    pub(super) fn all(connection: &Connection) -> Vec<Self> {
        timeline::of(connection)
            .into_iter()
            .map(Self::new)
            .collect()
    }

    fn new(moment: Moment) -> Self {
        EventView {
            frame: moment.frame,
            at: moment.at.map(Time),
            subflow: moment.subflow,
            sender: moment.sender.map(word::side),
            kind: moment.kind,
            text: moment.text,
        }
    }
}
