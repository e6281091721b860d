//! A few threads that work on parts of the same small job, again and again: halves of a minibatch, stretches of a
//! parameter vector.
//!
//! What the parts are never depends on how many threads there are, so neither do results.

use rayon::prelude::*;
use std::sync::Arc;

/// The threads. Clones are the same threads.
#[derive(Clone, Debug, Default)]
pub struct Crew(Option<Arc<rayon::ThreadPool>>);

impl Crew {
    /// So many threads; the caller's alone where there is one, or where no more can be had.
    pub fn new(threads: usize) -> Self {
        if threads < 2 {
            return Self(None);
        }
        Self(rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok().map(Arc::new))
    }

    /// Runs what calls [`Crew::each`] many times among the threads: from outside, every call would have to wake them.
    pub fn inside<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.0 {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Does `work` on every part, side by side where there are threads.
    pub fn each<T: Send>(&self, parts: &mut [T], work: impl Fn(usize, &mut T) + Sync) {
        match &self.0 {
            Some(_) if parts.len() > 1 => {
                self.inside(|| parts.par_iter_mut().enumerate().for_each(|(i, part)| work(i, part)));
            }
            _ => parts.iter_mut().enumerate().for_each(|(i, part)| work(i, part)),
        }
    }
}
