//! seislake-query
