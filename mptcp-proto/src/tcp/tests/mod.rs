//! Segment by segment, in virtual time.
