//! Tests of the analyzer as a library.

mod capture;
