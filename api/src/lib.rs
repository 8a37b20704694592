//! seislake-api
