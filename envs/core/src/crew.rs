//! A few threads that work on parts of the same job, again and again: halves of a minibatch, stretches of a parameter
//! vector, shares of many games.
//!
//! What the parts are never depends on how many threads there are, so neither do results. A part is always the same
//! thread's, whose caches know it. Between jobs threads wait busily for a moment: the smallest take some 50 µs, about as
//! long as waking somebody does.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{JoinHandle, park, sleep, yield_now};
use std::time::Duration;

/// Looks at what is waited for before a thread that waits lets go of its core: 100 µs or so.
const LOOKS: u32 = 4_000;

/// Looks, and turns given to others, before the caller sleeps while others are at work.
const TURNS: u32 = 5_000;

/// What every thread of a crew does in a job, told its number.
type Job = dyn Fn(usize) + Sync;

/// The threads. Clones are the same threads; they work for one at a time.
#[derive(Clone, Default)]
pub struct Crew(Option<Arc<Threads>>);

struct Threads {
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
    /// Whoever has them work.
    turn: Mutex<()>,
}

#[derive(Default)]
struct Shared {
    job: Mutex<Option<&'static Job>>,
    /// Jobs given out so far.
    given: AtomicUsize,
    /// Threads that are still at work.
    busy: AtomicUsize,
    /// Whether one of them panicked.
    broken: AtomicBool,
    over: AtomicBool,
}

/// Nothing that these locks guard can be left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crew {
    /// So many threads, the caller's included; fewer where no more can be had.
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

    /// Does `work` on every part, side by side where there are threads. Within `work`, crews do one thing at a time.
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
    /// To have them work, if nobody else has.
    fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match self.turn.try_lock() {
            Ok(turn) => Some(turn),
            // Somebody's job panicked; it is over.
            Err(TryLockError::Poisoned(turn)) => Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Returns when all have done the job, also where somebody panicked, and panics then.
    #[allow(unsafe_code)]
    fn run(&self, job: &(dyn Fn(usize) + Sync)) {
        // SAFETY: only the reference's lifetime is made longer. Threads call the job between `given` going up and their
        // taking one off `busy`, and this function is not left before `busy` is 0, come what may.
        let forever = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static Job>(job) };
        let shared = &*self.shared;
        *lock(&shared.job) = Some(forever);
        shared.busy.store(self.handles.len(), Ordering::Relaxed);
        shared.given.fetch_add(1, Ordering::Release);
        self.handles.iter().for_each(|h| h.thread().unpark());
        let own = catch_unwind(AssertUnwindSafe(|| job(0)));
        let mut looks = 0;
        while shared.busy.load(Ordering::Acquire) > 0 {
            looks = (looks + 1).min(TURNS);
            match looks {
                ..LOOKS => std::hint::spin_loop(),
                LOOKS..TURNS => yield_now(),
                // A long job: somebody else may need the core.
                _ => sleep(Duration::from_micros(50)),
            }
        }
        *lock(&shared.job) = None;
        let broken = shared.broken.swap(false, Ordering::Relaxed);
        if let Err(panic) = own {
            resume_unwind(panic);
        }
        assert!(!broken, "a thread of a crew panicked");
    }
}

impl Shared {
    fn work(&self, number: usize) {
        let mut done = 0;
        loop {
            let mut looks = 0;
            while self.given.load(Ordering::Acquire) == done {
                looks += 1;
                if looks < LOOKS { std::hint::spin_loop() } else { park() }
            }
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            // Nobody gives out another job before this one is done.
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
            // It caught what panicked.
            let _ = handle.join();
        }
    }
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Crew").field(&self.0.as_ref().map_or(1, |t| t.handles.len() + 1)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::current;

    /// Every part is worked on once a job, by the same thread in every job, also after threads have gone to sleep.
    #[test]
    fn parts_have_their_threads() {
        for threads in [1, 2, 3] {
            let (crew, mut parts) = (Crew::new(threads), vec![(0, Vec::new()); 7]);
            for job in 0..200 {
                crew.each(&mut parts, |i, (sum, who)| {
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

    /// A panic comes out where the job was given, when nobody works on it any more, and the crew is as good as before.
    #[test]
    fn panics_come_out_and_crews_survive_them() {
        let crew = Crew::new(2);
        for broken in [[true, false], [false, true], [true, true]] {
            let mut parts = [0, 0];
            let result = catch_unwind(AssertUnwindSafe(|| {
                crew.each(&mut parts, |i, part| {
                    assert!(!broken[i], "on purpose");
                    sleep(Duration::from_millis(20));
                    *part = 1;
                });
            }));
            assert!(result.is_err());
            assert_eq!(parts, broken.map(|b| i32::from(!b)));
            let mut who = [None; 4];
            crew.each(&mut who, |_, who| *who = Some(current().id()));
            assert!(who[0] == who[2] && who[1] == who[3] && who[0] != who[1], "both work again: {who:?}");
        }
    }

    /// Who is at work already does what is within alone.
    #[test]
    fn jobs_within_jobs_are_done() {
        let crew = Crew::new(2);
        let mut parts = [[0; 3]; 2];
        crew.each(&mut parts, |i, part| crew.each(part, |k, x| *x = 10 * i + k));
        assert_eq!(parts, [[0, 1, 2], [10, 11, 12]]);
    }
}
