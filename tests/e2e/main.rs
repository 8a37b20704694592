//! End to end: the real binary through its public doors, and the rules of the house.

mod layering;
