//! What a run found out, for people and for programs.

pub mod dot;
pub mod json;
pub mod sides;
pub mod text;
pub mod word;

#[cfg(test)]
pub(crate) mod tests;
