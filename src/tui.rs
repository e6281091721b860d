//! The dashboard. It reads events, wherever they come from, and knows no trainer.
//!
//! `app` is the loop of every full-screen view, `live` the dashboard of a run under way; `model` holds all that is shown, `view` draws it, `pane` has one file a pane; `together` shows several runs on one page.

pub mod app;
pub mod live;
pub mod model;
pub mod pane;
pub mod pictures;
pub mod together;
pub mod view;
