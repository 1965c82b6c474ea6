//! The index: an inverted file (Sivic & Zisserman 2003; Jégou et al. 2011).
//!
//! Vectors are divided into lists by their nearest centroid. A search compares
//! the query with all centroids, then with the vectors of the nearest
//! `probes` lists, and may correct the best candidates from the floats.
//!
//! Invariant: `planned_bytes` before the build equals `Index::bytes` and the
//! scratch memory of the threads after it.

use super::error::Error;
use super::kmeans::{self, MAX_SPILL, Owners};
use super::quant::{Code, Code4, Code8, Quantiser};
use super::settings::{IndexSettings, QuantBits};
use super::vector::{DIMS, Neighbour, TopK, Vector, squared_distance};

/// The most neighbours that a search can be asked for.
pub(super) const MAX_K: usize = 100;

/// Stands in an answer for a neighbour that the probed lists did not hold.
pub(super) const NO_ID: u32 = u32::MAX;

/// Vectors divided into lists, ready to be searched.
#[derive(Debug)]
pub(super) struct Index {
    settings: IndexSettings,
    centroids: Vec<Vector>,
    /// List `l` holds the places `starts[l]..starts[l + 1]` of `ids` and `stored`.
    starts: Vec<u32>,
    ids: Vec<u32>,
    stored: Stored,
    /// All vectors in the order of their numbers, if candidates are reranked.
    exact: Vec<Vector>,
    /// Vectors that were compared with a centroid during the build.
    build_distances: u64,
}

/// The vectors of the lists, one list after the other.
#[derive(Debug)]
enum Stored {
    Floats(Vec<Vector>),
    Eight(Quantiser, Vec<Code8>),
    Four(Quantiser, Vec<Code4>),
}

/// The memory that one thread searches with, so that a search allocates none.
#[derive(Debug)]
pub(super) struct Scratch {
    lists: Vec<Neighbour>,
    candidates: TopK,
    reranked: TopK,
    /// Stored vectors that were compared with a query so far.
    pub(super) scanned: u64,
}

/// Refuses settings whose index would be over the limit (in bytes).
pub(super) fn check_memory(
    settings: &IndexSettings,
    vectors: usize,
    limit: u64,
) -> Result<u64, Error> {
    let needed = planned_bytes(settings, vectors);
    if needed <= limit {
        return Ok(needed);
    }
    let advice = match settings {
        IndexSettings { spill: 2.., .. } => "use a smaller SPILL, fewer QUANT_BITS or RERANK=0",
        IndexSettings {
            bits: QuantBits::ThirtyTwo,
            ..
        } => "use fewer QUANT_BITS",
        IndexSettings { rerank: 1.., .. } => "use RERANK=0",
        _ => "use fewer QUANT_BITS, N_LISTS or DEMO_VECTORS",
    };
    Err(Error::OverMemoryLimit {
        needed,
        limit,
        advice,
    })
}

/// Bytes that the index and the threads that search it will allocate.
pub(super) fn planned_bytes(settings: &IndexSettings, vectors: usize) -> u64 {
    let stored = vectors * settings.spill;
    let bytes = settings.lists * size_of::<Vector>()
        + (settings.lists + 1) * size_of::<u32>()
        + stored * (size_of::<u32>() + settings.stored_size())
        + if settings.keeps_floats() {
            vectors * size_of::<Vector>()
        } else {
            0
        }
        + settings.threads * Scratch::planned_bytes(settings);
    bytes as u64
}

impl IndexSettings {
    /// Bytes of one vector in a list.
    fn stored_size(&self) -> usize {
        match self.bits {
            QuantBits::ThirtyTwo => size_of::<Vector>(),
            QuantBits::Eight => size_of::<Code8>(),
            QuantBits::Four => size_of::<Code4>(),
        }
    }

    /// Whether the floats are kept beside the lists. At 32 bits the lists hold
    /// them already.
    fn keeps_floats(&self) -> bool {
        self.rerank > 0 && self.bits != QuantBits::ThirtyTwo
    }

    /// The most candidates that a search keeps.
    fn max_candidates(&self) -> usize {
        self.rerank.max(MAX_K)
    }
}

impl Index {
    /// Builds the index on all processors. `progress` is told each step that
    /// is done. The settings are checked ones, and fit the number of vectors.
    pub(super) fn build(
        vectors: Vec<Vector>,
        settings: IndexSettings,
        seed: u64,
        mut progress: impl FnMut(String),
    ) -> Self {
        let sample = settings.train_sample.min(vectors.len());
        let clustering = kmeans::cluster(
            &vectors,
            settings.lists,
            sample,
            settings.kmeans_iterations,
            seed,
        );
        progress(format!(
            "trained {} centroids from {sample} vectors in {} iterations",
            settings.lists, clustering.iterations
        ));

        let mut owners = vec![[0; MAX_SPILL]; vectors.len()];
        kmeans::assign(&clustering.centroids, &vectors, settings.spill, &mut owners);
        let (starts, ids) = invert(&owners, settings.spill, settings.lists);
        let longest = starts.windows(2).map(|ends| ends[1] - ends[0]).max();
        progress(format!(
            "divided {} vectors into lists, {} into the longest",
            vectors.len(),
            longest.unwrap_or(0)
        ));

        let centroids = clustering.centroids;
        let stored = match settings.bits {
            QuantBits::ThirtyTwo => {
                Stored::Floats(ids.iter().map(|id| vectors[*id as usize]).collect())
            }
            QuantBits::Eight => {
                let (quantiser, codes) = encode(&vectors, &centroids, &starts, &ids);
                Stored::Eight(quantiser, codes)
            }
            QuantBits::Four => {
                let (quantiser, codes) = encode(&vectors, &centroids, &starts, &ids);
                Stored::Four(quantiser, codes)
            }
        };
        progress(format!(
            "stored them with {} bits a dimension",
            settings.bits.bits()
        ));
        let build_distances = clustering.distances + (vectors.len() * centroids.len()) as u64;
        Self {
            settings,
            centroids,
            starts,
            ids,
            stored,
            exact: if settings.keeps_floats() {
                vectors
            } else {
                Vec::new()
            },
            build_distances,
        }
    }

    /// Bytes that the index has allocated, without the threads' scratch memory.
    pub(super) fn bytes(&self) -> u64 {
        let stored = match &self.stored {
            Stored::Floats(vectors) => allocated(vectors),
            Stored::Eight(_, codes) => allocated(codes),
            Stored::Four(_, codes) => allocated(codes),
        };
        stored
            + allocated(&self.centroids)
            + allocated(&self.starts)
            + allocated(&self.ids)
            + allocated(&self.exact)
    }

    /// Vectors that were compared with a centroid during the build.
    pub(super) fn build_distances(&self) -> u64 {
        self.build_distances
    }

    /// Adds the numbers of the `k` nearest vectors to `answer`, nearest first,
    /// and `NO_ID` for each that was not found. `k` is 1 to `MAX_K`.
    pub(super) fn search(
        &self,
        query: &Vector,
        k: usize,
        scratch: &mut Scratch,
        answer: &mut Vec<u32>,
    ) {
        assert!((1..=MAX_K).contains(&k), "k is checked by the server");
        let end = answer.len() + k;
        self.choose_lists(query, &mut scratch.lists);
        let rerank = self.settings.keeps_floats();
        scratch.candidates.reset(if rerank {
            self.settings.rerank.max(k)
        } else {
            k
        });
        match &self.stored {
            Stored::Floats(vectors) => self.scan_floats(query, vectors, scratch),
            Stored::Eight(quantiser, codes) => self.scan_codes(query, *quantiser, codes, scratch),
            Stored::Four(quantiser, codes) => self.scan_codes(query, *quantiser, codes, scratch),
        }
        let nearest = if rerank {
            scratch.reranked.reset(k);
            for candidate in scratch.candidates.nearest() {
                let vector = &self.exact[candidate.id as usize];
                scratch
                    .reranked
                    .offer(squared_distance(query, vector), candidate.id);
            }
            scratch.reranked.nearest()
        } else {
            scratch.candidates.nearest()
        };
        answer.extend(nearest.iter().map(|neighbour| neighbour.id));
        answer.resize(end, NO_ID);
    }

    /// Puts the lists to look into first.
    fn choose_lists(&self, query: &Vector, lists: &mut Vec<Neighbour>) {
        lists.clear();
        lists.extend((0..).zip(&self.centroids).map(|(id, centroid)| Neighbour {
            distance: squared_distance(query, centroid),
            id,
        }));
        let probes = self.settings.probes;
        if probes < lists.len() {
            lists.select_nth_unstable_by(probes - 1, |a, b| a.distance.total_cmp(&b.distance));
            lists.truncate(probes);
        }
        // The nearest list first: it sets a bound that few later vectors pass.
        lists.sort_unstable_by(|a, b| a.distance.total_cmp(&b.distance));
    }

    fn scan_floats(&self, query: &Vector, vectors: &[Vector], scratch: &mut Scratch) {
        for list in &scratch.lists {
            let places = self.places(list.id);
            scratch.scanned += places.len() as u64;
            for (id, vector) in self.ids[places.clone()].iter().zip(&vectors[places]) {
                scratch
                    .candidates
                    .offer(squared_distance(query, vector), *id);
            }
        }
    }

    fn scan_codes<C: Code>(
        &self,
        query: &Vector,
        quantiser: Quantiser,
        codes: &[C],
        scratch: &mut Scratch,
    ) {
        for list in &scratch.lists {
            let query = quantiser.encode_query::<C>(query, &self.centroids[list.id as usize]);
            let places = self.places(list.id);
            scratch.scanned += places.len() as u64;
            for (id, code) in self.ids[places.clone()].iter().zip(&codes[places]) {
                let distance = code.squared_distance(&query) as f32;
                scratch.candidates.offer(distance, *id);
            }
        }
    }

    fn places(&self, list: u32) -> std::ops::Range<usize> {
        self.starts[list as usize] as usize..self.starts[list as usize + 1] as usize
    }
}

impl Scratch {
    /// Memory for searches of this index.
    pub(super) fn new(index: &Index) -> Self {
        Self {
            lists: Vec::with_capacity(index.settings.lists),
            candidates: TopK::new(index.settings.max_candidates()),
            reranked: TopK::new(MAX_K),
            scanned: 0,
        }
    }

    /// Bytes that are allocated.
    pub(super) fn bytes(&self) -> u64 {
        allocated(&self.lists) + self.candidates.bytes() + self.reranked.bytes()
    }

    fn planned_bytes(settings: &IndexSettings) -> usize {
        // A list of the k nearest has one place more, for the one that it drops.
        (settings.lists + settings.max_candidates() + 1 + MAX_K + 1) * size_of::<Neighbour>()
    }
}

/// Bytes of a vector's memory.
pub(super) fn allocated<T>(memory: &Vec<T>) -> u64 {
    (memory.capacity() * size_of::<T>()) as u64
}

/// From the lists of each vector to the vectors of each list: where each list
/// starts, and the vectors' numbers.
fn invert(owners: &[Owners], spill: usize, lists: usize) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0u32; lists + 1];
    for owner in owners.iter().flat_map(|owners| &owners[..spill]) {
        starts[*owner as usize + 1] += 1;
    }
    for list in 0..lists {
        starts[list + 1] += starts[list];
    }
    let mut next = starts.clone();
    let mut ids = vec![0; owners.len() * spill];
    for (id, owners) in (0..).zip(owners) {
        for owner in &owners[..spill] {
            let place = &mut next[*owner as usize];
            ids[*place as usize] = id;
            *place += 1;
        }
    }
    (starts, ids)
}

/// The codes of all lists, on a grid that fits the residuals.
fn encode<C: Code>(
    vectors: &[Vector],
    centroids: &[Vector],
    starts: &[u32],
    ids: &[u32],
) -> (Quantiser, Vec<C>) {
    let members = || {
        starts
            .windows(2)
            .zip(centroids)
            .flat_map(|(ends, centroid)| {
                ids[ends[0] as usize..ends[1] as usize]
                    .iter()
                    .map(move |id| (&vectors[*id as usize], centroid))
            })
    };
    let squares: f64 = members()
        .map(|(vector, centroid)| f64::from(squared_distance(vector, centroid)))
        .sum();
    let deviation = (squares / (ids.len() * DIMS) as f64).sqrt();
    let quantiser = Quantiser::new::<C>(deviation as f32);
    // The members' iterator cannot tell its length, and a guess would leave
    // memory that the accounting does not know.
    let mut codes = Vec::with_capacity(ids.len());
    codes.extend(members().map(|(vector, centroid)| quantiser.encode::<C>(vector, centroid)));
    (quantiser, codes)
}
