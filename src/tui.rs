//! The dashboard. It reads events, wherever they come from, and knows no trainer.
//!
//! `model` holds all that is shown, `view` draws it, `pane` has one file a pane.

pub mod live;
pub mod model;
pub mod pane;
pub mod view;
