//! seislake-exchange
