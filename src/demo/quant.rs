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

/// Sums in the inner loop, as many as a register of 128 bits has 16-bit lanes.
const LANES: usize = 8;

/// A query's residual on the finer grid.
pub(super) type QueryCode = [i16; DIMS];

/// A way to store a residual in few bits.
pub(super) trait Code: Copy + Send + Sync + 'static {
    /// Levels per dimension.
    const LEVELS: u8;
    /// The levels' distance, where the residuals' standard deviation is 1.
    const STEP: f32;
    /// Parts that the query's grid divides a step into.
    const FINENESS: i16;
    /// The least and the largest value of a query's code: a query that is
    /// farther away is clamped, so that the sum of squares cannot overflow.
    const QUERY_RANGE: (f32, f32);

    fn from_levels(levels: &[u8; DIMS]) -> Self;

    /// The squared distance to a query's residual, in the query's grid.
    fn squared_distance(&self, query: &QueryCode) -> u32;
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
    // 48 · (4000 + 510)² is below 2^31; 4000 parts are 61 standard deviations.
    const QUERY_RANGE: (f32, f32) = (-4000.0, 4000.0);

    fn from_levels(levels: &[u8; DIMS]) -> Self {
        Self(*levels)
    }

    #[inline]
    fn squared_distance(&self, query: &QueryCode) -> u32 {
        let mut sum = 0;
        for (level, query) in self.0.iter().zip(query) {
            let difference = query - Self::FINENESS * i16::from(*level);
            sum += i32::from(difference) * i32::from(difference);
        }
        sum as u32
    }
}

impl Code for Code4 {
    const LEVELS: u8 = 15;
    const STEP: f32 = 0.3352;
    const FINENESS: i16 = 4;
    // A difference is at most 104, and each lane sums 6 squares: 64896 is below
    // 2^16. On both sides 18 steps are left, 6 standard deviations.
    const QUERY_RANGE: (f32, f32) = (-44.0, 104.0);

    fn from_levels(levels: &[u8; DIMS]) -> Self {
        Self(std::array::from_fn(|i| levels[i] | levels[i + PACKED] << 4))
    }

    #[inline]
    fn squared_distance(&self, query: &QueryCode) -> u32 {
        // Sums of 16 bits, since twice as many of them fit a register.
        let mut sums = [0u16; LANES];
        let (bytes, _) = self.0.as_chunks::<LANES>();
        let (query, _) = query.as_chunks::<LANES>();
        let (low, high) = query.split_at(PACKED / LANES);
        for ((bytes, low), high) in bytes.iter().zip(low).zip(high) {
            for lane in 0..LANES {
                // Four times the level of each half.
                let low = low[lane] - i16::from((bytes[lane] & 0x0F) << 2);
                let high = high[lane] - i16::from((bytes[lane] & 0xF0) >> 2);
                sums[lane] += (low * low) as u16 + (high * high) as u16;
            }
        }
        sums.iter().copied().map(u32::from).sum()
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
        let (least, largest) = C::QUERY_RANGE;
        std::array::from_fn(|dim| {
            let place = (query[dim] - centroid[dim]) * scale + middle;
            // A cast cuts off, so what is not negative is rounded by adding a
            // half. `round` would be a call for each value.
            (place.clamp(least, largest) - least + 0.5) as i16 + least as i16
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::vector::squared_distance;

    /// Values that spread evenly between -1.5 and 1.5.
    fn values(number: usize) -> Vector {
        std::array::from_fn(|dim| {
            ((dim * 37 + number * 101 + dim * number * 7) % 61) as f32 / 20.0 - 1.5
        })
    }

    /// The largest error of the squared distance that the codes give, as a part
    /// of the mean distance.
    fn error<C: Code>() -> f32 {
        let centroid = [0.25; DIMS];
        let quantiser = Quantiser::new::<C>(1.0);
        let unit = C::STEP / f32::from(C::FINENESS);
        let (mut worst, mut sum) = (0.0f32, 0.0);
        for i in 0..20 {
            let (vector, query) = (values(i), values(i + 50));
            let code: C = quantiser.encode(&vector, &centroid);
            let seen = code.squared_distance(&quantiser.encode_query::<C>(&query, &centroid));
            let real = squared_distance(&vector, &query);
            worst = worst.max((seen as f32 * unit * unit - real).abs());
            sum += real;
        }
        worst / (sum / 20.0)
    }

    #[test]
    fn codes_give_nearly_the_real_distance_and_fewer_bits_a_larger_error() {
        let (eight, four) = (error::<Code8>(), error::<Code4>());
        assert!(eight < 0.01, "8 bits: {eight}");
        assert!(four < 0.05, "4 bits: {four}");
        assert!(eight < four);
    }

    #[test]
    fn values_beyond_the_grid_are_clamped_and_do_not_overflow() {
        fn check<C: Code>() {
            let quantiser = Quantiser::new::<C>(1.0);
            for side in [-1e30, 1e30] {
                let query = quantiser.encode_query::<C>(&[side; DIMS], &[0.0; DIMS]);
                let near: C = quantiser.encode(&[side; DIMS], &[0.0; DIMS]);
                let far: C = quantiser.encode(&[-side; DIMS], &[0.0; DIMS]);
                assert!(far.squared_distance(&query) > near.squared_distance(&query));
            }
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
