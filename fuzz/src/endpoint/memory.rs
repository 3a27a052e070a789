//! The limits of what the hosts of a session keep.

use mptcp_proto::conn::Connection;
use mptcp_proto::endpoint::cookie::{PendingJoins, SpentCookies};
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
        spent_cookies,
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
    assert!(spent_cookies <= SpentCookies::MAX_SPENT);
}

/// Once the last connection is gone, it has left nothing behind.
fn check_empty(host: &Endpoint) {
    let left = TableSizes {
        pending_joins: host.pending_joins(),
        spent_cookies: host.table_sizes().spent_cookies,
        ..TableSizes::default()
    };
    assert_eq!(host.table_sizes(), left);
}

fn check_buffers(connection: &Connection) {
    for queue in connection.queues() {
        assert!(queue.is_within(), "{queue:?}: {:?}", connection.info());
    }
    let info = connection.info();
    let (send, receive) = (info.send_buffer.0, info.receive_buffer.0);
    assert!(
        send.max(receive) <= setup::MAX_BUFFER,
        "{send} and {receive} bytes"
    );
}
