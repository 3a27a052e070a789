//! Sequence numbers that wrap, in types that do not mix.

use std::fmt;

/// Absolute TCP sequence number (RFC 9293 §3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpSeq(pub u32);

/// Subflow sequence number, relative to the subflow's ISN: the first byte is 1 (RFC 8684 §3.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Ssn(pub u32);

/// Data sequence number, always in full width (RFC 8684 §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Dsn(pub u64);

/// The peers choose these numbers, so no operation on them may panic, and none has an order that
/// would hold across the wrap: comparisons go through a distance.
macro_rules! wrapping_number {
    ($name:ident, $unsigned:ty, $signed:ty) => {
        impl $name {
            /// The number `n` further on, around the wrap if need be.
            #[must_use]
            pub const fn add(self, n: $unsigned) -> Self {
                Self(self.0.wrapping_add(n))
            }

            /// How far this number lies after `earlier`; none when it lies before it, that is
            /// when the difference is half of the number space or more.
            pub const fn distance_from(self, earlier: Self) -> Option<$unsigned> {
                let distance = self.0.wrapping_sub(earlier.0);
                if distance <= <$signed>::MAX.cast_unsigned() {
                    Some(distance)
                } else {
                    None
                }
            }

            /// Signed distance from `origin`, negative when this number lies before it.
            pub const fn offset_from(self, origin: Self) -> $signed {
                self.0.wrapping_sub(origin.0).cast_signed()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

wrapping_number!(TcpSeq, u32, i32);
wrapping_number!(Ssn, u32, i32);
wrapping_number!(Dsn, u64, i64);

impl Dsn {
    /// The data sequence number with these low 32 bits that is nearest to `near` (RFC 8684
    /// §3.3.1: a 4-octet number is the low half of the full one).
    ///
    /// Exactly half way in between, the later one is taken.
    #[must_use]
    pub const fn expand(low: u32, near: Self) -> Self {
        let backwards = near.low().wrapping_sub(low);
        if backwards < 1 << 31 {
            Self(near.0.wrapping_sub(backwards as u64))
        } else {
            Self(near.0.wrapping_add(low.wrapping_sub(near.low()) as u64))
        }
    }

    /// The low 32 bits, which is what a 4-octet field carries.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low half is what is asked for"
    )]
    pub const fn low(self) -> u32 {
        self.0 as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_expand(near: u64, low: u32, expected: u64) {
        assert_eq!(Dsn::expand(low, Dsn(near)), Dsn(expected));
    }

    #[test]
    fn four_byte_dsn_expands_across_the_wrap() {
        check_expand(0x1_ffff_fff0, 0x0000_0004, 0x2_0000_0004);
    }

    #[test]
    fn four_byte_dsn_expands_back_across_the_wrap() {
        check_expand(0x2_0000_0004, 0xffff_fff0, 0x1_ffff_fff0);
    }

    #[test]
    fn four_byte_dsn_expands_across_the_end_of_64_bits() {
        check_expand(0xffff_ffff_ffff_fff0, 4, 4);
        check_expand(4, 0xffff_fff0, 0xffff_ffff_ffff_fff0);
    }

    #[test]
    fn four_byte_dsn_half_way_expands_forwards() {
        check_expand(0x5_0000_0000, 0x8000_0000, 0x5_8000_0000);
        check_expand(0x5_0000_0000, 0x8000_0001, 0x4_8000_0001);
    }

    #[test]
    fn distance_holds_across_the_wrap() {
        assert_eq!(Ssn(4).distance_from(Ssn(0xffff_fffc)), Some(8));
        assert_eq!(Dsn(0).distance_from(Dsn(u64::MAX)), Some(1));
        assert_eq!(TcpSeq(7).distance_from(TcpSeq(7)), Some(0));
    }

    #[test]
    fn a_number_half_the_space_away_lies_before() {
        assert_eq!(TcpSeq(0x8000_0000).distance_from(TcpSeq(0)), None);
        assert_eq!(
            TcpSeq(0x7fff_ffff).distance_from(TcpSeq(0)),
            Some(0x7fff_ffff)
        );
        assert_eq!(Dsn(u64::MAX).distance_from(Dsn(0)), None);
    }

    #[test]
    fn offset_is_negative_before_the_origin() {
        assert_eq!(Ssn(0xffff_fffc).offset_from(Ssn(4)), -8);
        assert_eq!(Dsn(4).offset_from(Dsn(u64::MAX)), 5);
    }

    #[test]
    fn addition_wraps() {
        assert_eq!(TcpSeq(u32::MAX).add(2), TcpSeq(1));
        assert_eq!(Dsn(u64::MAX).add(1), Dsn(0));
    }
}
