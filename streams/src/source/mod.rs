//! Where records come from. Each source offers what it has to the gate.

pub mod body;
pub mod files;
pub mod inspect;
pub mod packed;
mod reader;
pub mod regular;
pub mod sequence;
#[cfg(test)]
mod tests;
pub mod walk;
