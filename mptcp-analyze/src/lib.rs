//! Rebuilds Multipath TCP connections from packet captures and explains what happened to them.
//!
//! Data flows one way: `capture` (files to segments) → `rebuild` (segments to the `model`) →
//! `check` (model to findings) → `report` (model and findings to text or JSON).

pub mod capture;
pub mod check;
pub mod model;
pub mod rebuild;
pub mod report;
