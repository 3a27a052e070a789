//! Options of a connection as values and bytes, and the DSS checksum by the book.

use std::net::IpAddr;

use mptcp_proto::hmac::{add_addr_hmac, join_hmac};
use mptcp_proto::key::{AddressId, Nonce};
use mptcp_proto::seq::{Dsn, Ssn};
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{
    AddAddr, AddressIds, Capable, CapableData, CapableFlags, DataAck, Dss, DssMapping, Fail,
    FastClose, Join, MptcpOption, Prio, Priority, RemoveAddr, ResetFlags, ResetReason, TcpReset,
    WireDsn,
};
use mptcp_proto::wire::writer::OptionArea;

use super::{Connection, Host};

/// An option as bytes.
pub fn option_bytes(option: &MptcpOption) -> Vec<u8> {
    let mut area = OptionArea::new();
    option
        .emit(&mut area)
        .expect("the kit makes options that have a form")
        .to_vec()
}

/// Ones' complement sum of 16-bit words (RFC 1071), not inverted.
pub fn ones_complement(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for word in bytes.chunks(2) {
        let low = word.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([word[0], low]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).expect("folded")
}

/// DSS checksum over the pseudo-header and the payload (RFC 8684 §3.3.1).
pub fn dss_checksum(dsn: Dsn, ssn: Ssn, len: u16, payload: &[u8]) -> u16 {
    let mut bytes = Vec::with_capacity(16 + payload.len());
    bytes.extend(dsn.0.to_be_bytes());
    bytes.extend(ssn.0.to_be_bytes());
    bytes.extend(len.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    !ones_complement(&bytes)
}

impl Connection {
    /// MP_CAPABLE of the client's SYN.
    pub fn capable_syn(&self) -> MptcpOption {
        let key = (self.version == Version::V0).then_some(self.client_key);
        self.capable(key, None, None)
    }

    /// MP_CAPABLE of the server's SYN/ACK.
    pub fn capable_syn_ack(&self) -> MptcpOption {
        self.capable(Some(self.server_key), None, None)
    }

    /// MP_CAPABLE of the third ACK.
    pub fn capable_ack(&self) -> MptcpOption {
        let keys = (Some(self.client_key), Some(self.server_key));
        self.capable(keys.0, keys.1, None)
    }

    /// MP_CAPABLE with data (v1): maps `payload` to the first data sequence number.
    pub fn capable_data(&self, payload: &[u8]) -> MptcpOption {
        let len = u16::try_from(payload.len()).expect("a mapping holds 65,535 bytes");
        let first = self.dsn(Host::Client, 1);
        let checksum = self
            .checksum
            .then(|| dss_checksum(first, Ssn(1), len, payload));
        let keys = (Some(self.client_key), Some(self.server_key));
        self.capable(keys.0, keys.1, Some(CapableData { len, checksum }))
    }

    fn capable(
        &self,
        sender_key: Option<mptcp_proto::key::Key>,
        receiver_key: Option<mptcp_proto::key::Key>,
        data: Option<CapableData>,
    ) -> MptcpOption {
        let mut flags = CapableFlags::HMAC_SHA;
        if self.checksum {
            flags = flags.with(CapableFlags::CHECKSUM);
        }
        MptcpOption::Capable(Capable {
            version: self.version.number(),
            flags,
            sender_key,
            receiver_key,
            data,
        })
    }

    /// MP_JOIN of a SYN that `opener` sends.
    pub fn join_syn(&self, opener: Host, address_id: u8, backup: bool) -> MptcpOption {
        MptcpOption::Join(Join::Syn {
            priority: priority(backup),
            address_id: AddressId(address_id),
            token: self.key(opener.other()).token(self.version),
            nonce: self.nonce(opener),
            reserved: 0,
        })
    }

    /// MP_JOIN of the SYN/ACK that answers `opener`, its HMAC right.
    pub fn join_syn_ack(&self, opener: Host, address_id: u8, backup: bool) -> MptcpOption {
        let listener = opener.other();
        MptcpOption::Join(Join::SynAck {
            priority: priority(backup),
            address_id: AddressId(address_id),
            hmac: self.join_hmac(listener).truncated(),
            nonce: self.nonce(listener),
            reserved: 0,
        })
    }

    /// MP_JOIN of the third ACK that `opener` sends, its HMAC right.
    pub fn join_ack(&self, opener: Host) -> MptcpOption {
        MptcpOption::Join(Join::Ack {
            hmac: self.join_hmac(opener),
            reserved: 0,
        })
    }

    fn join_hmac(&self, sender: Host) -> mptcp_proto::hmac::JoinHmac {
        let peer = sender.other();
        join_hmac(
            self.version,
            self.key(sender),
            self.key(peer),
            self.nonce(sender),
            self.nonce(peer),
        )
    }

    fn nonce(&self, host: Host) -> Nonce {
        // Any number will do as long as the hosts' and the subflows' differ.
        let joins = u32::try_from(self.subflows.len()).expect("subflows are few");
        match host {
            Host::Client => Nonce(0x1111_0000 + joins),
            Host::Server => Nonce(0x2222_0000 + joins),
        }
    }

    /// DATA_ACK for everything that the peer of `from` has sent so far.
    pub fn data_ack(&self, from: Host) -> DataAck {
        let next = self.dsn(from.other(), self.next_data(from.other()));
        if self.wide_data_ack {
            DataAck::Long(next.0)
        } else {
            DataAck::Short(next.low())
        }
    }

    /// A DSN as this connection writes it.
    pub fn wire_dsn(&self, dsn: Dsn) -> WireDsn {
        if self.wide_dsn {
            WireDsn::Long(dsn.0)
        } else {
            WireDsn::Short(dsn.low())
        }
    }

    /// DSS with DATA_ACK and a mapping of `payload`; the checksum is right when there is one.
    pub fn dss(&self, from: Host, relative_dsn: u64, ssn: u32, payload: &[u8]) -> MptcpOption {
        let len = u16::try_from(payload.len()).expect("a mapping holds 65,535 bytes");
        let dsn = self.dsn(from, relative_dsn);
        let checksum = dss_checksum(dsn, Ssn(ssn), len, payload);
        self.dss_of(
            from,
            relative_dsn,
            ssn,
            len,
            self.checksum.then_some(checksum),
        )
    }

    /// DSS with DATA_ACK and the mapping given field by field; length 0 is the infinite mapping.
    pub fn dss_of(
        &self,
        from: Host,
        relative_dsn: u64,
        ssn: u32,
        len: u16,
        checksum: Option<u16>,
    ) -> MptcpOption {
        MptcpOption::Dss(Dss {
            data_ack: Some(self.data_ack(from)),
            mapping: Some(DssMapping {
                dsn: self.wire_dsn(self.dsn(from, relative_dsn)),
                ssn: Ssn(ssn),
                len,
                checksum,
            }),
            ..Dss::default()
        })
    }

    /// DSS with nothing but a DATA_ACK.
    pub fn dss_ack(&self, from: Host) -> MptcpOption {
        MptcpOption::Dss(Dss {
            data_ack: Some(self.data_ack(from)),
            ..Dss::default()
        })
    }

    /// DSS with a DATA_FIN alone: SSN 0, length 1 (RFC 8684 §3.3.3).
    pub fn dss_fin(&self, from: Host) -> MptcpOption {
        let dsn = self.dsn(from, self.next_data(from));
        let checksum = dss_checksum(dsn, Ssn(0), 1, &[]);
        MptcpOption::Dss(Dss {
            data_ack: Some(self.data_ack(from)),
            mapping: Some(DssMapping {
                dsn: self.wire_dsn(dsn),
                ssn: Ssn(0),
                len: 1,
                checksum: self.checksum.then_some(checksum),
            }),
            data_fin: true,
            ..Dss::default()
        })
    }

    /// ADD_ADDR that `owner` sends, in v1 with the right HMAC.
    pub fn add_addr(&self, owner: Host, id: u8, address: &str, port: Option<u16>) -> MptcpOption {
        let address: IpAddr = address.parse().expect("an address");
        let id = AddressId(id);
        let (own, peer) = (self.key(owner), self.key(owner.other()));
        let hmac = add_addr_hmac(own, peer, id, address, port);
        MptcpOption::AddAddr(AddAddr {
            version: self.version,
            echo: false,
            address_id: id,
            address,
            port,
            hmac: (self.version == Version::V1).then_some(hmac),
            reserved: 0,
        })
    }

    /// Echo of an ADD_ADDR (v1).
    pub fn add_addr_echo(&self, id: u8, address: &str, port: Option<u16>) -> MptcpOption {
        MptcpOption::AddAddr(AddAddr {
            version: self.version,
            echo: true,
            address_id: AddressId(id),
            address: address.parse().expect("an address"),
            port,
            hmac: None,
            reserved: 0,
        })
    }

    /// MP_FAIL for the mapping that begins at this data sequence number of `sender`'s data.
    pub fn fail(&self, sender: Host, relative_dsn: u64) -> MptcpOption {
        MptcpOption::Fail(Fail {
            dsn: self.dsn(sender, relative_dsn),
            reserved: 0,
        })
    }

    /// MP_FASTCLOSE that `from` sends, with its peer's key.
    pub fn fast_close(&self, from: Host) -> MptcpOption {
        MptcpOption::FastClose(FastClose {
            receiver_key: self.key(from.other()),
            reserved: 0,
        })
    }
}

/// REMOVE_ADDR.
pub fn remove_addr(ids: &[u8]) -> MptcpOption {
    let ids: Vec<AddressId> = ids.iter().copied().map(AddressId).collect();
    MptcpOption::RemoveAddr(RemoveAddr {
        ids: AddressIds::new(&ids).expect("the ids fit one option"),
        reserved: 0,
    })
}

/// MP_PRIO in the form that both versions have.
pub fn prio(backup: bool) -> MptcpOption {
    MptcpOption::Prio(Prio {
        priority: priority(backup),
        address_id: None,
        reserved: 0,
    })
}

/// MP_TCPRST.
pub fn tcp_reset(reason: u8) -> MptcpOption {
    MptcpOption::TcpReset(TcpReset {
        flags: ResetFlags(0),
        reason: ResetReason(reason),
    })
}

fn priority(backup: bool) -> Priority {
    if backup {
        Priority::Backup
    } else {
        Priority::Regular
    }
}
