//! Fuzz bodies.

pub mod capture;
