//! Recorded picks with reference hypocentres; skipped where the recordings are not at hand.
#![allow(clippy::disallowed_methods, reason = "tests read recordings")]
