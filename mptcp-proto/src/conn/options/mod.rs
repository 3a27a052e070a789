//! Which MPTCP options a segment carries when not all find room (RFC 8684 §3).

use crate::key::Key;
use crate::seq::Dsn;
use crate::version::Version;
use crate::wire::mptcp::{
    AddAddr, AddressIds, Capable, DataAck, Dss, DssMapping, Fail, FastClose, Join, MptcpOption,
    Prio, RemoveAddr, Subtype, TcpReset, WireDsn,
};
use crate::wire::writer::{MAX_OPTION_AREA, OptionArea};

/// What the next segment of a subflow is to tell the peer, if there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// What the segment is apart from its options.
    pub segment: SegmentKind,
    /// MP_CAPABLE.
    pub capable: Option<Capable>,
    /// MP_JOIN; a segment with MP_CAPABLE has none.
    pub join: Option<Join>,
    /// DSS; a segment with MP_CAPABLE or MP_JOIN has none.
    pub dss: Option<WantedDss>,
    /// MP_FAIL: DSN of the mapping that failed.
    pub fail: Option<Dsn>,
    /// MP_FASTCLOSE: the peer's key.
    pub fast_close: Option<Key>,
    /// MP_TCPRST; only on a RST.
    pub tcp_reset: Option<TcpReset>,
    /// ADD_ADDR, or its echo.
    pub add_addr: Option<AddAddr>,
    /// REMOVE_ADDR; waits while there is an ADD_ADDR.
    pub remove_addr: Option<AddressIds>,
    /// MP_PRIO.
    pub prio: Option<Prio>,
}

/// What a segment is apart from its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SegmentKind {
    /// Has payload, or begins the subflow.
    #[default]
    Other,
    /// Has no payload and no SYN, so that its options are all it says.
    PureAck,
    /// Resets the subflow.
    Reset,
}

/// A DSS, before its widths are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WantedDss {
    /// DATA_ACK.
    pub data_ack: Option<Dsn>,
    /// Whether the DATA_ACK is to have 4 octets: see [`ack_is_short`].
    pub short_ack: bool,
    /// Mapping. It goes with the payload, so it yields to nothing.
    pub mapping: Option<DssMapping>,
    /// DATA_FIN.
    pub data_fin: bool,
}

/// Which options went into a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Composed {
    sent: u16,
    /// Whether the DSS has the DATA_ACK that was wanted.
    pub has_data_ack: bool,
    /// Option bytes that the ADD_ADDR needs and did not find even alone: the segment that carries it
    /// must do without other TCP options.
    pub add_addr_needs: Option<usize>,
}

impl Composed {
    /// Whether the option went in.
    pub const fn has(&self, subtype: Subtype) -> bool {
        self.sent & bit(subtype) != 0
    }

    /// Whether there is no MPTCP option.
    pub const fn is_empty(&self) -> bool {
        self.sent == 0
    }

    fn put(&mut self, option: MptcpOption, area: &mut OptionArea) -> bool {
        let fits = option.emit(area).is_ok();
        if fits {
            self.sent |= bit(option.subtype());
        }
        fits
    }
}

/// Appends to the TCP options in `area` what finds room, by the priorities of Linux, and fills up to
/// a multiple of 4 bytes.
///
/// On a RST: MP_FASTCLOSE or else MP_FAIL, then MP_TCPRST. On anything else: MP_CAPABLE, or MP_JOIN,
/// or DSS and then MP_FASTCLOSE or MP_FAIL; then ADD_ADDR or REMOVE_ADDR; then MP_PRIO. What finds no
/// room is to be wanted again on a later segment.
pub fn compose(version: Version, wanted: &Wanted, area: &mut OptionArea) -> Composed {
    let mut done = Composed::default();
    if wanted.segment == SegmentKind::Reset {
        put_error(wanted, area, &mut done);
        if version.rules().has_tcp_reset
            && let Some(reset) = wanted.tcp_reset
        {
            done.put(MptcpOption::TcpReset(reset), area);
        }
        area.pad();
        return done;
    }
    let before = *area;
    put_dss_or_handshake(wanted, area, &mut done);
    put_addresses(wanted, before, area, &mut done);
    if let Some(prio) = wanted.prio {
        done.put(MptcpOption::Prio(prio), area);
    }
    area.pad();
    done
}

/// Option bytes that everything wanted takes, as far as a segment can have it: what to reserve of the
/// space that TCP's own options compete for.
pub fn room_for(version: Version, wanted: &Wanted) -> usize {
    let mut area = OptionArea::new();
    compose(version, wanted, &mut area);
    MAX_OPTION_AREA.saturating_sub(area.room())
}

/// Whether a DATA_ACK is to have 4 octets: like the last DSN that the peer sent, since a host that
/// keeps to 32 bits there need not understand more (RFC 8684 §3.3.1, §3.3.2).
pub const fn ack_is_short(last_dsn: Option<WireDsn>) -> bool {
    matches!(last_dsn, Some(WireDsn::Short(_)))
}

fn put_error(wanted: &Wanted, area: &mut OptionArea, done: &mut Composed) {
    if let Some(receiver_key) = wanted.fast_close {
        let reserved = 0;
        done.put(
            MptcpOption::FastClose(FastClose {
                receiver_key,
                reserved,
            }),
            area,
        );
    } else if let Some(dsn) = wanted.fail {
        done.put(MptcpOption::Fail(Fail { dsn, reserved: 0 }), area);
    }
}

fn put_dss_or_handshake(wanted: &Wanted, area: &mut OptionArea, done: &mut Composed) {
    if let Some(capable) = wanted.capable {
        done.put(MptcpOption::Capable(capable), area);
    } else if let Some(join) = wanted.join {
        done.put(MptcpOption::Join(join), area);
    } else {
        if let Some(dss) = wanted.dss {
            put_dss(dss, area, done);
        }
        put_error(wanted, area, done);
    }
}

/// Puts the DSS with its DATA_ACK as wide as wanted, or in 4 octets, or without it.
fn put_dss(wanted: WantedDss, area: &mut OptionArea, done: &mut Composed) {
    let short = wanted.data_ack.map(|dsn| DataAck::Short(dsn.low()));
    let wide = wanted.data_ack.map(|dsn| DataAck::Long(dsn.0));
    let forms = [if wanted.short_ack { short } else { wide }, short, None];
    for data_ack in forms {
        if data_ack.is_none() && wanted.mapping.is_none() && !wanted.data_fin {
            return;
        }
        let dss = Dss {
            data_ack,
            mapping: wanted.mapping,
            data_fin: wanted.data_fin,
            ..Dss::default()
        };
        if done.put(MptcpOption::Dss(dss), area) {
            done.has_data_ack = data_ack.is_some();
            return;
        }
    }
}

/// An ADD_ADDR that finds no room beside the DATA_ACK of a pure ACK takes its place: the DATA_ACK is
/// in the next segment again, and an ADD_ADDR with HMAC would never fit beside it (RFC 8684 App. A).
fn put_addresses(wanted: &Wanted, before: OptionArea, area: &mut OptionArea, done: &mut Composed) {
    let Some(add_addr) = wanted.add_addr else {
        if let Some(ids) = wanted.remove_addr {
            done.put(
                MptcpOption::RemoveAddr(RemoveAddr { ids, reserved: 0 }),
                area,
            );
        }
        return;
    };
    let option = MptcpOption::AddAddr(add_addr);
    if done.put(option, area) {
        return;
    }
    let says_only_ack = wanted
        .dss
        .is_none_or(|dss| dss.mapping.is_none() && !dss.data_fin);
    let yields = says_only_ack && wanted.capable.is_none() && wanted.join.is_none();
    if wanted.segment == SegmentKind::PureAck && yields {
        let mut alone = before;
        let mut done_alone = Composed::default();
        if done_alone.put(option, &mut alone) {
            (*area, *done) = (alone, done_alone);
            return;
        }
    }
    let mut empty = OptionArea::new();
    let needs = option.emit(&mut empty).map_or(0, <[u8]>::len);
    done.add_addr_needs = Some(needs.next_multiple_of(4));
}

const fn bit(subtype: Subtype) -> u16 {
    1 << (subtype.0 & 0xf)
}

#[cfg(test)]
mod tests;
