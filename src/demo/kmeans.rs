//! k-means: the centroids of the index's lists (Lloyd 1982).
//!
//! Invariant: the result depends on the vectors and the settings only, not on
//! the number of threads: every sum is made in the vectors' order.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::index;

use super::data::in_blocks;
use super::vector::{DIMS, TopK, Vector, squared_distance};

/// Vectors whose nearest centroids one thread looks for at a time.
const BLOCK: usize = 512;

/// The most lists that a vector can be stored in.
pub(super) const MAX_SPILL: usize = 4;

/// The lists of a vector, nearest centroid first; those beyond the wanted
/// number mean nothing.
pub(super) type Owners = [u32; MAX_SPILL];

/// The centroids, and the work that it took to find them.
#[derive(Debug, PartialEq)]
pub(super) struct Clustering {
    pub(super) centroids: Vec<Vector>,
    /// Vectors that were compared with a centroid.
    pub(super) distances: u64,
    /// Lloyd's iterations until nothing changed, or until the limit.
    pub(super) iterations: usize,
}

/// Finds `lists` centroids of a sample of `sample` vectors in at most
/// `iterations` iterations. Needs `1 <= lists <= sample <= vectors.len()`.
pub(super) fn cluster(
    vectors: &[Vector],
    lists: usize,
    sample: usize,
    iterations: usize,
    seed: u64,
) -> Clustering {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let sample: Vec<Vector> = index::sample(&mut generator, vectors.len(), sample)
        .into_iter()
        .map(|id| vectors[id])
        .collect();
    // The sample is in random order, so its beginning is a random choice of
    // distinct starting points (Forgy's way).
    let mut clustering = Clustering {
        centroids: sample[..lists].to_vec(),
        distances: 0,
        iterations: 0,
    };
    let mut owners = vec![[0; MAX_SPILL]; sample.len()];
    for _ in 0..iterations {
        let before = owners.clone();
        assign(&clustering.centroids, &sample, 1, &mut owners);
        clustering.distances += (sample.len() * lists) as u64;
        clustering.iterations += 1;
        if clustering.iterations > 1 && owners == before {
            break;
        }
        move_centroids(&mut clustering.centroids, &sample, &owners);
    }
    clustering
}

/// The `count` nearest centroids of each vector. Needs at least that many
/// centroids, and at most `MAX_SPILL`.
pub(super) fn assign(
    centroids: &[Vector],
    vectors: &[Vector],
    count: usize,
    owners: &mut [Owners],
) {
    in_blocks(owners, BLOCK, |block, owners| {
        let vectors = &vectors[block * BLOCK..][..owners.len()];
        let mut nearest = TopK::new(count);
        for (vector, owners) in vectors.iter().zip(owners) {
            nearest.reset(count);
            for (list, centroid) in centroids.iter().enumerate() {
                nearest.offer(squared_distance(vector, centroid), list as u32);
            }
            for (owner, neighbour) in owners.iter_mut().zip(nearest.nearest()) {
                *owner = neighbour.id;
            }
        }
    });
}

/// Puts each centroid into the middle of its vectors. One that lost all its
/// vectors takes half of the largest cluster's, as Faiss does: an empty list
/// would be a list that no search gains from.
fn move_centroids(centroids: &mut [Vector], vectors: &[Vector], owners: &[Owners]) {
    let mut sums = vec![[0.0f32; DIMS]; centroids.len()];
    let mut counts = vec![0usize; centroids.len()];
    for (vector, [owner, ..]) in vectors.iter().zip(owners) {
        counts[*owner as usize] += 1;
        for (sum, value) in sums[*owner as usize].iter_mut().zip(vector) {
            *sum += value;
        }
    }
    for ((centroid, sum), count) in centroids.iter_mut().zip(&sums).zip(&counts) {
        if *count > 0 {
            *centroid = sum.map(|sum| sum / *count as f32);
        }
    }
    for empty in 0..centroids.len() {
        if counts[empty] > 0 {
            continue;
        }
        let Some(largest) = (0..counts.len()).max_by_key(|list| counts[*list]) else {
            return;
        };
        // Two centroids on either side of the old one share its vectors in the
        // next iteration.
        let middle = centroids[largest];
        for dim in 0..DIMS {
            let shift = if dim % 2 == 0 { 1e-3 } else { -1e-3 };
            centroids[empty][dim] = middle[dim] + shift;
            centroids[largest][dim] = middle[dim] - shift;
        }
        counts[empty] = counts[largest] / 2;
        counts[largest] -= counts[empty];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three groups of vectors around 0, 10 and 20 in every dimension.
    fn groups() -> Vec<Vector> {
        (0..90u8)
            .map(|i| [f32::from(i % 3) * 10.0 + f32::from(i) * 0.01; DIMS])
            .collect()
    }

    #[test]
    fn finds_separate_groups() {
        let found = cluster(&groups(), 3, 90, 50, 1);
        let mut middles: Vec<f32> = found.centroids.iter().map(|c| c[0].round()).collect();
        middles.sort_by(f32::total_cmp);
        assert_eq!(middles, [0.0, 10.0, 20.0]);
    }

    #[test]
    fn stops_when_nothing_changes_and_counts_its_work() {
        let found = cluster(&groups(), 3, 90, 1000, 1);
        assert!(found.iterations < 1000);
        assert_eq!(found.distances, found.iterations as u64 * 90 * 3);
        assert_eq!(cluster(&groups(), 3, 90, 1, 1).distances, 90 * 3);
    }

    #[test]
    fn an_empty_cluster_takes_half_of_the_largest() {
        let vectors = groups();
        // All vectors are nearest to the first centroid.
        let mut centroids = vec![[10.0; DIMS], [1e6; DIMS]];
        move_centroids(
            &mut centroids,
            &vectors,
            &vec![[0; MAX_SPILL]; vectors.len()],
        );
        let mut owners = vec![[0; MAX_SPILL]; vectors.len()];
        // An alternating shift separates vectors that differ across dimensions.
        let mixed: Vec<Vector> = (0..90)
            .map(|i| {
                let side = if i % 2 == 0 { 1.0 } else { -1.0 };
                std::array::from_fn(|d| 10.0 + if d % 2 == 0 { side } else { -side })
            })
            .collect();
        assign(&centroids, &mixed, 1, &mut owners);
        for list in [0, 1] {
            assert!(owners.iter().any(|owner| owner[0] == list));
        }
    }

    #[test]
    fn assigns_the_nearest_centroids_in_order() {
        let centroids = [[0.0; DIMS], [10.0; DIMS], [14.0; DIMS]];
        let mut owners = [[9; MAX_SPILL]; 2];
        assign(&centroids, &[[9.0; DIMS], [0.5; DIMS]], 2, &mut owners);
        assert_eq!(owners, [[1, 2, 9, 9], [0, 1, 9, 9]]);
    }
}
