//! Reno on each subflow by itself (RFC 5681).

use super::Kind;
use super::flows::Rule;

/// Additive increase, multiplicative decrease.
#[derive(Debug)]
pub(super) struct Reno;

impl Rule for Reno {
    const KIND: Kind = Kind::Reno;

    type State = ();
}
