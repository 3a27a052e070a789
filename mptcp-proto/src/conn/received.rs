//! The MPTCP options of a segment that came in.

use crate::version::Version;
use crate::wire::mptcp::{
    AddAddr, Capable, Dss, Fail, FastClose, Join, MptcpOption, Prio, RemoveAddr, TcpReset,
};
use crate::wire::tcp_option::{KIND_AUTHENTICATION, KIND_MD5_SIGNATURE, KIND_MPTCP, TcpOptions};

/// The first option of each subtype (RFC 8684 §3 has several options in a segment, and none twice).
#[derive(Debug, Clone, Default)]
pub struct ReceivedOptions {
    /// MP_CAPABLE.
    pub capable: Option<Capable>,
    /// MP_JOIN.
    pub join: Option<Join>,
    /// DSS.
    pub dss: Option<Dss>,
    /// ADD_ADDR that is no echo.
    pub add_addr: Option<AddAddr>,
    /// ADD_ADDR that is an echo.
    pub add_addr_echo: Option<AddAddr>,
    /// REMOVE_ADDR.
    pub remove_addr: Option<RemoveAddr>,
    /// MP_PRIO.
    pub prio: Option<Prio>,
    /// MP_FAIL.
    pub fail: Option<Fail>,
    /// MP_FASTCLOSE.
    pub fast_close: Option<FastClose>,
    /// MP_TCPRST.
    pub reset: Option<TcpReset>,
    /// Whether the segment is signed (RFC 2385, RFC 5925): MPTCP and a signature exclude each other.
    pub is_signed: bool,
    /// How many options of kind 30 there are, ones that do not parse included.
    pub count: u8,
    /// How many of them do not parse, or have a subtype that is not known.
    pub ignored: u8,
}

impl ReceivedOptions {
    /// Reads an option area on a connection of this version; none is for a connection whose version
    /// is not agreed on.
    pub fn parse(version: Option<Version>, area: &[u8]) -> Self {
        let mut options = Self::default();
        for option in TcpOptions::new(area).flatten() {
            if option.kind == KIND_MPTCP {
                options.count = options.count.saturating_add(1);
                options.add(version, option.bytes);
            }
            options.is_signed |= matches!(option.kind, KIND_MD5_SIGNATURE | KIND_AUTHENTICATION);
        }
        options
    }

    /// Whether there is no MPTCP option, not even one that does not parse.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn add(&mut self, version: Option<Version>, bytes: &[u8]) {
        if let Some(dss) = Dss::parse_plain(bytes) {
            self.dss.get_or_insert(dss);
            return;
        }
        let parsed = match version {
            Some(version) => MptcpOption::parse(version, bytes),
            None => MptcpOption::parse_unversioned(bytes),
        };
        match parsed {
            Ok(MptcpOption::Capable(option)) => drop(self.capable.get_or_insert(option)),
            Ok(MptcpOption::Join(option)) => drop(self.join.get_or_insert(option)),
            Ok(MptcpOption::Dss(option)) => drop(self.dss.get_or_insert(option)),
            Ok(MptcpOption::AddAddr(option)) if option.echo => {
                self.add_addr_echo.get_or_insert(option);
            }
            Ok(MptcpOption::AddAddr(option)) => drop(self.add_addr.get_or_insert(option)),
            Ok(MptcpOption::RemoveAddr(option)) => drop(self.remove_addr.get_or_insert(option)),
            Ok(MptcpOption::Prio(option)) => drop(self.prio.get_or_insert(option)),
            Ok(MptcpOption::Fail(option)) => drop(self.fail.get_or_insert(option)),
            Ok(MptcpOption::FastClose(option)) => drop(self.fast_close.get_or_insert(option)),
            Ok(MptcpOption::TcpReset(option)) => drop(self.reset.get_or_insert(option)),
            Ok(MptcpOption::Experimental(_) | MptcpOption::Unknown(_)) | Err(_) => {
                self.ignored = self.ignored.saturating_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq::Dsn;
    use crate::wire::mptcp::DataAck;
    use crate::wire::writer::OptionArea;

    #[test]
    fn the_first_of_two_options_counts_and_a_malformed_one_is_ignored() {
        let mut area = OptionArea::new();
        for data_ack in [7, 8] {
            let dss = Dss {
                data_ack: Some(DataAck::Short(data_ack)),
                ..Dss::default()
            };
            MptcpOption::Dss(dss).emit(&mut area).unwrap();
        }
        let fail = Fail {
            dsn: Dsn(9),
            reserved: 0,
        };
        MptcpOption::Fail(fail).emit(&mut area).unwrap();
        area.push(&[30, 5, 0x20, 0, 0]).unwrap();
        let options = ReceivedOptions::parse(Some(Version::V1), area.as_bytes());
        assert_eq!(options.dss.unwrap().data_ack, Some(DataAck::Short(7)));
        assert_eq!(options.fail, Some(fail));
        assert_eq!((options.count, options.ignored), (4, 1));
    }
}
