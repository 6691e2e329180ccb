//! The SIMD kernels: work that is written once, here [the matrix product](product), and compiled for each instruction set.
//! The only module with unsafe code.

#![allow(unsafe_code)]

mod instruction_sets;
pub mod product;

use std::fmt;
use std::hint::black_box;

use instruction_sets::Portable;
#[cfg(target_arch = "x86_64")]
use instruction_sets::{Avx2, Avx512};

/// An instruction set that this processor has. Only [`Kernel::supported`] makes one, so to hold one is the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel(InstructionSet);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InstructionSet {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Kernel {
    /// The kernels that this processor can run, the fastest first; the last is the portable one, which all can.
    pub fn supported() -> Vec<Kernel> {
        let mut kernels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            if is_x86_feature_detected!("avx512f") {
                kernels.push(Kernel(InstructionSet::Avx512));
            }
            kernels.push(Kernel(InstructionSet::Avx2));
        }
        kernels.push(Kernel(InstructionSet::Portable));
        kernels
    }

    /// The fastest kernel of this processor.
    pub fn best() -> Kernel {
        Kernel::supported()[0]
    }

    /// Whether a multiply-add rounds once; all such kernels give the same bits. [What zeros change](product).
    pub fn is_fused(self) -> bool {
        self != Kernel(InstructionSet::Portable) || Portable::FUSED
    }

    /// Runs `operation`, compiled for this kernel's instruction set.
    pub fn run<O: Operation>(self, operation: O) -> O::Output {
        // SAFETY: a `Kernel` is only made once the processor was seen to have its instruction set.
        unsafe {
            match self.0 {
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx512 => Avx512::run(operation),
                #[cfg(target_arch = "x86_64")]
                InstructionSet::Avx2 => Avx2::run(operation),
                InstructionSet::Portable => Portable::run(operation),
            }
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{:?}", self.0).to_lowercase())
    }
}

/// Work that is written once and compiled for each instruction set. It is given an `S` by [`Kernel::run`] alone, since
/// nobody else can name one, so that the processor has it whenever `run` is called. Mark `run` and all that it calls
/// `#[inline(always)]`: what is not inlined is compiled for the oldest processor.
pub trait Operation {
    /// What the work returns.
    type Output;
    /// The work, in terms of `S`.
    fn run<S: Simd>(self) -> Self::Output;
}

/// What the kernels need of an instruction set.
///
/// # Safety
/// The unsafe functions need a processor with that instruction set, and the numbers behind a pointer to be there: `LANES`
/// of them, or as many as the mask says.
#[allow(missing_docs, clippy::missing_safety_doc)] // the names say what they are, and the safety is the same for all
pub trait Simd {
    type Vector: Copy;
    type Mask: Copy;
    const LANES: usize;
    /// Rows of a tile: with two vectors a row, what the registers hold. At most `LANES`.
    const TILE_ROWS: usize;
    /// Runs an operation as a function of its own, compiled for this instruction set.
    unsafe fn run<O: Operation>(operation: O) -> O::Output;
    /// `a·b + c` of single numbers, rounded as `multiply_add` rounds.
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
    unsafe fn splat(number: f32) -> Self::Vector;
    unsafe fn load(from: *const f32) -> Self::Vector;
    unsafe fn store(to: *mut f32, vector: Self::Vector);
    /// The first `count ≤ LANES` lanes, for `load_masked` and `store_masked`.
    unsafe fn mask(count: usize) -> Self::Mask;
    /// The masked lanes from memory, the others zero.
    unsafe fn load_masked(mask: Self::Mask, from: *const f32) -> Self::Vector;
    unsafe fn store_masked(mask: Self::Mask, to: *mut f32, vector: Self::Vector);
    /// A bit for each lane, set where the number is not zero.
    unsafe fn nonzero(a: Self::Vector) -> u32;
    /// `a·b + c`
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
}

/// Twelve independent multiply-adds of whole vectors, so many times over: nothing that a tile does could be faster. Returns
/// the floating-point operations done.
pub struct Peak(pub usize);

impl Operation for Peak {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self) -> f64 {
        const CHAINS: usize = 12;
        // SAFETY: no memory is touched, and the processor has S: see `Operation`.
        unsafe {
            let (a, b) = (S::splat(black_box(0.5)), S::splat(black_box(0.25)));
            let mut acc = [S::splat(0.0); CHAINS];
            for _ in 0..self.0 {
                for c in &mut acc {
                    *c = S::multiply_add(a, b, *c);
                }
            }
            black_box(acc);
        }
        2.0 * (self.0 * CHAINS * S::LANES) as f64
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
