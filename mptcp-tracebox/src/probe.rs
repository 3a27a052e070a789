//! What can be asked of a path: a SYN with certain options, or a segment of an established connection.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use mptcp_proto::random::RandomSource;
use mptcp_proto::wire::tcp_option::TcpOptions;

use crate::packet::MAX_OPTIONS;

/// A kind of probe.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Probe {
    /// A SYN with the options of plain TCP: the control of all others.
    Syn,
    /// A SYN with MP_CAPABLE of version 1 that asks for checksums (RFC 8684 §3.1).
    CapableV1,
    /// A SYN with MP_CAPABLE of version 0 (RFC 6824 §3.1).
    CapableV0,
    /// A SYN with MP_JOIN and a token that nobody has (RFC 8684 §3.2).
    Join,
    /// A SYN that asks for ECN with ECE and CWR (RFC 3168 §6.1.1); what is to run out of TTL is ECT(0), too.
    Ecn,
    /// A SYN with these options, in bytes.
    Options(Vec<u8>),
    /// The first data of a connection, with MP_CAPABLE, and the next, with DSS (RFC 8684 §3.1, §3.3).
    Dss,
    /// ADD_ADDR on an ACK of a connection (RFC 8684 §3.4.1).
    AddAddr,
    /// MP_PRIO on an ACK of a connection (RFC 8684 §3.3.8).
    Prio,
    /// MP_FASTCLOSE on an ACK of a connection (RFC 8684 §3.5).
    FastClose,
    /// An ACK of a connection for data that nobody has sent (RFC 9293 §3.10.7.4).
    UnseenAck,
    /// A plain SYN to another port of the target, on which surely nobody listens.
    OtherPort,
    /// An ACK to that port, without a connection.
    StrayAck,
}

/// When a probe is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// As the first segment of a connection.
    Syn,
    /// Within an established connection.
    Data,
    /// To another port, to be compared with what comes from the one that is asked about.
    Compare,
}

impl Probe {
    /// All that matters for MPTCP, the control first.
    pub const ALL: [Self; 12] = [
        Self::Syn,
        Self::CapableV1,
        Self::CapableV0,
        Self::Join,
        Self::Ecn,
        Self::Dss,
        Self::AddAddr,
        Self::Prio,
        Self::FastClose,
        Self::UnseenAck,
        Self::OtherPort,
        Self::StrayAck,
    ];

    /// A SYN that asks for a Fast Open cookie (RFC 7413 §4.1.1): `tfo`, the same as `34:`.
    pub fn fast_open() -> Self {
        Self::Options(FAST_OPEN.to_vec())
    }

    /// A SYN with a signature of RFC 2385, which nobody can check: `md5`.
    pub fn md5() -> Self {
        Self::Options(MD5.to_vec())
    }

    /// When it is sent.
    pub const fn phase(&self) -> Phase {
        match self {
            Self::Syn
            | Self::CapableV1
            | Self::CapableV0
            | Self::Join
            | Self::Ecn
            | Self::Options(_) => Phase::Syn,
            Self::Dss | Self::AddAddr | Self::Prio | Self::FastClose | Self::UnseenAck => {
                Phase::Data
            }
            Self::OtherPort | Self::StrayAck => Phase::Compare,
        }
    }

    /// The special options of a SYN; secrets and random numbers in them come from `random`.
    pub fn syn_options(&self, random: &mut dyn RandomSource) -> Vec<u8> {
        match self {
            Self::CapableV1 => vec![30, 4, 0x01, 0x81],
            Self::CapableV0 => {
                let mut option = vec![30, 12, 0x00, 0x81];
                option.extend(random.next_u64().to_be_bytes());
                option
            }
            Self::Join => {
                let mut option = vec![30, 12, 0x10, ADDRESS_ID];
                option.extend(random.next_u64().to_be_bytes());
                option
            }
            Self::Options(bytes) => bytes.clone(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Syn => "syn",
            Self::CapableV1 => "mpc1",
            Self::CapableV0 => "mpc0",
            Self::Join => "join",
            Self::Ecn => "ecn",
            Self::Dss => "dss",
            Self::AddAddr => "add-addr",
            Self::Prio => "prio",
            Self::FastClose => "fastclose",
            Self::UnseenAck => "unseen-ack",
            Self::OtherPort => "other-port",
            Self::StrayAck => "stray-ack",
            Self::Options(bytes) if *bytes == FAST_OPEN => "tfo",
            Self::Options(bytes) if *bytes == MD5 => "md5",
            Self::Options(bytes) => {
                let options = TcpOptions::new(bytes).map_while(Result::ok);
                let texts = options.map(|option| {
                    let mut hex = String::new();
                    for byte in option.data() {
                        // Writing to a string cannot fail.
                        let _ = write!(hex, "{byte:02x}");
                    }
                    format!("{}:{hex}", option.kind)
                });
                return f.pad(&texts.collect::<Vec<_>>().join(","));
            }
        })
    }
}

/// A probe that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// No name, and no `KIND:HEX`.
    #[error(
        "`{0}` is no probe: mpc1, mpc0, join, ecn, syn, dss, add-addr, prio, fastclose, unseen-ack, other-port, stray-ack, tfo, md5, or KIND:HEX like 253:f989"
    )]
    Unknown(String),
    /// The value is not written in pairs of hexadecimal digits.
    #[error("`{0}` is not hexadecimal: two digits for each byte")]
    Hex(String),
    /// Kinds 0 and 1 have neither length nor value.
    #[error("kind {0} has no value: it ends or pads the list of options")]
    Kind(u8),
    /// The SYN has no room for it beside the usual options.
    #[error("an option with {0} bytes of value: a SYN has room for {MAX_VALUE}")]
    TooLong(usize),
}

impl FromStr for Probe {
    type Err = ProbeError;

    fn from_str(text: &str) -> Result<Self, ProbeError> {
        if let Some(known) = Self::ALL
            .into_iter()
            .find(|probe| probe.to_string() == text)
        {
            return Ok(known);
        }
        match text {
            "tfo" => return Ok(Self::fast_open()),
            "md5" => return Ok(Self::md5()),
            _ => {}
        }
        let unknown = || ProbeError::Unknown(text.to_owned());
        let (kind, hex) = text.split_once(':').ok_or_else(unknown)?;
        let kind: u8 = kind.parse().map_err(|_| unknown())?;
        if kind < 2 {
            return Err(ProbeError::Kind(kind));
        }
        let value = bytes(hex).ok_or_else(|| ProbeError::Hex(hex.to_owned()))?;
        if value.len() > MAX_VALUE {
            return Err(ProbeError::TooLong(value.len()));
        }
        let len = u8::try_from(value.len() + 2).unwrap_or(u8::MAX);
        Ok(Self::Options([&[kind, len][..], &value].concat()))
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect();
    let digits = digits?;
    let pairs = digits.chunks_exact(2);
    let is_even = pairs.remainder().is_empty();
    is_even.then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Asks for a cookie.
const FAST_OPEN: [u8; 2] = [34, 2];
/// The signature is all zeros.
const MD5: [u8; 18] = {
    let mut option = [0; 18];
    [option[0], option[1]] = [19, 18];
    option
};
/// Address id of the join that is refused.
const ADDRESS_ID: u8 = 1;
/// Options of a plain SYN: MSS, SACK permitted, timestamps, a no-operation, window scale.
pub const PLAIN_OPTIONS: usize = 20;
/// Value of an option that fits in beside those.
const MAX_VALUE: usize = MAX_OPTIONS - PLAIN_OPTIONS - 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_are_two_forms_of_the_same() {
        for probe in Probe::ALL {
            assert_eq!(probe.to_string().parse(), Ok(probe));
        }
        let raw: Probe = "253:F989aa".parse().unwrap();
        assert_eq!(raw, Probe::Options(vec![253, 5, 0xf9, 0x89, 0xaa]));
        assert_eq!(raw.to_string(), "253:f989aa");
        assert_eq!("34:".parse(), Ok(Probe::fast_open()));
        for name in ["tfo", "md5"] {
            let probe: Probe = name.parse().unwrap();
            assert_eq!(probe.to_string(), name);
        }
    }

    #[test]
    fn what_is_no_probe_is_refused_with_the_reason() {
        let check = |text: &str| text.parse::<Probe>().unwrap_err();
        assert_eq!(check("mpc2"), ProbeError::Unknown("mpc2".to_owned()));
        assert_eq!(check("300:00"), ProbeError::Unknown("300:00".to_owned()));
        assert_eq!(check("1:00"), ProbeError::Kind(1));
        assert_eq!(check("253:0"), ProbeError::Hex("0".to_owned()));
        assert_eq!(check("253:0g"), ProbeError::Hex("0g".to_owned()));
        assert_eq!(
            check(&format!("253:{}", "00".repeat(19))),
            ProbeError::TooLong(19)
        );
    }
}
