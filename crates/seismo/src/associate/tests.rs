//! Associations against known events.
