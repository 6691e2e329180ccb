//! Threads that help with work in many parts, as often as there is some: products, evaluation, experiments.

use std::hint::spin_loop;
use std::mem::transmute;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a thread looks for news before it gives its core up: longer than what lies between two products of a training
/// step, and nothing to whoever else wants the core.
const PATIENCE: Duration = Duration::from_micros(200);

/// Work that the threads do together. It lies on the stack of the thread that has it to do.
struct Task {
    /// Each thread calls it once, and it does what parts it can get.
    work: *const (dyn Fn() + Sync),
    /// How many helpers are at it.
    busy: AtomicUsize,
    panicked: AtomicBool,
}

/// What the threads tell each other.
pub struct Helpers {
    open: Mutex<Open>,
    news: Condvar,
    /// How many tasks there were.
    tasks: AtomicUsize,
}

/// The task that helpers may join, and how many more of them.
struct Open {
    task: Option<*const Task>,
    room: usize,
}

// SAFETY: the pointer is followed by helpers alone, as `Helpers::run` says; what it points to is `Sync`.
unsafe impl Send for Open {}

impl Helpers {
    /// A helper for each core but one; at least one, so that a machine with a single core does the same.
    pub fn all() -> &'static Helpers {
        static HELPERS: OnceLock<&Helpers> = OnceLock::new();
        HELPERS.get_or_init(|| {
            let open = Mutex::new(Open { task: None, room: 0 });
            let helpers = Helpers { open, news: Condvar::new(), tasks: AtomicUsize::new(0) };
            let helpers: &Helpers = Box::leak(Box::new(helpers));
            let cores = thread::available_parallelism().map_or(1, usize::from);
            for _ in 1..cores.max(2) {
                // Where the system has no thread to give, those that are there do the work.
                thread::Builder::new().name("helper".into()).spawn(|| helpers.help()).ok();
            }
            helpers
        })
    }

    /// Calls `work` on this thread, and on up to `threads - 1` helpers that come while it runs. It returns when all of them
    /// have. Where the helpers have a task already, this thread works alone.
    pub fn run(&self, threads: usize, work: &(dyn Fn() + Sync)) {
        let mut open = self.lock();
        if open.task.is_some() {
            drop(open);
            return work();
        }
        // SAFETY: only the lifetime changes. A helper counts itself as busy while the task is open, before it calls `work`;
        // below, the task is closed and then none is busy, before this function returns or unwinds.
        let work_for_all = unsafe { transmute::<*const (dyn Fn() + Sync + '_), *const (dyn Fn() + Sync)>(work) };
        let task = Task { work: work_for_all, busy: AtomicUsize::new(0), panicked: AtomicBool::new(false) };
        *open = Open { task: Some(&raw const task), room: threads - 1 };
        self.tasks.fetch_add(1, Ordering::Release);
        drop(open);
        self.news.notify_all();
        let result = catch_unwind(AssertUnwindSafe(work));
        self.lock().task = None;
        wait(|| task.busy.load(Ordering::Acquire) == 0);
        if let Err(panic) = result {
            resume_unwind(panic);
        }
        assert!(!task.panicked.into_inner(), "a helper panicked");
    }

    /// What a helper does, for as long as the program runs.
    fn help(&self) {
        let mut seen = 0;
        loop {
            let start = Instant::now();
            while self.tasks.load(Ordering::Acquire) == seen && start.elapsed() < PATIENCE {
                spin_loop();
            }
            let mut open = self.lock();
            while self.tasks.load(Ordering::Acquire) == seen {
                open = self.news.wait(open).unwrap_or_else(PoisonError::into_inner);
            }
            seen = self.tasks.load(Ordering::Acquire);
            let Some(task) = open.task.filter(|_| open.room > 0) else { continue };
            open.room -= 1;
            // SAFETY: the task is there while it is open and while this helper is busy: see `run`.
            let task = unsafe { &*task };
            task.busy.fetch_add(1, Ordering::Relaxed); // seen with the lock
            drop(open);
            // SAFETY: the same.
            if catch_unwind(AssertUnwindSafe(|| unsafe { (*task.work)() })).is_err() {
                task.panicked.store(true, Ordering::Relaxed);
            }
            task.busy.fetch_sub(1, Ordering::Release);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until `done`, at first without giving the core up.
fn wait(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        if start.elapsed() < PATIENCE { spin_loop() } else { thread::yield_now() }
    }
}
