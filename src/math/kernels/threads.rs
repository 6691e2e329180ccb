//! Threads that help with work in many parts, as often as there is some: products, evaluation,
//! experiments.

use std::hint::spin_loop;
use std::mem::{forget, replace, transmute};
use std::process::abort;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Cpu;

/// How long a thread looks for more work before it gives its core up: longer than what lies between
/// two products of a training step, and nothing to whoever else wants the core.
const PATIENCE: Duration = Duration::from_micros(200);

/// A helper for each core but one.
#[derive(Default)]
pub(super) struct Pool {
    task: Mutex<Task>,
    posted: Condvar,
    /// How many tasks there were.
    tasks: AtomicUsize,
}

/// What the helpers may join.
#[derive(Default)]
struct Task {
    /// It lies on the stack of the thread that has it to do; None where there is nothing to join.
    work: Option<&'static (dyn Fn() + Sync)>,
    /// How many more helpers may join.
    room: usize,
    /// How many are at it.
    busy: usize,
}

impl Pool {
    /// At least one helper, so that a machine with a single core does the same.
    pub(super) fn of_all_cores() -> &'static Pool {
        static POOL: LazyLock<&Pool> = LazyLock::new(|| {
            let pool: &Pool = Box::leak(Box::default());
            let cores = thread::available_parallelism().map_or(1, usize::from);
            for _ in 1..cores.max(2) {
                // Where the system has no thread to give, those that are there do the work.
                thread::Builder::new().name("helper".into()).spawn(|| pool.help()).ok();
            }
            pool
        });
        *POOL
    }

    /// Does `work` on each of `items`, on this thread and on up to `threads - 1` helpers. A thread
    /// takes an item when it is free, so one that does not get its core holds up no more than the
    /// item that it has. Where the helpers have a task already, this thread works alone.
    pub(super) fn each<T>(
        &self,
        threads: usize,
        items: impl Iterator<Item = T> + Send,
        work: impl Fn(T) + Sync,
    ) {
        let items = Mutex::new(items);
        let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            while let Some(item) = next() {
                work(item);
            }
        };
        let mut task = self.lock();
        if task.work.is_some() || task.busy > 0 {
            drop(task);
            return work();
        }
        // SAFETY: only the lifetime changes. Helpers join while the task is open; `Close` closes it
        // and waits until none is busy before this function returns or unwinds.
        task.work =
            Some(unsafe { transmute::<&(dyn Fn() + Sync), &'static (dyn Fn() + Sync)>(&work) });
        task.room = threads - 1;
        self.tasks.fetch_add(1, Ordering::Release);
        drop(task);
        let _close = Close(self);
        (1..threads).for_each(|_| self.posted.notify_one());
        work();
    }

    /// What a helper does, for as long as the program runs.
    fn help(&self) {
        let mut seen = 0;
        let mut worked = false;
        loop {
            let start = Instant::now();
            let is_posted = || self.tasks.load(Ordering::Acquire) != seen;
            while worked && !is_posted() && start.elapsed() < PATIENCE {
                spin_loop();
            }
            let mut task = self.lock();
            while !is_posted() {
                task = self.posted.wait(task).unwrap_or_else(PoisonError::into_inner);
            }
            seen = self.tasks.load(Ordering::Acquire);
            let work = task.work.filter(|_| task.room > 0);
            worked = work.is_some();
            let Some(work) = work else { continue };
            task.room -= 1;
            task.busy += 1;
            drop(task);
            let abort = AbortOnPanic;
            work();
            forget(abort);
            self.lock().busy -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Task> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the task and waits for its helpers.
struct Close<'a>(&'a Pool);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        let start = Instant::now();
        self.0.lock().work = None;
        while self.0.lock().busy > 0 {
            if start.elapsed() < PATIENCE { spin_loop() } else { thread::yield_now() }
        }
    }
}

/// What a helper was doing is half done, and others wait for it: a panic of a helper ends the
/// program.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        abort();
    }
}

/// Whether all threads are worth using, iteration by iteration of a training run: two cores may be
/// two hyperthreads of one, and another program may want a core, and then all threads wait for the
/// one that shares it. So now and then, and when all threads have become slow, a few iterations run
/// on all threads and on one in turn, and what is faster is kept to.
#[derive(Clone, Debug)]
pub struct Sharing {
    /// When the iteration before began.
    begun: Option<Instant>,
    /// Whether it was on all threads.
    all: bool,
    /// What the one before it took.
    seconds: f64,
    /// Iterations since the last trial began.
    done: usize,
    /// Pairs of that trial that were faster on all threads.
    faster: usize,
    /// The mean time of its iterations on one thread.
    single: f64,
    /// How many iterations on all threads have taken longer since.
    slower: usize,
}

impl Default for Sharing {
    fn default() -> Self {
        // The first few iterations, on all threads, are in no trial: they find cold caches.
        let done = Sharing::PERIOD - Sharing::TRIAL;
        let faster = Sharing::TRIAL;
        Sharing { begun: None, all: true, seconds: 0.0, done, faster, single: 0.0, slower: 0 }
    }
}

impl Sharing {
    /// Pairs of iterations in a trial: more than a short disturbance can turn.
    const TRIAL: usize = 8;
    /// Iterations from one trial to the next; fewer, once more than twice [`Sharing::TRIAL`] of
    /// them were slower than on one thread.
    const PERIOD: usize = 64 * Sharing::TRIAL;

    /// The `cpu` for an iteration that begins now: on all its threads, or on one.
    pub fn next(&mut self, cpu: Cpu) -> Cpu {
        if cpu.threads() == 1 {
            return cpu;
        }
        let now = Instant::now();
        if let Some(begun) = self.begun.replace(now) {
            self.ended(now.duration_since(begun).as_secs_f64());
        }
        let is_trial = self.done < 2 * Sharing::TRIAL;
        self.all =
            if is_trial { self.done.is_multiple_of(2) } else { self.faster > Sharing::TRIAL / 2 };
        if self.all { cpu } else { cpu.on_threads(1) }
    }

    /// Takes in what an iteration took.
    fn ended(&mut self, seconds: f64) {
        let before = replace(&mut self.seconds, seconds);
        let is_trial = self.done < 2 * Sharing::TRIAL;
        if is_trial && !self.all {
            self.faster += usize::from(before < seconds);
            self.single += seconds / Sharing::TRIAL as f64;
        }
        self.slower += usize::from(!is_trial && self.all && seconds > self.single);
        self.done += 1;
        if self.done == Sharing::PERIOD || self.slower > 2 * Sharing::TRIAL {
            (self.done, self.faster, self.single, self.slower) = (0, 0, 0.0, 0);
        }
    }
}
