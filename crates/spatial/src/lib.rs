//! seislake-spatial
