//! Tests that cross crates: the analyzer on crafted and on recorded captures.

mod craft;
