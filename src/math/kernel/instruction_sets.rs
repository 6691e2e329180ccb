//! What differs between the instruction sets: the vectors, and what is done with them.

use std::array::from_fn;

use super::{Operation, Simd};

/// The shape of a tile: its rows, and the vectors in each.
pub struct Tile {
    pub rows: usize,
    pub vectors: usize,
}

/// An instruction set. Only [`Kernel::run`](super::Kernel::run) names the types that implement this, and only if the processor
/// has that instruction set; so whatever is generic over a `Target` runs on a processor that has it.
///
/// # Safety
/// The unsafe functions need that processor.
#[allow(clippy::missing_safety_doc)] // said once, above
pub trait Target {
    /// Plain numbers, as many as a register holds.
    type Vector: Copy;
    /// Numbers in a vector.
    const LANES: usize = size_of::<Self::Vector>() / size_of::<f32>();
    /// What of C the registers hold.
    const TILE: Tile;
    /// The same where zeros are skipped: fewer rows, since these have more zeros in common.
    const SPARSE_TILE: Tile;
    /// Runs `operation` in a function that is compiled for this instruction set.
    unsafe fn call<O: Operation>(operation: O) -> O::Output;
    /// `a·b + c` for each lane of `b` and `c`.
    unsafe fn multiply_add(a: f32, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// A bit for each lane, set where the number is not zero.
    unsafe fn nonzero(a: Self::Vector) -> u32;
    /// Has the line at `address` fetched into the nearest cache or into the second, where the processor can be told so.
    #[inline(always)]
    fn prefetch<const NEAREST: bool>(address: *const f32) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: any address will do, and every x86-64 processor has this.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};
            if NEAREST {
                _mm_prefetch::<_MM_HINT_T0>(address.cast())
            } else {
                _mm_prefetch::<_MM_HINT_T1>(address.cast())
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = address;
    }
}

/// Plain Rust, for any processor, with tiles of so many rows.
pub struct Portable<const ROWS: usize>;

/// Whether a multiply-add rounds once there too.
pub const PORTABLE_IS_FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

impl<const ROWS: usize> Simd for Portable<ROWS> {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        if PORTABLE_IS_FUSED { a.mul_add(b, c) } else { a * b + c }
    }
}

impl<const ROWS: usize> Target for Portable<ROWS> {
    type Vector = [f32; 4];
    const TILE: Tile = Tile { rows: ROWS, vectors: 2 };
    const SPARSE_TILE: Tile = Tile { rows: 4, vectors: ROWS / 2 };
    unsafe fn call<O: Operation>(operation: O) -> O::Output {
        operation.run::<Self>()
    }
    #[inline(always)]
    unsafe fn multiply_add(a: f32, b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        from_fn(|lane| Self::mul_add(a, b[lane], c[lane]))
    }
    #[inline(always)]
    unsafe fn nonzero(a: [f32; 4]) -> u32 {
        (0..4).map(|lane| u32::from(a[lane] != 0.0) << lane).sum()
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

/// The two instruction sets of x86-64, by their intrinsics.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Operation, Simd, Target, Tile};

    pub struct Avx2;

    impl Simd for Avx2 {}

    impl Target for Avx2 {
        type Vector = __m256;
        const TILE: Tile = Tile { rows: 6, vectors: 2 }; // of 16 registers, 12 accumulate
        const SPARSE_TILE: Tile = Tile { rows: 3, vectors: 4 };
        #[target_feature(enable = "avx2,fma,bmi1,bmi2")]
        unsafe fn call<O: Operation>(operation: O) -> O::Output {
            operation.run::<Self>()
        }
        #[inline(always)]
        unsafe fn multiply_add(a: f32, b: __m256, c: __m256) -> __m256 {
            // SAFETY: the processor is the caller's word.
            unsafe { _mm256_fmadd_ps(_mm256_set1_ps(a), b, c) }
        }
        #[inline(always)]
        unsafe fn nonzero(a: __m256) -> u32 {
            // SAFETY: the processor is the caller's word.
            unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(a, _mm256_setzero_ps())) as u32 }
        }
    }

    pub struct Avx512;

    impl Simd for Avx512 {}

    impl Target for Avx512 {
        type Vector = __m512;
        const TILE: Tile = Tile { rows: 8, vectors: 3 }; // of 32 registers, 24 accumulate; 16 rows are two tiles
        const SPARSE_TILE: Tile = Tile { rows: 4, vectors: 4 };
        #[target_feature(enable = "avx512f,avx2,fma,bmi1,bmi2")]
        unsafe fn call<O: Operation>(operation: O) -> O::Output {
            operation.run::<Self>()
        }
        #[inline(always)]
        unsafe fn multiply_add(a: f32, b: __m512, c: __m512) -> __m512 {
            // SAFETY: the processor is the caller's word.
            unsafe { _mm512_fmadd_ps(_mm512_set1_ps(a), b, c) }
        }
        #[inline(always)]
        unsafe fn nonzero(a: __m512) -> u32 {
            // Any bit but the sign: Miri knows no comparison of floats here.
            // SAFETY: the processor is the caller's word.
            unsafe { u32::from(_mm512_test_epi32_mask(_mm512_castps_si512(a), _mm512_set1_epi32(i32::MAX))) }
        }
    }
}
