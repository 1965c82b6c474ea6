//! Scalar quantisation: a vector's residual (its difference to the centroid of
//! its list) as one small integer per dimension.
//!
//! Residuals are smaller than vectors, so the same number of bits is finer
//! (Jégou et al. 2011, section IV). All dimensions share one step: then the
//! distance of two codes is an integer, and one comparison serves all lists.
//! The query is not rounded to the vectors' grid but to a finer one, which
//! halves the error.
//!
//! With b bits the levels are (c - (2^b - 1) / 2) · step for the codes
//! c = 0 … 2^b - 1. The step is the one that has the least squared error for a
//! normal distribution: 0.3352 σ for 16 levels (Max 1960, table II) and
//! 0.0308 σ for 256 (the same rule; Hui & Neuhoff 2001). Values beyond the
//! outermost level are clamped to it.

use super::vector::{DIMS, Vector};

/// Bytes of a vector at 4 bits: byte `i` holds dimension `i` in its low half
/// and dimension `i + DIMS / 2` in its high half.
const PACKED: usize = DIMS / 2;

/// A query's residual on the finer grid. Its values stay so small that the sum
/// of the squares of all dimensions fits an i32.
pub(super) type QueryCode = [i16; DIMS];
const LARGEST_QUERY_CODE: f32 = 4000.0;

/// A way to store a residual in few bits.
pub(super) trait Code: Copy + Send + Sync + 'static {
    /// Levels per dimension.
    const LEVELS: u8;
    /// The levels' distance, where the residuals' standard deviation is 1.
    const STEP: f32;
    /// Parts that the query's grid divides a step into.
    const FINENESS: i16;

    fn from_levels(levels: &[u8; DIMS]) -> Self;

    /// The squared distance to a query's residual, in the query's grid.
    fn squared_distance(&self, query: &QueryCode) -> i32;
}

/// One byte per dimension.
#[derive(Debug, Clone, Copy)]
pub(super) struct Code8([u8; DIMS]);

/// Half a byte per dimension.
#[derive(Debug, Clone, Copy)]
pub(super) struct Code4([u8; PACKED]);

impl Code for Code8 {
    const LEVELS: u8 = 255;
    const STEP: f32 = 0.0308;
    const FINENESS: i16 = 2;

    fn from_levels(levels: &[u8; DIMS]) -> Self {
        Self(*levels)
    }

    #[inline]
    fn squared_distance(&self, query: &QueryCode) -> i32 {
        let mut sum = 0;
        for (level, query) in self.0.iter().zip(query) {
            let difference = query - Self::FINENESS * i16::from(*level);
            sum += i32::from(difference) * i32::from(difference);
        }
        sum
    }
}

impl Code for Code4 {
    const LEVELS: u8 = 15;
    const STEP: f32 = 0.3352;
    // A level times 16 is the byte with the level in its high half: no shift.
    const FINENESS: i16 = 16;

    fn from_levels(levels: &[u8; DIMS]) -> Self {
        Self(std::array::from_fn(|i| levels[i] | levels[i + PACKED] << 4))
    }

    #[inline]
    fn squared_distance(&self, query: &QueryCode) -> i32 {
        let mut sum = 0;
        for i in 0..PACKED {
            let low = query[i] - i16::from(self.0[i] << 4);
            let high = query[i + PACKED] - i16::from(self.0[i] & 0xF0);
            sum += i32::from(low) * i32::from(low) + i32::from(high) * i32::from(high);
        }
        sum
    }
}

/// The grid for residuals of one standard deviation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quantiser {
    /// The levels' distance, in the vectors' unit.
    step: f32,
}

impl Quantiser {
    /// The grid of `C` for residuals with this standard deviation.
    pub(super) fn new<C: Code>(deviation: f32) -> Self {
        Self {
            // Vectors that all are centroids have residuals of 0: any step
            // but 0 stores them.
            step: (C::STEP * deviation).max(f32::MIN_POSITIVE),
        }
    }

    /// The code of a vector in the list of this centroid.
    pub(super) fn encode<C: Code>(&self, vector: &Vector, centroid: &Vector) -> C {
        let middle = f32::from(C::LEVELS) / 2.0;
        C::from_levels(&std::array::from_fn(|dim| {
            let level = (vector[dim] - centroid[dim]) / self.step + middle;
            level.round().clamp(0.0, f32::from(C::LEVELS)) as u8
        }))
    }

    /// The query as the codes of this centroid's list see it.
    pub(super) fn encode_query<C: Code>(&self, query: &Vector, centroid: &Vector) -> QueryCode {
        let fineness = f32::from(C::FINENESS);
        let scale = fineness / self.step;
        let middle = fineness * f32::from(C::LEVELS) / 2.0;
        std::array::from_fn(|dim| {
            let place = (query[dim] - centroid[dim]) * scale + middle;
            // Adding a half before the cast rounds, but for negative places,
            // by up to one part of the finer grid: `round` would be a call.
            (place.clamp(-LARGEST_QUERY_CODE, LARGEST_QUERY_CODE) + 0.5) as i16
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::vector::squared_distance;

    /// Values that spread as residuals do, between -1.5 and 1.5.
    fn wave(phase: f32) -> Vector {
        std::array::from_fn(|dim| 1.5 * (dim as f32 * 0.7 + phase).sin())
    }

    /// The relative error of the squared distance that the codes give.
    fn error<C: Code>() -> f32 {
        let centroid = [0.25; DIMS];
        let quantiser = Quantiser::new::<C>(1.0);
        let unit = C::STEP / f32::from(C::FINENESS);
        let mut worst: f32 = 0.0;
        for i in 0..20u8 {
            let (vector, query) = (wave(f32::from(i)), wave(f32::from(i) * 3.0 + 1.0));
            let code: C = quantiser.encode(&vector, &centroid);
            let seen = code.squared_distance(&quantiser.encode_query::<C>(&query, &centroid));
            let real = squared_distance(&vector, &query);
            worst = worst.max((seen as f32 * unit * unit - real).abs() / real);
        }
        worst
    }

    #[test]
    fn codes_give_nearly_the_real_distance_and_fewer_bits_a_larger_error() {
        let (eight, four) = (error::<Code8>(), error::<Code4>());
        assert!(eight < 0.01, "8 bits: {eight}");
        assert!(four < 0.15, "4 bits: {four}");
        assert!(eight < four);
    }

    #[test]
    fn values_beyond_the_grid_are_clamped_and_do_not_overflow() {
        fn check<C: Code>() {
            let quantiser = Quantiser::new::<C>(1.0);
            let far: QueryCode = quantiser.encode_query::<C>(&[-1e30; DIMS], &[0.0; DIMS]);
            let code: C = quantiser.encode(&[1e30; DIMS], &[0.0; DIMS]);
            let near: C = quantiser.encode(&[-1e30; DIMS], &[0.0; DIMS]);
            assert!(code.squared_distance(&far) > near.squared_distance(&far));
        }
        check::<Code8>();
        check::<Code4>();
    }

    #[test]
    fn codes_have_the_bits_that_they_are_named_for() {
        assert_eq!(size_of::<Code8>() * 8, DIMS * 8);
        assert_eq!(size_of::<Code4>() * 8, DIMS * 4);
    }
}
