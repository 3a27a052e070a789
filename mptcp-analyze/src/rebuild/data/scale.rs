//! From DSNs on the wire to data places and relative numbers.

use mptcp_proto::seq::Dsn;

use crate::rebuild::pack::pack_fields;

/// Knows which DSN the data places count from, and what relative numbers are relative to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scale {
    /// DSN of place 0.
    anchor: Option<Dsn>,
    /// Whether the anchor's upper half is known: only the lower half is, as long as all DSNs had
    /// four bytes and the keys are unknown.
    full_width: bool,
    /// Relative number of place 0.
    shift: i64,
    is_idsn: bool,
}

pack_fields!(Scale {
    anchor,
    full_width,
    shift,
    is_idsn,
});

impl Scale {
    /// A scale on which this DSN has this place and this relative number.
    pub(super) fn with(dsn: Dsn, place: i64) -> Self {
        Self {
            anchor: Some(Dsn(dsn.0.wrapping_sub(place.cast_unsigned()))),
            full_width: true,
            ..Self::default()
        }
    }

    /// Relative numbers count from `idsn` from now on. The first call decides.
    pub(super) fn set_idsn(&mut self, idsn: Dsn) {
        if self.is_idsn {
            return;
        }
        let anchor = match self.anchor {
            None => idsn,
            Some(anchor) if self.full_width => anchor,
            Some(anchor) => Dsn::expand(anchor.low(), idsn),
        };
        self.anchor = Some(anchor);
        self.full_width = true;
        self.shift = anchor.offset_from(idsn);
        self.is_idsn = true;
    }

    /// DSN that relative numbers count from.
    pub(super) fn base(&self) -> Option<Dsn> {
        let anchor = self.anchor?;
        Some(Dsn(anchor.0.wrapping_sub(self.shift.cast_unsigned())))
    }

    pub(super) fn is_idsn(&self) -> bool {
        self.is_idsn
    }

    /// Place of a DSN that was sent in full. The first DSN ever becomes place 1.
    pub(super) fn place_of_long(&mut self, dsn: Dsn, near: i64) -> i64 {
        if self.anchor.is_none() {
            self.anchor = Some(Dsn(dsn.0.wrapping_sub(1)));
            self.full_width = true;
        }
        if !self.full_width {
            let place = self.place_of_short(dsn.low(), near);
            self.anchor = Some(Dsn(dsn.0.wrapping_sub(place.cast_unsigned())));
            self.full_width = true;
        }
        self.anchor.map_or(1, |anchor| dsn.offset_from(anchor))
    }

    /// Place of a DSN of which only the lower half was sent: the one nearest to `near`.
    pub(super) fn place_of_short(&mut self, low: u32, near: i64) -> i64 {
        let anchor = *self
            .anchor
            .get_or_insert(Dsn(u64::from(low).wrapping_sub(1)));
        let near = Dsn(anchor.0.wrapping_add(near.cast_unsigned()));
        Dsn::expand(low, near).offset_from(anchor)
    }

    /// Full DSN of a place, if its upper half is known.
    pub(super) fn full_dsn(&self, place: i64) -> Option<Dsn> {
        self.anchor
            .filter(|_| self.full_width)
            .map(|anchor| anchor.add(place.cast_unsigned()))
    }

    /// DSN of a place, whose upper half may be a guess.
    pub(super) fn dsn(&self, place: i64) -> Option<Dsn> {
        self.anchor.map(|anchor| anchor.add(place.cast_unsigned()))
    }

    pub(super) fn place(&self, relative: i64) -> i64 {
        relative.wrapping_sub(self.shift)
    }

    pub(super) fn relative(&self, place: i64) -> i64 {
        place.wrapping_add(self.shift)
    }

    /// What has to be added to places of `other` to make them places of `self`.
    pub(super) fn distance(&self, other: &Self, near: i64) -> i64 {
        let (Some(own), Some(theirs)) = (self.anchor, other.anchor) else {
            return 0;
        };
        if self.full_width && other.full_width {
            return theirs.offset_from(own);
        }
        let near = own.add(near.cast_unsigned());
        Dsn::expand(theirs.low(), near).offset_from(own)
    }

    /// Takes over what `other`, whose places are `distance` apart, knows better.
    pub(super) fn learn(&mut self, other: &Self, distance: i64) {
        let Some(theirs) = other.anchor else {
            return;
        };
        if self.anchor.is_none() {
            *self = *other;
            return;
        }
        if other.full_width && !self.full_width {
            self.anchor = Some(Dsn(theirs.0.wrapping_sub(distance.cast_unsigned())));
            self.full_width = true;
        }
        if let (true, Some(idsn)) = (other.is_idsn, other.base()) {
            self.set_idsn(idsn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_dsn_is_byte_one_until_the_idsn_is_known() {
        let mut scale = Scale::default();
        let place = scale.place_of_long(Dsn(1000), 0);
        assert_eq!((place, scale.relative(place)), (1, 1));
        scale.set_idsn(Dsn(900));
        assert_eq!(scale.relative(place), 100);
        assert_eq!(scale.place(100), place);
        assert_eq!(scale.base(), Some(Dsn(900)));
    }

    #[test]
    fn short_numbers_get_their_upper_half_from_the_idsn() {
        let mut scale = Scale::default();
        let place = scale.place_of_short(5, 0);
        assert_eq!(scale.full_dsn(place), None);
        scale.set_idsn(Dsn(0x7_ffff_fff0));
        assert_eq!(scale.full_dsn(place), Some(Dsn(0x8_0000_0005)));
        assert_eq!(scale.relative(place), 0x15);
    }

    #[test]
    fn short_numbers_get_their_upper_half_from_a_long_one() {
        let mut scale = Scale::default();
        let place = scale.place_of_short(0xffff_fff0, 0);
        let long = scale.place_of_long(Dsn(0x8_0000_0010), place);
        assert_eq!(long - place, 0x20);
        assert_eq!(scale.full_dsn(place), Some(Dsn(0x7_ffff_fff0)));
    }

    #[test]
    fn short_numbers_expand_across_the_wrap_in_both_directions() {
        let mut scale = Scale::default();
        scale.set_idsn(Dsn(u64::MAX - 10));
        assert_eq!(scale.place_of_short(5, 0), 16);
        assert_eq!(scale.place_of_short(0xffff_fff0, 16), -5);
    }
}
