//! What the doors read from the lake: one module per kind of row, each with its SQL statement.
//!
//! All three doors (GraphQL, `/events`, FDSN) read through here, so an event looks the same at each of them.

mod columns;
mod events;
mod page;
mod pieces;
mod quality;
mod restrictions;
mod segments;
mod selection;
mod solutions;
mod statement;
mod stations;
mod updates;

pub(crate) use columns::{FromRow, Row, read};
pub(crate) use events::{
    Area, EventFilter, EventOrder, EventRow, Radius, agencies, count_events, events, events_by_id, survivors,
};
pub(crate) use page::{Interval, Page, SortKey};
pub(crate) use pieces::{Piece, Pieces, SegmentsAt, extents, pieces, topic_number};
pub(crate) use quality::quality_flag;
pub(crate) use restrictions::{Restrictions, Window, is_station_closed};
pub(crate) use segments::{SegmentFilter, SegmentRow, WithSamples, count_segments, segments};
pub(crate) use selection::{Patterns, Selection, add_conditions, windows_of};
pub(crate) use solutions::{
    Near, PickFilter, amplitudes_of_events, arrivals_of_events, arrivals_of_origins, arrivals_of_picks,
    count_picks, magnitudes_of_events, origins_of_events, picks, picks_by_id, preferred_origins,
};
pub(crate) use statement::{Conditions, query_failure};
pub(crate) use stations::StationFilter;
pub(crate) use updates::Updates;
