//! Picks, associations and locations of real recordings in one go.

mod iceland;
