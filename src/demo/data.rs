//! The data set: drawn from a seed, so that server and evaluator have the same
//! one without a file between them.
//!
//! Vectors are a mixture of Gaussian clusters in a space of few dimensions,
//! spread over all dimensions by a fixed linear map, plus noise in each
//! dimension. Embeddings of text or images look like that: many dimensions, of
//! which few matter, and clusters that overlap. Without the map every vector
//! would be about as far from every other, and no index could help.
//!
//! Each block of vectors has a generator of its own, so the values depend on
//! neither the number of threads nor the size of the data set.

use std::f32::consts::TAU;
use std::num::NonZeroUsize;
use std::thread;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::vector::{DIMS, TopK, Vector, squared_distance};

/// Dimensions that matter.
const LATENT_DIMS: usize = 16;
const CLUSTERS: usize = 256;
/// Spread of a cluster, where the spread of the clusters' centres is 1.
const CLUSTER_SPREAD: f32 = 0.8;
/// Spread of the noise in each dimension.
const NOISE: f32 = 0.15;
/// Vectors that one generator draws.
const BLOCK: usize = 1024;

/// What the data set is drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataSettings {
    /// The seed: another one gives another mixture, other vectors and queries.
    pub seed: u64,
    /// How many vectors are searched.
    pub vectors: usize,
    /// How many queries the evaluator has.
    pub queries: usize,
}

/// Which of the generators that belong to one seed: they must not share values.
#[derive(Clone, Copy)]
enum Stream {
    Mixture = 0,
    Vectors = 1,
    Queries = 2,
}

impl DataSettings {
    /// The vectors to search, in the order of their numbers.
    pub fn draw_vectors(&self) -> Vec<Vector> {
        Mixture::new(self.seed).draw(Stream::Vectors, self.vectors)
    }

    /// The queries: of the same mixture, but none of the vectors.
    pub fn draw_queries(&self) -> Vec<Vector> {
        Mixture::new(self.seed).draw(Stream::Queries, self.queries)
    }
}

/// The `k` nearest vectors of each query by comparing with every vector, on all
/// processors: what recall is measured against.
pub fn exact_neighbours(vectors: &[Vector], queries: &[Vector], k: usize) -> Vec<Vec<u32>> {
    let mut answers = vec![Vec::new(); queries.len()];
    in_blocks(&mut answers, 16, |block, answers| {
        let queries = &queries[block * 16..][..answers.len()];
        let mut nearest: Vec<TopK> = queries.iter().map(|_| TopK::new(k)).collect();
        // A vector is compared with all queries of the block while it is in
        // the cache.
        for (id, vector) in vectors.iter().enumerate() {
            for (query, nearest) in queries.iter().zip(&mut nearest) {
                nearest.offer(squared_distance(query, vector), id as u32);
            }
        }
        for (answer, nearest) in answers.iter_mut().zip(&nearest) {
            *answer = nearest.nearest().iter().map(|n| n.id).collect();
        }
    });
    answers
}

/// The part of the exact neighbours that was found, from 0 to 1: recall@k,
/// where k is the number of exact neighbours of a query.
pub fn recall<'a>(exact: &[Vec<u32>], found: impl IntoIterator<Item = &'a [u32]>) -> f64 {
    let hits: usize = exact
        .iter()
        .zip(found)
        .map(|(exact, found)| exact.iter().filter(|id| found.contains(id)).count())
        .sum();
    let total: usize = exact.iter().map(Vec::len).sum();
    hits as f64 / total.max(1) as f64
}

/// Calls `work` with each block of `size` items and the block's number, on all
/// processors. Which thread gets a block is left to chance; a result must not
/// depend on it.
pub(super) fn in_blocks<T: Send>(
    items: &mut [T],
    size: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let blocks = std::sync::Mutex::new(items.chunks_mut(size).enumerate());
    // A block's holder panics without the lock, so it is never poisoned.
    let next = || blocks.lock().ok().and_then(|mut blocks| blocks.next());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((number, block)) = next() {
                    work(number, block);
                }
            });
        }
    });
}

/// The distribution that vectors and queries are drawn from.
struct Mixture {
    seed: u64,
    centres: Vec<[f32; LATENT_DIMS]>,
    /// Row `l` is the image of the latent dimension `l`.
    map: [Vector; LATENT_DIMS],
}

impl Mixture {
    fn new(seed: u64) -> Self {
        let mut normal = Normal::new(seed, Stream::Mixture, 0);
        let centres = (0..CLUSTERS).map(|_| normal.array(1.0)).collect();
        let map = std::array::from_fn(|_| normal.array((LATENT_DIMS as f32).sqrt().recip()));
        Self { seed, centres, map }
    }

    fn draw(&self, stream: Stream, count: usize) -> Vec<Vector> {
        let mut vectors = vec![[0.0; DIMS]; count];
        in_blocks(&mut vectors, BLOCK, |block, vectors| {
            let mut normal = Normal::new(self.seed, stream, block as u64);
            for vector in vectors {
                *vector = self.one(&mut normal);
            }
        });
        vectors
    }

    fn one(&self, normal: &mut Normal) -> Vector {
        let centre = self.centres[normal.generator.random_range(0..CLUSTERS)];
        let offset: [f32; LATENT_DIMS] = normal.array(CLUSTER_SPREAD);
        let mut vector: Vector = normal.array(NOISE);
        for (latent, row) in self.map.iter().enumerate() {
            let weight = centre[latent] + offset[latent];
            for (value, image) in vector.iter_mut().zip(row) {
                *value += weight * image;
            }
        }
        vector
    }
}

/// Draws from the normal distribution (Box & Muller 1958).
struct Normal {
    generator: ChaCha8Rng,
}

impl Normal {
    fn new(seed: u64, stream: Stream, block: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&(stream as u64).to_le_bytes());
        key[16..24].copy_from_slice(&block.to_le_bytes());
        Self {
            generator: ChaCha8Rng::from_seed(key),
        }
    }

    /// `N` values (an even number) with mean 0 and the given standard deviation.
    fn array<const N: usize>(&mut self, deviation: f32) -> [f32; N] {
        let mut values = [0.0; N];
        let (pairs, _) = values.as_chunks_mut::<2>();
        for pair in pairs {
            // 1 - [0, 1) is never 0, whose logarithm is infinite.
            let radius = deviation * (-2.0 * (1.0 - self.generator.random::<f32>()).ln()).sqrt();
            let (sine, cosine) = (TAU * self.generator.random::<f32>()).sin_cos();
            *pair = [radius * sine, radius * cosine];
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: DataSettings = DataSettings {
        seed: 42,
        vectors: 1500,
        queries: 20,
    };

    #[test]
    fn the_same_seed_gives_the_same_data_and_another_seed_other_data() {
        let vectors = SMALL.draw_vectors();
        assert_eq!(vectors, SMALL.draw_vectors());
        let other = DataSettings { seed: 43, ..SMALL };
        assert_ne!(vectors[0], other.draw_vectors()[0]);
        assert_ne!(SMALL.draw_queries()[0], vectors[0]);
    }

    #[test]
    fn a_larger_data_set_begins_with_the_smaller_one() {
        let fewer = DataSettings {
            vectors: 1100,
            ..SMALL
        };
        assert_eq!(fewer.draw_vectors(), SMALL.draw_vectors()[..1100]);
    }

    #[test]
    fn values_have_the_mean_and_deviation_of_a_normal_distribution() {
        let mut normal = Normal::new(7, Stream::Vectors, 0);
        let values: [f32; 20_000] = normal.array(2.0);
        let mean = values.iter().sum::<f32>() / 20_000.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.06, "mean {mean}");
        assert!((variance - 4.0).abs() < 0.2, "variance {variance}");
    }

    #[test]
    fn exact_neighbours_are_the_nearest_by_a_full_sort() {
        let (vectors, queries) = (SMALL.draw_vectors(), SMALL.draw_queries());
        let exact = exact_neighbours(&vectors, &queries, 10);
        assert_eq!(exact.len(), queries.len());
        for (query, answer) in queries.iter().zip(&exact) {
            let mut ids: Vec<u32> = (0..vectors.len() as u32).collect();
            ids.sort_by(|a, b| {
                squared_distance(query, &vectors[*a as usize])
                    .total_cmp(&squared_distance(query, &vectors[*b as usize]))
            });
            assert_eq!(answer, &ids[..10]);
        }
    }

    #[test]
    fn recall_is_the_part_that_was_found() {
        let exact = vec![vec![1, 2, 3, 4], vec![5, 6, 7, 8]];
        let found: [&[u32]; 2] = [&[4, 3, 9, 1], &[0, 0, 0, 0]];
        assert_eq!(recall(&exact, found), 3.0 / 8.0);
    }
}
