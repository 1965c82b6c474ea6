//! Vectors, their distance, and the k nearest of many.

/// Dimensions of every vector. A constant, so that the inner loops have a
/// known length and are unrolled and vectorised.
pub const DIMS: usize = 48;

/// One vector of the data set, or one query.
pub type Vector = [f32; DIMS];

/// Independent sums in the inner loop: without them each addition would wait
/// for the one before, since float addition must not be reordered.
const LANES: usize = 16;

/// The squared Euclidean distance. It orders vectors as the distance does,
/// without the square root.
pub(super) fn squared_distance(a: &Vector, b: &Vector) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a, _) = a.as_chunks::<LANES>();
    let (b, _) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            let difference = a[lane] - b[lane];
            sums[lane] += difference * difference;
        }
    }
    sums.iter().sum()
}

/// A candidate answer: a vector's number and its distance to the query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Neighbour {
    pub(super) distance: f32,
    pub(super) id: u32,
}

/// The nearest `limit` of the vectors that were offered, nearest first, each
/// vector once.
#[derive(Debug)]
pub(super) struct TopK {
    limit: usize,
    /// One place more than `limit`, so that an insertion never reallocates.
    nearest: Vec<Neighbour>,
}

impl TopK {
    /// An empty list of at most `limit` neighbours; `limit` is at least 1.
    pub(super) fn new(limit: usize) -> Self {
        let mut top = Self {
            limit: 0,
            nearest: Vec::new(),
        };
        top.reset(limit);
        top
    }

    /// Empties the list and keeps its memory.
    pub(super) fn reset(&mut self, limit: usize) {
        assert!(limit > 0, "a list of no neighbours has no farthest one");
        self.limit = limit;
        self.nearest.clear();
        self.nearest.reserve_exact(limit + 1);
    }

    /// Takes the vector in if it is nearer than the farthest of a full list.
    #[inline]
    pub(super) fn offer(&mut self, distance: f32, id: u32) {
        if self.nearest.len() < self.limit || distance < self.nearest[self.limit - 1].distance {
            self.insert(Neighbour { distance, id });
        }
    }

    /// The rare part of `offer`, kept out of the scanning loop.
    #[cold]
    fn insert(&mut self, new: Neighbour) {
        // A vector that is stored in several lists is seen several times, with
        // a different rounding error each time; the smaller distance counts.
        if let Some(at) = self.nearest.iter().position(|old| old.id == new.id) {
            if self.nearest[at].distance <= new.distance {
                return;
            }
            self.nearest.remove(at);
        }
        let at = self
            .nearest
            .partition_point(|old| old.distance <= new.distance);
        self.nearest.insert(at, new);
        self.nearest.truncate(self.limit);
    }

    /// Bytes that are allocated.
    pub(super) fn bytes(&self) -> u64 {
        (self.nearest.capacity() * size_of::<Neighbour>()) as u64
    }

    /// The neighbours so far, nearest first.
    pub(super) fn nearest(&self) -> &[Neighbour] {
        &self.nearest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_the_sum_of_squares() {
        let mut a = [0.0; DIMS];
        let mut b = [0.0; DIMS];
        a[0] = 3.0;
        b[DIMS - 1] = 4.0;
        assert_eq!(squared_distance(&a, &b), 25.0);
        assert_eq!(squared_distance(&a, &a), 0.0);
    }

    #[test]
    fn top_k_keeps_the_nearest_and_each_vector_once() {
        let mut top = TopK::new(3);
        for (distance, id) in [(5.0, 1), (2.0, 2), (9.0, 3), (1.0, 4), (1.5, 2), (7.0, 2)] {
            top.offer(distance, id);
        }
        let ids: Vec<u32> = top.nearest().iter().map(|n| n.id).collect();
        assert_eq!(ids, [4, 2, 1]);
        assert_eq!(top.nearest()[1].distance, 1.5);
    }

    #[test]
    fn top_k_equals_a_sort() {
        let distances: Vec<f32> = (0..200u32).map(|i| ((i * 7919) % 1009) as f32).collect();
        let mut top = TopK::new(10);
        for (id, distance) in distances.iter().enumerate() {
            top.offer(*distance, id as u32);
        }
        let mut sorted = distances.clone();
        sorted.sort_by(f32::total_cmp);
        let kept: Vec<f32> = top.nearest().iter().map(|n| n.distance).collect();
        assert_eq!(kept, sorted[..10]);
    }
}
