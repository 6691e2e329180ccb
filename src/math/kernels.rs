//! The SIMD kernels: functions that are written once and compiled for each instruction set. All
//! unsafe code is written here and in the modules below; elsewhere it comes of the macro
//! [`for_each_instruction_set!`](crate::for_each_instruction_set) alone.

#![allow(unsafe_code)]

pub mod pixels;
pub mod product;
pub mod threads;

use std::fmt;

use threads::Pool;

/// What this processor can do: an instruction set, and on how many threads it is used. Only
/// [`Cpu::supported`] makes one, so to hold one is the proof that the processor has the
/// instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    instructions: InstructionSet,
    threads: usize,
}

#[doc(hidden)] // for `for_each_instruction_set!` alone
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// Floating-point operations that are worth sharing among threads: some 10 µs of one core, several
/// times as long as it takes to tell the others.
const WORTH_SHARING: usize = 1 << 20;

impl Cpu {
    /// Each instruction set that this processor has, on one thread: the fastest first, the portable
    /// one last.
    pub fn supported() -> Vec<Cpu> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1") // to find and to clear bits
            && is_x86_feature_detected!("bmi2")
        {
            if is_x86_feature_detected!("avx512f") {
                sets.push(InstructionSet::Avx512);
            }
            sets.push(InstructionSet::Avx2);
        }
        sets.push(InstructionSet::Portable);
        sets.into_iter().map(|instructions| Cpu { instructions, threads: 1 }).collect()
    }

    /// The fastest instruction set of this processor.
    pub fn best() -> Cpu {
        Cpu::supported()[0]
    }

    /// Whether a multiply-add rounds once. All such instruction sets give the same bits.
    pub fn is_fused(self) -> bool {
        PORTABLE_IS_FUSED || self.instructions != InstructionSet::Portable
    }

    /// The same on that many threads, at least one. The bits stay the same.
    pub fn on_threads(self, threads: usize) -> Cpu {
        Cpu { threads: threads.max(1), ..self }
    }

    /// How many threads it works on.
    pub fn threads(self) -> usize {
        self.threads
    }

    /// The same, on one thread if this many floating-point operations are not worth sharing.
    pub fn for_work(self, operations: usize) -> Cpu {
        if operations < WORTH_SHARING { self.on_threads(1) } else { self }
    }

    /// Items in a chunk: all of `count` on one thread, else a multiple of `multiple`, about four
    /// chunks a thread, since threads are seldom equally fast.
    pub fn chunk_len(self, count: usize, multiple: usize) -> usize {
        let chunks = if self.threads == 1 { 1 } else { 4 * self.threads };
        count.div_ceil(chunks).next_multiple_of(multiple).max(multiple)
    }

    /// Does `work` on each of `items`, in any order, on all threads.
    pub fn each<T>(self, items: impl Iterator<Item = T> + Send, work: impl Fn(T) + Sync) {
        match self.threads {
            1 => items.for_each(work),
            threads => Pool::of_all_cores().each(threads, items, work),
        }
    }

    #[doc(hidden)]
    pub fn instructions(self) -> InstructionSet {
        self.instructions
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{:?}", self.instructions).to_lowercase())
    }
}

/// Makes a function of a body that is compiled once for each instruction set, in which `V` is its
/// `Vector`. The function takes a [`Cpu`] before its arguments and runs the version for it.
/// Generic parameters stand in brackets. Functions that the body calls must be `#[inline(always)]`:
/// others are compiled for the oldest processor.
#[macro_export]
macro_rules! for_each_instruction_set {
    ($(#[$about:meta])* $vis:vis fn $name:ident $([$($generics:tt)*])?
        ($($arg:ident: $type:ty),*) $body:block) => {
        $(#[$about])*
        $vis fn $name $(<$($generics)*>)? (cpu: $crate::math::kernels::Cpu, $($arg: $type),*) {
            use $crate::math::kernels::InstructionSet;
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx2,fma,bmi1,bmi2")]
            fn avx512 $(<$($generics)*>)? ($($arg: $type),*) {
                #[allow(dead_code)]
                type V = std::arch::x86_64::__m512;
                $body
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,bmi1,bmi2")]
            fn avx2 $(<$($generics)*>)? ($($arg: $type),*) {
                #[allow(dead_code)]
                type V = std::arch::x86_64::__m256;
                $body
            }
            fn portable $(<$($generics)*>)? ($($arg: $type),*) {
                #[allow(dead_code)]
                type V = [f32; 4];
                $body
            }
            #[allow(unsafe_code)]
            match cpu.instructions() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: there is a `Cpu` only of instructions that the processor was seen to
                // have.
                InstructionSet::Avx512 => unsafe { avx512($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the same.
                InstructionSet::Avx2 => unsafe { avx2($($arg),*) },
                InstructionSet::Portable => portable($($arg),*),
            }
        }
    };
}

/// Plain f32 elements, as many as a register holds.
///
/// # Safety
/// All functions need a processor with the vector's instructions.
#[allow(clippy::missing_safety_doc)] // said once, above
trait Vector: Copy {
    /// Elements of a vector.
    const LANES: usize = size_of::<Self>() / size_of::<f32>();
    /// The most rows of a tile of C, and the most vectors in each: together they fill the
    /// registers.
    const TILE: (usize, usize);
    /// `a·b + c` for each lane.
    unsafe fn mul_add(a: f32, b: Self, c: Self) -> Self;
    /// [`product::tile`], compiled on its own: its inner loop needs all registers.
    unsafe fn tile<const ROWS: usize, const VECTORS: usize>(tile: &product::Part);
    /// The vector that begins at `from`.
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's word.
        unsafe { from.cast::<Self>().read_unaligned() }
    }
    /// Writes the vector to `to` and the elements after it.
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's word.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }
}

macro_rules! vector {
    ($vector:ty, $($features:literal)?, $tile:expr,
        |$a:ident, $b:ident, $c:ident| $mul_add:expr) => {
        impl Vector for $vector {
            const TILE: (usize, usize) = $tile;
            #[inline(always)]
            unsafe fn mul_add($a: f32, $b: Self, $c: Self) -> Self {
                // SAFETY: the caller's word.
                #[allow(unused_unsafe)]
                unsafe { $mul_add }
            }
            $(#[target_feature(enable = $features)])?
            unsafe fn tile<const ROWS: usize, const VECTORS: usize>(tile: &product::Part) {
                // SAFETY: the caller's word.
                unsafe { product::tile::<Self, ROWS, VECTORS>(tile) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Vector, product};
    use std::arch::x86_64::*;
    // 32 registers: 24 of C, 3 of B, one of A. 16 rows are two tiles.
    vector!(__m512, "avx512f,avx2,fma,bmi1,bmi2", (8, 3), |a, b, c| _mm512_fmadd_ps(
        _mm512_set1_ps(a),
        b,
        c
    ));
    // 16 registers: 12 of C, 2 of B, one of A.
    vector!(__m256, "avx2,fma,bmi1,bmi2", (6, 2), |a, b, c| _mm256_fmadd_ps(
        _mm256_set1_ps(a),
        b,
        c
    ));
}

/// Whether the portable instructions have a multiply-add that rounds once. Elsewhere `mul_add`
/// would be a slow library call, so it multiplies and adds with two roundings.
const PORTABLE_IS_FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

// arm64 has 32 registers of 4 lanes, x86-64 16.
vector!([f32; 4], , (if cfg!(target_arch = "aarch64") { 8 } else { 4 }, 2), |a, b, c| {
    std::array::from_fn(|i| if PORTABLE_IS_FUSED { a.mul_add(b[i], c[i]) } else { a * b[i] + c[i] })
});

/// The memory of a matrix to which threads write, each its own part.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

impl Shared {
    /// The address of the element `offset` after the first.
    fn at(self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

// SAFETY: whoever writes through it sees to it that the parts do not overlap.
unsafe impl Send for Shared {}
// SAFETY: the same.
unsafe impl Sync for Shared {}

/// Prefetches the cache line at `address` into L1, where the processor can be told so.
#[inline(always)]
fn prefetch(address: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: any address will do, and every x86-64 processor has this.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
