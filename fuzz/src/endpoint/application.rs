//! The applications of a session.

use mptcp_proto::conn::Connection;
use mptcp_proto::conn::command::Read;

use super::{Host, Session};

impl Host {
    fn connection(&mut self) -> Option<&mut Connection> {
        self.endpoint.connection_mut(self.id?)
    }
}

impl Session {
    /// Does something with the followed connection, if it is there.
    pub(super) fn with(&mut self, side: usize, act: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.hosts[side].connection() {
            act(connection);
        }
    }

    pub(super) fn write(&mut self, side: usize, len: usize) {
        let host = &mut self.hosts[side];
        let start = host.written;
        let bytes: Vec<u8> = (start..).take(len).map(|at| byte_at(side, at)).collect();
        let is_urgent = len % 8 == 5;
        let written = host.connection().and_then(|c| {
            if is_urgent {
                c.write_urgent(&bytes).ok()
            } else {
                c.write(&bytes).ok()
            }
        });
        host.written += written.unwrap_or(0) as u64;
    }

    pub(super) fn read(&mut self, side: usize, len: usize) {
        let is_sure = self.is_content_sure();
        let host = &mut self.hosts[side];
        let mut buffer = vec![0; len];
        let Some(Read::Data(got)) = host.connection().map(|c| c.read(&mut buffer)) else {
            return;
        };
        let start = host.read;
        host.read += got as u64;
        if !is_sure {
            return;
        }
        host.compared += got as u64;
        for (at, byte) in (start..).zip(&buffer[..got]) {
            assert_eq!(*byte, byte_at(1 - side, at), "host {side} reads byte {at}");
        }
        let urgent = self.hosts[side].connection().and_then(|c| c.urgent());
        let ahead = self.hosts[side].read + urgent.unwrap_or(0);
        assert!(ahead <= self.hosts[1 - side].written, "{urgent:?} urgent");
    }

    /// Gives up on all connections.
    pub(super) fn abort_all(&mut self) {
        for host in &mut self.hosts {
            let ids: Vec<_> = host.endpoint.connection_ids().collect();
            for id in ids {
                if let Some(connection) = host.endpoint.connection_mut(id) {
                    connection.abort();
                }
            }
        }
    }

    /// Reads what is there, and closes for writing.
    pub(super) fn close_all(&mut self, side: usize) {
        self.read(side, 1 << 16);
        let ids: Vec<_> = self.hosts[side].endpoint.connection_ids().collect();
        let followed = self.hosts[side].id;
        for id in ids {
            let Some(connection) = self.hosts[side].endpoint.connection_mut(id) else {
                continue;
            };
            if Some(id) != followed {
                while let Read::Data(1..) = connection.read(&mut [0; 4096]) {}
            }
            connection.shutdown_write();
        }
    }
}

/// What an application writes tells its place.
fn byte_at(side: usize, at: u64) -> u8 {
    let mixed = (at ^ (side as u64) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed.to_be_bytes()[0]
}
