//! The SIMD kernels: work that is written once, such as [the matrix product](product), and compiled for each instruction set.
//! The only module with unsafe code.

#![allow(unsafe_code)]

mod instruction_sets;
pub mod product;
mod threads;

use std::fmt;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::thread;

#[cfg(target_arch = "x86_64")]
use instruction_sets::{Avx2, Avx512};
use instruction_sets::{PORTABLE_IS_FUSED, Portable, Target};
use threads::Helpers;

/// An instruction set that this processor has, and on how many threads it is used. Only [`Kernel::supported`] makes one, so
/// to hold one is the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    set: InstructionSet,
    threads: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InstructionSet {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
    /// The portable one with tiles for a processor with 32 registers, such as arm64's.
    Portable32,
}

/// Some 10 µs of one core: several times as long as it takes to tell the others.
const WORTH_SHARING: usize = 1 << 20;

impl Kernel {
    /// The kernels that this processor can run, on one thread, the fastest first; the last two are portable.
    pub fn supported() -> Vec<Kernel> {
        let mut kernels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1") // to count and to clear bits, in the loop over steps
            && is_x86_feature_detected!("bmi2")
        {
            if is_x86_feature_detected!("avx512f") {
                kernels.push(InstructionSet::Avx512);
            }
            kernels.push(InstructionSet::Avx2);
        }
        kernels.extend([InstructionSet::Portable, InstructionSet::Portable32]);
        if cfg!(target_arch = "aarch64") {
            kernels.reverse();
        }
        kernels.into_iter().map(|set| Kernel { set, threads: 1 }).collect()
    }

    /// The fastest kernel of this processor.
    pub fn best() -> Kernel {
        Kernel::supported()[0]
    }

    /// Whether a multiply-add rounds once; all such kernels give the same bits, [but for skipped zeros](product).
    pub fn is_fused(self) -> bool {
        PORTABLE_IS_FUSED || !matches!(self.set, InstructionSet::Portable | InstructionSet::Portable32)
    }

    /// The same kernel on that many threads, which large operations share among themselves. The bits stay the same.
    pub fn on_threads(self, threads: usize) -> Kernel {
        Kernel { threads: threads.max(1), ..self }
    }

    /// On how many threads.
    pub fn threads(self) -> usize {
        self.threads
    }

    /// The same kernel, on one thread if work of so many floating-point operations is not worth more.
    pub fn for_work(self, operations: usize) -> Kernel {
        if operations < WORTH_SHARING { self.on_threads(1) } else { self }
    }

    /// How many of `count` items a thread takes at a time: all, if there is one thread; or a multiple of `multiple`, several
    /// times fewer than its share, since threads may not be equally fast.
    pub fn share(self, count: usize, multiple: usize) -> usize {
        if self.threads == 1 { count.max(1) } else { count.div_ceil(4 * self.threads).next_multiple_of(multiple) }
    }

    /// Does `work` on parts of `rows`, as [`Kernel::share`] cuts these `count` rows of equal length; it is also given the number
    /// of a part's first row.
    pub fn each_part<T: Send>(
        self,
        rows: &mut [T],
        count: usize,
        multiple: usize,
        work: impl Fn(&mut [T], usize) + Sync,
    ) {
        let part = self.share(count, multiple);
        let length = part * (rows.len() / count.max(1));
        self.each(rows.chunks_mut(length.max(1)).enumerate(), |(i, rows)| work(rows, i * part));
    }

    /// Does `work` on each of `items`, in any order, on the kernel's threads. A thread takes an item when it is free, so one
    /// that does not get its core holds up no more than the item that it has. Helpers begin at the end: of two threads, each
    /// mostly gets the items that it had the last time, and has in its caches.
    pub fn each<T>(self, items: impl DoubleEndedIterator<Item = T> + Send, work: impl Fn(T) + Sync) {
        if self.threads < 2 {
            return items.for_each(work);
        }
        let (items, caller) = (Mutex::new(items), thread::current().id());
        Helpers::all().run(self.threads, &|| {
            let helps = thread::current().id() != caller;
            let next = || {
                let mut items = items.lock().unwrap_or_else(PoisonError::into_inner);
                if helps { items.next_back() } else { items.next() }
            };
            while let Some(item) = next() {
                work(item);
            }
        });
    }

    /// Runs `operation`, compiled for this kernel's instruction set.
    pub fn run<O: Operation>(self, operation: O) -> O::Output {
        // SAFETY: a `Kernel` is only made once the processor was seen to have its instruction set.
        unsafe {
            match self.set {
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512 => Avx512::call(operation),
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx2 => Avx2::call(operation),
                InstructionSet::Portable => Portable::<4>::call(operation),
                InstructionSet::Portable32 => Portable::<8>::call(operation),
            }
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{:?}", self.set).to_lowercase())
    }
}

/// Work that is written once and compiled for each instruction set, for [`Kernel::run`]. Mark `run` and all that it calls
/// `#[inline(always)]`: what is not inlined is compiled for the oldest processor.
pub trait Operation {
    /// What the work returns.
    type Output;
    /// The work, on the instruction set `S`.
    fn run<S: Simd>(self) -> Self::Output;
}

/// An instruction set, as an [`Operation`] sees it. Sealed: a crate that could add one could run it on a processor without it.
pub trait Simd: Target + Sized {
    /// `a·b + c`, rounded once if the kernel [is fused](Kernel::is_fused), otherwise twice.
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }

    /// Runs an operation within another. In the tests it is a function of its own: inlined, all shapes of tiles take minutes to
    /// compile with every check.
    #[inline(always)]
    fn nested<O: Operation>(operation: O) -> O::Output {
        if cfg!(debug_assertions) {
            // SAFETY: whoever is generic over an instruction set runs on a processor that has it: see `Target`.
            unsafe { Self::call(operation) }
        } else {
            operation.run::<Self>()
        }
    }
}

/// Twelve independent multiply-adds of vectors in registers, repeated so many times: the most that a processor can do.
/// Returns the number of floating-point operations.
pub struct Peak(pub usize);

impl Operation for Peak {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self) -> f64 {
        let numbers = black_box([0.25_f32; 16]);
        // SAFETY: a vector is at most 16 plain numbers, and the processor has S: see `Target`.
        unsafe {
            let (a, b) = (numbers[0], numbers.as_ptr().cast::<S::Vector>().read_unaligned());
            let mut acc = [b; 12];
            for _ in 0..self.0 {
                acc = acc.map(|acc| S::multiply_add(a, b, acc));
            }
            black_box(acc);
        }
        2.0 * (self.0 * 12 * S::LANES) as f64
    }
}

/// The transpose of a block of 4 × 4 numbers.
#[inline(always)]
pub(crate) fn transpose_block(rows: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{__m128, _MM_TRANSPOSE4_PS};
        // SAFETY: both types are four f32, and every x86-64 processor has SSE.
        unsafe {
            let mut rows: [__m128; 4] = std::mem::transmute(rows);
            let [a, b, c, d] = &mut rows;
            _MM_TRANSPOSE4_PS(a, b, c, d);
            std::mem::transmute(rows)
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::array::from_fn(|column| rows.map(|row| row[column]))
}
