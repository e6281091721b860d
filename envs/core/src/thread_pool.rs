//! A pool of a few threads that work on the parts of one job after another: halves of a minibatch, chunks of a
//! parameter vector, shares of many games.
//!
//! How a job is split never depends on the number of threads, so neither do results. Part i always goes to the same
//! thread, whose caches hold its data. Between jobs threads spin for a moment before they sleep: the smallest jobs take
//! some 50 µs, about as long as waking a thread.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{JoinHandle, park, sleep, yield_now};
use std::time::Duration;

/// Times a waiting thread polls before it parks: about 100 µs.
const SPINS: u32 = 4_000;

/// Times the caller polls, spinning and then yielding, before it sleeps while others work.
const POLLS: u32 = 5_000;

/// What every thread of a pool runs for a job, given its number.
type Job = dyn Fn(usize) + Sync;

/// The threads. Clones share the same threads, which work on one job at a time.
#[derive(Clone, Default)]
pub struct ThreadPool(Option<Arc<Threads>>);

struct Threads {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
    /// Held while a job runs.
    turn: Mutex<()>,
}

#[derive(Default)]
struct Shared {
    job: Mutex<Option<&'static Job>>,
    /// Jobs started so far.
    given: AtomicUsize,
    /// Threads that are still working on the job.
    busy: AtomicUsize,
    /// Whether one of them panicked.
    broken: AtomicBool,
    over: AtomicBool,
}

/// A poisoned lock is taken anyway: nothing that these locks guard can be left inconsistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ThreadPool {
    /// A pool of `threads` threads, the caller included; fewer where the system refuses more.
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let start = |number: usize| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("crew-{number}")).spawn(move || shared.work(number)).ok()
        };
        let handles: Vec<_> = (1..threads).map_while(start).collect();
        let some = !handles.is_empty();
        Self(some.then(|| Arc::new(Threads { shared, handles, turn: Mutex::new(()) })))
    }

    /// A thread for every core.
    pub fn on_all_cores() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// Runs `work` on every part, in parallel where there are threads. A call from within `work` runs serially.
    pub fn each<T: Send>(&self, parts: &mut [T], work: impl Fn(usize, &mut T) + Sync) {
        let turn = self.0.as_ref().filter(|_| parts.len() > 1).and_then(|t| Some((t, t.turn()?)));
        let Some((threads, _turn)) = turn else {
            return parts.iter_mut().enumerate().for_each(|(i, part)| work(i, part));
        };
        let parts: Vec<_> = parts.iter_mut().map(Mutex::new).collect();
        let step = threads.handles.len() + 1;
        threads.run(&|number| {
            for (i, part) in parts.iter().enumerate().skip(number).step_by(step) {
                work(i, &mut lock(part));
            }
        });
    }
}

impl Threads {
    /// The right to run a job, unless a job is running.
    fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            // An earlier job panicked; it is over.
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Returns when all threads have finished the job, even if one panicked, and then panics itself.
    #[allow(unsafe_code)]
    fn run(&self, job: &(dyn Fn(usize) + Sync)) {
        // SAFETY: only the reference's lifetime is made longer. Threads call the job between `given` going up and their
        // taking one off `busy`, and this function is not left before `busy` is 0, whatever happens.
        let forever = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static Job>(job) };
        let shared = &*self.shared;
        *lock(&shared.job) = Some(forever);
        shared.busy.store(self.handles.len(), Ordering::Relaxed);
        shared.given.fetch_add(1, Ordering::Release);
        self.handles.iter().for_each(|h| h.thread().unpark());
        let own = catch_unwind(AssertUnwindSafe(|| job(0)));
        let mut polls = 0;
        while shared.busy.load(Ordering::Acquire) > 0 {
            polls = (polls + 1).min(POLLS);
            match polls {
                ..SPINS => std::hint::spin_loop(),
                SPINS..POLLS => yield_now(),
                // A long job: another process may need the core.
                _ => sleep(Duration::from_micros(50)),
            }
        }
        *lock(&shared.job) = None;
        let broken = shared.broken.swap(false, Ordering::Relaxed);
        if let Err(panic) = own {
            resume_unwind(panic);
        }
        assert!(!broken, "a thread of a pool panicked");
    }
}

impl Shared {
    fn work(&self, number: usize) {
        let mut done = 0;
        loop {
            let mut polls = 0;
            while self.given.load(Ordering::Acquire) == done {
                polls += 1;
                if polls < SPINS { std::hint::spin_loop() } else { park() }
            }
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            // No other job is started before this one is done.
            done += 1;
            let job = *lock(&self.job);
            if catch_unwind(AssertUnwindSafe(|| job.into_iter().for_each(|job| job(number)))).is_err() {
                self.broken.store(true, Ordering::Relaxed);
            }
            self.busy.fetch_sub(1, Ordering::Release);
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        self.shared.given.fetch_add(1, Ordering::Release);
        for handle in self.handles.drain(..) {
            handle.thread().unpark();
            // The thread catches panics of its jobs.
            let _ = handle.join();
        }
    }
}

impl std::fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ThreadPool").field(&self.0.as_ref().map_or(1, |t| t.handles.len() + 1)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::current;

    /// Every part is worked on once a job, by the same thread in every job, also after threads have parked.
    #[test]
    fn parts_have_their_threads() {
        for threads in [1, 2, 3] {
            let (pool, mut parts) = (ThreadPool::new(threads), vec![(0, Vec::new()); 7]);
            for job in 0..200 {
                pool.each(&mut parts, |i, (sum, who)| {
                    *sum += i;
                    who.push(current().id());
                });
                if job % 50 == 0 {
                    sleep(Duration::from_millis(5));
                }
            }
            for (i, (sum, who)) in parts.iter().enumerate() {
                assert!(*sum == 200 * i && who.iter().all(|w| *w == who[0]));
                assert_eq!(who[0] == current().id(), i % threads == 0);
            }
        }
    }

    /// A panic surfaces in the caller once no thread works on the job any more, and the pool remains usable.
    #[test]
    fn panics_surface_in_the_caller_and_the_pool_survives_them() {
        let pool = ThreadPool::new(2);
        for broken in [[true, false], [false, true], [true, true]] {
            let mut parts = [0, 0];
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.each(&mut parts, |i, part| {
                    assert!(!broken[i], "on purpose");
                    sleep(Duration::from_millis(20));
                    *part = 1;
                });
            }));
            assert!(result.is_err());
            assert_eq!(parts, broken.map(|b| i32::from(!b)));
            let mut who = [None; 4];
            pool.each(&mut who, |_, who| *who = Some(current().id()));
            assert!(who[0] == who[2] && who[1] == who[3] && who[0] != who[1], "both work again: {who:?}");
        }
    }

    /// A job started within a job runs serially on its thread.
    #[test]
    fn jobs_within_jobs_are_done() {
        let pool = ThreadPool::new(2);
        let mut parts = [[0; 3]; 2];
        pool.each(&mut parts, |i, part| pool.each(part, |k, x| *x = 10 * i + k));
        assert_eq!(parts, [[0, 1, 2], [10, 11, 12]]);
    }
}
