//! The SIMD kernels: one matrix product, written once, instantiated for each instruction set.
//!
//! # The product, for someone who has never seen a GEMM
//!
//! `C ← β·C + A·B`, with `A: m × k`, `B: k × n`, `C: m × n`. The textbook's three loops read two numbers from memory
//! for each multiply-add, and a processor can do far more multiply-adds than reads. So we compute a small *tile* of
//! `C`, some rows by some columns, that stays in registers while `k` goes by:
//!
//! ```text
//!                     b[k][j..]          two vectors of a row of B, each read once …
//!                 ┌───────┬───────┐
//!                 └───────┴───────┘
//!  a[i+0][k] ▪    │ acc00 │ acc01 │      … and used for every row of the tile;
//!  a[i+1][k] ▪    │ acc10 │ acc11 │      one number of A, copied to all lanes ("splat"),
//!  a[i+2][k] ▪    │ acc20 │ acc21 │      is used for both vectors: acc += splat(a) · b
//!      ⋮                 ⋮
//! ```
//!
//! With 6 rows × 2 vectors of 8 lanes, 8 reads feed 96 multiply-adds. The tile has as many accumulators as the
//! registers hold beside the vectors of `B` and the splat: a processor starts two vector multiply-adds a cycle but
//! takes four cycles for each, so at least eight independent ones must be under way. A tile that does not fit goes
//! through memory at each step and is twenty times slower; that is why its shape is a compile-time constant.
//!
//! Around the tile are three loops: over blocks of `k`, so that the rows of `B` in use stay in the nearest cache; over
//! the rows of `C`, a strip of tiles at a time; over the tiles of the strip. Nothing is packed: a batch has few rows,
//! so a copy of `B` would be read too few times to pay for itself.
//!
//! # The bits
//!
//! Each element of `C` is `β·c`, then one fused multiply-add for each `k`, in order. No loop above changes that
//! order, and a lane is an element, so AVX2, AVX-512 and a naive loop of [`f32::mul_add`] give the same bits. The
//! portable kernel does so too where the target has a fused multiply-add in every processor (aarch64); elsewhere it
//! multiplies and adds with two roundings ([`Kernel::is_fused`]), because `mul_add` would be a slow library call.

#![allow(unsafe_code)]

use std::array::from_fn;
use std::fmt;
use std::hint::black_box;

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

    /// Whether a multiply-add rounds once; all such kernels give the same bits.
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

/// Work that is written once and compiled for each instruction set. Mark `run` and all that it calls
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
    /// Rows of a tile: with two vectors a row, what the registers hold.
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
    unsafe fn multiply(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a·b + c`
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
}

/// `C ← β·C + A·B` on flat row-major slices; see the module's head.
pub(crate) struct Product<'a> {
    /// Rows of `A` and `C`.
    pub m: usize,
    /// Columns of `B` and `C`.
    pub n: usize,
    /// Columns of `A`, rows of `B`.
    pub k: usize,
    /// `m × k`, or `k × m` if it is to be transposed
    pub a: &'a [f32],
    pub transpose_a: bool,
    /// `k × n`
    pub b: &'a [f32],
    pub beta: f32,
    /// `m × n`
    pub c: &'a mut [f32],
}

/// Steps of `k` in a block.
const DEPTH: usize = 64;

impl Operation for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Product { m, n, k, a, transpose_a, b, beta, c } = self;
        assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n);
        if m == 0 || n == 0 {
            return;
        }
        let panels = n / (2 * S::LANES);
        let j = panels * 2 * S::LANES;
        let tiles = m.div_ceil(S::TILE_ROWS);
        // With k = 0 there is still β·C to compute: one empty block.
        for k0 in (0..k.max(1)).step_by(DEPTH) {
            let mut i = 0;
            for tile in 0..tiles {
                let rows = (m - i).div_ceil(tiles - tile); // 16 rows by 6: 6, 5, 5
                let (a_row, a_column) = if transpose_a { (1, m) } else { (k, 1) };
                let strip = Strip {
                    tiles: panels,
                    width: 2 * S::LANES,
                    depth: DEPTH.min(k - k0),
                    a: a.as_ptr().wrapping_add(i * a_row + k0 * a_column), // beyond an empty A where k = 0
                    a_row,
                    a_column,
                    b: b[k0 * n..].as_ptr(),
                    beta: if k0 == 0 { beta } else { 1.0 },
                    c: c[i * n..].as_mut_ptr(),
                    stride: n,
                };
                // SAFETY: the strip is rows i.. of A and C, all columns of B and C, and steps k0.. of k, first by whole
                // tiles, then by one that is cut off. All end within m, n and k, and the slices are as long (asserted).
                unsafe {
                    match n - j {
                        0 => (),
                        width if width > S::LANES => strip.cut(j, width).run::<S, 2, true>(rows),
                        width => strip.cut(j, width).run::<S, 1, true>(rows),
                    }
                    if panels > 0 {
                        strip.run::<S, 2, false>(rows);
                    }
                }
                i += rows;
            }
        }
    }
}

/// Tiles of `C` side by side: each `width` columns of the same few rows, made in `depth` steps of `k`.
#[derive(Clone, Copy)]
struct Strip {
    tiles: usize,
    width: usize,
    depth: usize,
    a: *const f32,
    a_row: usize,
    a_column: usize,
    b: *const f32,
    beta: f32,
    c: *mut f32,
    /// How far apart the rows of `B` and of `C` are.
    stride: usize,
}

/// A strip with the shape of its tiles, which is a constant: rows, vectors in a row, whether the last vector is cut
/// off, and whether `A` is transposed.
struct Shaped<const ROWS: usize, const VECTORS: usize, const CUT: bool>(Strip);

impl Strip {
    /// The strip's last tile, of fewer columns than the others.
    fn cut(self, j: usize, width: usize) -> Strip {
        Strip { tiles: 1, width, b: self.b.wrapping_add(j), c: self.c.wrapping_add(j), ..self }
    }

    #[inline(always)]
    unsafe fn run<S: Simd, const VECTORS: usize, const CUT: bool>(self, rows: usize) {
        // SAFETY: the caller's strip lies within its matrices, whatever the way it is computed.
        unsafe {
            match rows {
                1 => S::run(Shaped::<1, VECTORS, CUT>(self)),
                2 => S::run(Shaped::<2, VECTORS, CUT>(self)),
                3 => S::run(Shaped::<3, VECTORS, CUT>(self)),
                4 => S::run(Shaped::<4, VECTORS, CUT>(self)),
                5 if S::TILE_ROWS >= 5 => S::run(Shaped::<5, VECTORS, CUT>(self)),
                6 if S::TILE_ROWS >= 6 => S::run(Shaped::<6, VECTORS, CUT>(self)),
                7 if S::TILE_ROWS >= 7 => S::run(Shaped::<7, VECTORS, CUT>(self)),
                8 if S::TILE_ROWS >= 8 => S::run(Shaped::<8, VECTORS, CUT>(self)),
                _ => unreachable!("a tile of {rows} rows"),
            }
        }
    }
}

/// The inner loop: everything above only decides what it is given.
impl<const ROWS: usize, const VECTORS: usize, const CUT: bool> Operation for Shaped<ROWS, VECTORS, CUT> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // r, v and k are the formula's own
    fn run<S: Simd>(self) {
        let Strip { tiles, width, depth, a, a_row, a_column, mut b, beta, mut c, stride } = self.0;
        for _ in 0..tiles {
            // SAFETY: rows 0..ROWS, columns 0..width and steps 0..depth of each tile lie within the matrices by the
            // word of whoever made the strip; all vectors are whole but the last, which the mask ends at `width`.
            unsafe {
                let mask = S::mask(width - (VECTORS - 1) * S::LANES);
                let mut acc = [[S::splat(0.0); VECTORS]; ROWS];
                for r in 0..ROWS {
                    for v in 0..VECTORS {
                        let c = c.add(r * stride + v * S::LANES);
                        acc[r][v] = if CUT && v == VECTORS - 1 { S::load_masked(mask, c) } else { S::load(c) };
                    }
                }
                if beta != 1.0 {
                    for r in 0..ROWS {
                        for v in 0..VECTORS {
                            acc[r][v] = S::multiply(S::splat(beta), acc[r][v]);
                        }
                    }
                }
                for k in 0..depth {
                    let mut b_row = [S::splat(0.0); VECTORS];
                    for v in 0..VECTORS {
                        let b = b.add(k * stride + v * S::LANES);
                        b_row[v] = if CUT && v == VECTORS - 1 { S::load_masked(mask, b) } else { S::load(b) };
                    }
                    for r in 0..ROWS {
                        let a = S::splat(*a.add(r * a_row + k * a_column));
                        for v in 0..VECTORS {
                            acc[r][v] = S::multiply_add(a, b_row[v], acc[r][v]);
                        }
                    }
                }
                for r in 0..ROWS {
                    for v in 0..VECTORS {
                        let c = c.add(r * stride + v * S::LANES);
                        if CUT && v == VECTORS - 1 {
                            S::store_masked(mask, c, acc[r][v])
                        } else {
                            S::store(c, acc[r][v])
                        }
                    }
                }
            }
            b = b.wrapping_add(width);
            c = c.wrapping_add(width);
        }
    }
}

/// Twelve independent multiply-adds of whole vectors, so many times over: nothing that a tile does could be faster. Returns
/// the floating-point operations done.
pub struct Peak(pub usize);

impl Operation for Peak {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self) -> f64 {
        const CHAINS: usize = 12;
        // SAFETY: no memory is touched.
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
    from_fn(|column| rows.map(|row| row[column]))
}

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
struct Portable;

impl Portable {
    const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));
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
        multiply(a: [f32; 4], b: [f32; 4]) -> [f32; 4] = from_fn(|lane| a[lane] * b[lane]);
        multiply_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] =
            from_fn(|lane| Self::mul_add(a[lane], b[lane], c[lane]));
    }
}

#[cfg(target_arch = "x86_64")]
use x86::{Avx2, Avx512};

/// The two instruction sets of x86-64, by their intrinsics.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Operation, Simd};
    use std::arch::x86_64::*;

    pub struct Avx2;

    #[target_feature(enable = "avx2,fma")]
    #[inline(never)]
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
            // SAFETY: the processor is the caller's word.
            unsafe { run_avx2(operation) }
        }
        functions! {
            splat(number: f32) -> __m256 = _mm256_set1_ps(number);
            load(from: *const f32) -> __m256 = _mm256_loadu_ps(from);
            store(to: *mut f32, vector: __m256) -> () = _mm256_storeu_ps(to, vector);
            mask(count: usize) -> __m256i = _mm256_loadu_si256(MASKS.as_ptr().add(8 - count).cast());
            load_masked(mask: __m256i, from: *const f32) -> __m256 = _mm256_maskload_ps(from, mask);
            store_masked(mask: __m256i, to: *mut f32, vector: __m256) -> () = _mm256_maskstore_ps(to, mask, vector);
            multiply(a: __m256, b: __m256) -> __m256 = _mm256_mul_ps(a, b);
            multiply_add(a: __m256, b: __m256, c: __m256) -> __m256 = _mm256_fmadd_ps(a, b, c);
        }
    }

    pub struct Avx512;

    #[target_feature(enable = "avx512f,avx2,fma")]
    #[inline(never)]
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
            unsafe { run_avx512(operation) }
        }
        functions! {
            splat(number: f32) -> __m512 = _mm512_set1_ps(number);
            load(from: *const f32) -> __m512 = _mm512_loadu_ps(from);
            store(to: *mut f32, vector: __m512) -> () = _mm512_storeu_ps(to, vector);
            mask(count: usize) -> __mmask16 = ((1_u32 << count) - 1) as __mmask16;
            load_masked(mask: __mmask16, from: *const f32) -> __m512 = _mm512_maskz_loadu_ps(mask, from);
            store_masked(mask: __mmask16, to: *mut f32, vector: __m512) -> () = _mm512_mask_storeu_ps(to, mask, vector);
            multiply(a: __m512, b: __m512) -> __m512 = _mm512_mul_ps(a, b);
            multiply_add(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps(a, b, c);
        }
    }
}
