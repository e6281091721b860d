//! Agon.
