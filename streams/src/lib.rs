//! seislake-streams
