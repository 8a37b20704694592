//! seislake-catalog
