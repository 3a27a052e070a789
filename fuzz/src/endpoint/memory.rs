//! The limits of what the hosts of a session keep.

use mptcp_proto::conn::{Connection, MAX_SUBFLOWS};
use mptcp_proto::endpoint::cookie::PendingJoins;
use mptcp_proto::endpoint::{Endpoint, MAX_CONNECTIONS, TableSizes};

use super::{Session, setup};

impl Session {
    /// Every table and buffer of both hosts keeps to its limit.
    pub(super) fn check(&self) {
        for host in &self.hosts {
            check_tables(&host.endpoint);
            for connection in host.endpoint.connections() {
                check_buffers(connection);
            }
        }
    }

    /// What ended has left nothing behind.
    pub(super) fn check_empty(&self) {
        for host in &self.hosts {
            check_empty(&host.endpoint);
        }
    }
}

fn check_tables(host: &Endpoint) {
    let TableSizes {
        connections,
        paths,
        tokens,
        deadlines,
        replies,
        pending_joins,
    } = host.table_sizes();
    let subflows: usize = host
        .connections()
        .map(|connection| connection.subflows().count())
        .sum();
    assert!(connections <= MAX_CONNECTIONS);
    assert!(paths <= subflows, "{paths} paths of {subflows} subflows");
    assert!(tokens <= connections, "{tokens} tokens of {connections}");
    assert!(deadlines <= connections, "{deadlines} of {connections}");
    assert_eq!(replies, 0, "all was sent");
    assert!(pending_joins <= PendingJoins::MAX_PENDING);
}

/// Once the last connection is gone, it has left nothing behind.
fn check_empty(host: &Endpoint) {
    let left = TableSizes {
        pending_joins: host.pending_joins(),
        ..TableSizes::default()
    };
    assert_eq!(host.table_sizes(), left);
}

fn check_buffers(connection: &Connection) {
    let info = connection.info();
    let (capacity, readable, waiting) = info.receive_buffer;
    let kept = waiting.saturating_add(u64::try_from(readable).unwrap_or(u64::MAX));
    // After fallback TCP's own queue has announced a window of its own.
    let limit = capacity
        .max(setup::MAX_BUFFER)
        .saturating_add(setup::FIRST_WINDOW);
    assert!(kept <= limit as u64, "{kept} bytes of {limit} are kept");
    let (capacity, used) = info.send_buffer;
    assert!(
        used <= capacity,
        "{used} bytes of {capacity} are to be sent"
    );
    assert!(connection.subflows().count() <= MAX_SUBFLOWS);
    for subflow in connection.subflows() {
        let (unsent, waiting) = (subflow.tcp.unsent, subflow.tcp.out_of_order);
        // Data that another subflow has brought over meanwhile stay with a slow one.
        let given = setup::MAX_BUFFER as u64;
        assert!(unsent <= given, "{unsent} bytes in {subflow:?}");
        assert!(waiting <= limit as u64, "{waiting} bytes in {subflow:?}");
    }
}
