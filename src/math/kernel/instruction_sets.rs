//! What each instruction set calls what the kernels need of it.

use std::array::from_fn;

use super::{Operation, Simd};

/// Short functions of [`Simd`], each an expression that is unsafe for the two reasons given there.
macro_rules! functions {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty = $value:expr;)*) => {
        $(
            #[inline(always)]
            unsafe fn $name($($argument: $type),*) -> $result {
                #[allow(unused_unsafe)] // some are not
                // SAFETY: the processor has the instruction set, and the numbers are there: the caller's word.
                unsafe { $value }
            }
        )*
    };
}

/// Plain Rust, for any processor.
pub struct Portable;

impl Portable {
    /// Whether a multiply-add rounds once here too.
    pub const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));
}

impl Simd for Portable {
    type Vector = [f32; 4];
    type Mask = usize;
    const LANES: usize = 4;
    const TILE_ROWS: usize = 4;
    #[inline(never)]
    unsafe fn run<O: Operation>(operation: O) -> O::Output {
        operation.run::<Portable>()
    }
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        if Self::FUSED { a.mul_add(b, c) } else { a * b + c }
    }
    functions! {
        splat(number: f32) -> [f32; 4] = [number; 4];
        load(from: *const f32) -> [f32; 4] = from.cast::<[f32; 4]>().read_unaligned();
        store(to: *mut f32, vector: [f32; 4]) -> () = to.cast::<[f32; 4]>().write_unaligned(vector);
        mask(count: usize) -> usize = count;
        load_masked(count: usize, from: *const f32) -> [f32; 4] =
            from_fn(|lane| if lane < count { *from.add(lane) } else { 0.0 });
        store_masked(count: usize, to: *mut f32, vector: [f32; 4]) -> () =
            (0..count).for_each(|lane| *to.add(lane) = vector[lane]);
        nonzero(a: [f32; 4]) -> u32 = (0..4).map(|lane| u32::from(a[lane] != 0.0) << lane).sum();
        multiply_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] =
            from_fn(|lane| Self::mul_add(a[lane], b[lane], c[lane]));
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

/// The two instruction sets of x86-64, by their intrinsics.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use crate::math::kernel::{Operation, Simd};
    use std::arch::x86_64::*;
    use std::hint::black_box;

    pub struct Avx2;

    #[target_feature(enable = "avx2,fma")]
    fn run_avx2<O: Operation>(operation: O) -> O::Output {
        operation.run::<Avx2>()
    }

    /// A mask is eight of these numbers, from `8 - count` on.
    const MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

    impl Simd for Avx2 {
        type Vector = __m256;
        type Mask = __m256i;
        const LANES: usize = 8;
        const TILE_ROWS: usize = 6; // of 16 registers, 12 accumulate
        unsafe fn run<O: Operation>(operation: O) -> O::Output {
            // By its address, so that it stays a function of its own: inlined into one another, the tiles run out of
            // registers, and beside `target_feature` the compiler (1.95) does not heed `inline(never)`.
            // SAFETY: the processor is the caller's word.
            unsafe { black_box(run_avx2::<O> as unsafe fn(O) -> O::Output)(operation) }
        }
        functions! {
            splat(number: f32) -> __m256 = _mm256_set1_ps(number);
            load(from: *const f32) -> __m256 = _mm256_loadu_ps(from);
            store(to: *mut f32, vector: __m256) -> () = _mm256_storeu_ps(to, vector);
            mask(count: usize) -> __m256i = _mm256_loadu_si256(MASKS.as_ptr().add(8 - count).cast());
            load_masked(mask: __m256i, from: *const f32) -> __m256 = _mm256_maskload_ps(from, mask);
            store_masked(mask: __m256i, to: *mut f32, vector: __m256) -> () = _mm256_maskstore_ps(to, mask, vector);
            nonzero(a: __m256) -> u32 = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(a, _mm256_setzero_ps())) as u32;
            multiply_add(a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fmadd_ps(a, b, c);
        }
    }

    pub struct Avx512;

    #[target_feature(enable = "avx512f,avx2,fma")]
    fn run_avx512<O: Operation>(operation: O) -> O::Output {
        operation.run::<Avx512>()
    }

    impl Simd for Avx512 {
        type Vector = __m512;
        type Mask = __mmask16;
        const LANES: usize = 16;
        const TILE_ROWS: usize = 8; // of 32 registers, 16 accumulate; 16 rows are two tiles
        unsafe fn run<O: Operation>(operation: O) -> O::Output {
            // SAFETY: the processor is the caller's word.
            unsafe { black_box(run_avx512::<O> as unsafe fn(O) -> O::Output)(operation) }
        }
        functions! {
            splat(number: f32) -> __m512 = _mm512_set1_ps(number);
            load(from: *const f32) -> __m512 = _mm512_loadu_ps(from);
            store(to: *mut f32, vector: __m512) -> () = _mm512_storeu_ps(to, vector);
            mask(count: usize) -> __mmask16 = ((1_u32 << count) - 1) as __mmask16;
            load_masked(mask: __mmask16, from: *const f32) -> __m512 = _mm512_maskz_loadu_ps(mask, from);
            store_masked(mask: __mmask16, to: *mut f32, vector: __m512) -> () = _mm512_mask_storeu_ps(to, mask, vector);
            nonzero(a: __m512) -> u32 = // any bit but the sign: Miri knows no comparison of floats here
                u32::from(_mm512_test_epi32_mask(_mm512_castps_si512(a), _mm512_set1_epi32(i32::MAX)));
            multiply_add(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps(a, b, c);
        }
    }
}
