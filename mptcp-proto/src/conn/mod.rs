//! A connection of several subflows.

pub mod mechanism;
