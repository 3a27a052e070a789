//! Tests of decoding that need what is private to it.
