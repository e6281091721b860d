//! No environment allocates in `step`, ends and restarts of episodes included, but for those whose rows say that the
//! engine they are built on does; how often these do is printed.

mod variants;

use agon_core::contract::Harness;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use variants::variants;

struct Counting;

thread_local!(static COUNT: Cell<usize> = const { Cell::new(0) });

// SAFETY: every call goes to the system allocator unchanged; the counter is a plain thread-local number.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|c| c.set(c.get() + 1));
        // SAFETY: the caller's layout is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's pointer and layout are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn stepping_does_not_allocate() {
    for entry in agon_envs::registry() {
        let (mut ends, mut allocations) = (0, 0);
        for settings in variants(entry.id) {
            let mut h = Harness::new(entry.build(settings.as_object().unwrap(), 16, 1).unwrap(), 1);
            for step in 0..1200 {
                h.choose();
                let before = COUNT.with(Cell::get);
                h.step();
                let after = COUNT.with(Cell::get);
                allocations += after - before;
                let none = entry.allocates || after == before;
                assert!(none, "{} {settings} allocates at step {step}", entry.id);
                ends += h.env.ended().len();
            }
        }
        if entry.allocates {
            assert!(allocations > 0, "{} does not allocate: its row need not say so", entry.id);
            println!("{} allocates, as its row says: {allocations} times in 1,200 steps of 16", entry.id);
        }
        assert!(ends > 0, "{}: no episode ended, so the test saw no restart", entry.id);
    }
}
