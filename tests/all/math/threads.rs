//! What makes the products fast, without a clock: instruction sets, memory, packing and threads.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread::{self, available_parallelism, current};
use std::time::Duration;

use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::math::kernels::product::packs;
use mnist_mlp::math::matrix::Matrix;

#[test]
fn the_best_instruction_set_is_the_newest_that_the_processor_has() {
    #[allow(unused_mut)] // only x86-64 has others
    let mut expected = vec!["portable"];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        expected.insert(0, "avx2");
        if is_x86_feature_detected!("avx512f") {
            expected.insert(0, "avx512");
        }
    }
    assert_eq!(Cpu::supported().iter().map(Cpu::to_string).collect::<Vec<_>>(), expected);
    assert_eq!((Cpu::best().to_string(), Cpu::best().threads()), (expected[0].into(), 1));
}

#[test]
fn rows_are_whole_cache_lines_and_long_ones_an_odd_number() {
    for columns in 0..3000 {
        let matrix = Matrix::zeros(2, columns);
        assert!(matrix.stride() >= columns.max(1) && matrix.stride() <= columns + 32, "{columns}");
        assert_eq!(matrix.stride() % 16, 0, "{columns}");
        assert!(columns <= 128 || matrix.stride() / 16 % 2 == 1, "{columns}");
        assert_eq!(matrix.padded().as_ptr() as usize % 64, 0, "{columns}");
    }
}

#[test]
fn large_work_is_shared_in_several_chunks_a_thread() {
    for threads in [2, 3, 16, 100] {
        let cpu = Cpu::best().on_threads(threads);
        assert_eq!(cpu.for_work((1 << 20) - 1).threads(), 1);
        assert_eq!(cpu.for_work(1 << 20).threads(), threads);
        for count in [1000 * threads, 1000 * threads + 1] {
            for multiple in [1, 16, 64] {
                let len = cpu.chunk_len(count, multiple);
                assert_eq!(len % multiple, 0);
                let chunks = count.div_ceil(len);
                assert!((3 * threads..=4 * threads).contains(&chunks), "{count} by {len}");
            }
        }
        assert_eq!(cpu.chunk_len(0, 24), 24);
        assert_eq!(cpu.chunk_len(25, 24), 24);
    }
    // One thread, one chunk.
    assert_eq!([0, 1000].map(|count| Cpu::best().chunk_len(count, 64)), [64, 1024]);
}

/// B is packed where enough rows use it again, and it is more than stays near: in the wide layers'
/// products and large squares, not in those of a batch of 16.
#[test]
fn a_large_matrix_is_packed_for_many_rows() {
    let large = [(128, 256, 129), (128, 784, 1000), (1000, 128, 500), (2048, 2048, 256)];
    for (rows, k, columns) in large {
        assert!(packs(rows, k, columns), "{rows} × {k} × {columns}");
    }
    let small = [(127, 784, 1000), (16, 784, 128), (1000, 16, 500), (128, 256, 128), (0, 0, 0)];
    for (rows, k, columns) in small {
        assert!(!packs(rows, k, columns), "{rows} × {k} × {columns}");
    }
}

// ---- In a process of its own, where no other test has the threads ------------------------------

const ALONE: &str = "MNIST_MLP_TEST_ALONE";

/// Runs an ignored test of this file, which must come to an end within a minute.
fn alone(test: &str) -> Output {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("math::threads::{test}"), "--ignored", "--nocapture"])
        .env(ALONE, "")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..6000 {
        if child.try_wait().unwrap().is_some() {
            return child.wait_with_output().unwrap();
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    panic!("{test} hangs: {:?}", child.wait_with_output().unwrap());
}

fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

#[track_caller]
fn assert_passes(test: &str) {
    let Output { status, stdout, stderr } = alone(test);
    let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(status.success() && stdout.contains("1 passed"), "{status}: {stdout}{stderr}");
}

/// How many threads there are, at least two.
fn cores() -> usize {
    available_parallelism().map_or(1, usize::from).max(2)
}

/// As many threads meet as are asked for: none would leave the barrier if one were missing.
fn meet(threads: usize) {
    let barrier = Barrier::new(threads);
    let ids = Mutex::new(HashSet::new());
    Cpu::best().on_threads(threads).each(0..threads, |_| {
        ids.lock().unwrap().insert(current().id());
        barrier.wait();
    });
    assert_eq!(ids.into_inner().unwrap().len(), threads);
}

#[test]
fn as_many_threads_work_at_once_as_are_asked_for() {
    assert_passes("threads_meet");
}

#[test]
#[ignore = "runs in a process of its own"]
fn threads_meet() {
    if !is_alone() {
        return;
    }
    for threads in 2..=cores() {
        (0..100).for_each(|_| meet(threads)); // while they look for more work
        for _ in 0..5 {
            thread::sleep(Duration::from_millis(5)); // once they sleep
            meet(threads);
        }
    }
    // And no more than that, however much there is to do.
    for threads in 1..cores() {
        for _ in 0..20 {
            let ids = Mutex::new(HashSet::new());
            Cpu::best().on_threads(threads).each(0..100, |_| {
                ids.lock().unwrap().insert(current().id());
                thread::yield_now();
            });
            assert!(ids.into_inner().unwrap().len() <= threads);
        }
    }
}

/// Nobody could wait for what it was doing.
#[test]
fn a_panic_of_a_helper_ends_the_program() {
    for test in ["a_helper_panics", "a_helper_panics_with_what_panics_when_dropped"] {
        let Output { status, stderr, .. } = alone(test);
        let stderr = String::from_utf8_lossy(&stderr);
        #[cfg(unix)]
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        #[cfg(unix)]
        assert_eq!(signal, Some(6), "{test}: not aborted: {stderr}");
        assert!(!status.success() && stderr.contains("thread 'helper'"), "{test}: {stderr}");
    }
}

/// The calling thread stays in its part for ever, so that nothing else ends the program.
fn fail_on_a_helper(fail: fn()) {
    if !is_alone() {
        return;
    }
    let caller = current().id();
    Cpu::best().on_threads(2).each(0..2, |_| {
        if current().id() != caller {
            fail();
        }
        loop {
            thread::park();
        }
    });
}

#[test]
#[ignore = "runs in a process of its own"]
fn a_helper_panics() {
    fail_on_a_helper(|| panic!("this part fails"));
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("and its payload too");
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn a_helper_panics_with_what_panics_when_dropped() {
    fail_on_a_helper(|| panic_any(PanicsWhenDropped));
}

#[test]
fn a_panic_of_the_caller_unwinds_and_the_threads_go_on_working() {
    assert_passes("the_caller_panics");
}

#[test]
#[ignore = "runs in a process of its own"]
fn the_caller_panics() {
    if !is_alone() {
        return;
    }
    let caller = current().id();
    let cpu = Cpu::best().on_threads(2);
    for round in 0..20 {
        let both = Barrier::new(2);
        let is_done = AtomicBool::new(false);
        let work = |_| {
            both.wait();
            if current().id() == caller {
                panic_any(round);
            }
            thread::sleep(Duration::from_millis(5));
            is_done.store(true, Ordering::Relaxed);
        };
        let payload = catch_unwind(AssertUnwindSafe(|| cpu.each(0..2, work))).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&round));
        assert!(is_done.into_inner(), "the other thread's part was not waited for");
        meet(cores());
        // Work within work: whoever is free helps, and nobody waits for himself.
        let count = AtomicUsize::new(0);
        cpu.each(0..10, |_| cpu.each(0..10, |_| _ = count.fetch_add(1, Ordering::Relaxed)));
        assert_eq!(count.into_inner(), 100);
    }
}
