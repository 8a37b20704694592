//! seislake-mseed
