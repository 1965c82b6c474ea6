//! The pieces together: what each parameter changes. Counts are compared, never
//! times.

mod http;
mod spec;

use std::sync::Arc;

use super::index::{self, Index, Scratch, planned_bytes};
use super::pool::SearchPool;
use super::*;

const DATA: DataSettings = DataSettings {
    seed: 42,
    vectors: 2000,
    queries: 40,
};

const INDEX: IndexSettings = IndexSettings {
    lists: 16,
    probes: 4,
    bits: QuantBits::ThirtyTwo,
    spill: 1,
    rerank: 0,
    threads: 1,
    train_sample: 1000,
    kmeans_iterations: 4,
};

/// What can be measured of an index without a clock.
#[derive(Debug, PartialEq)]
struct Measured {
    recall: f64,
    scanned: u64,
    memory: u64,
    build_distances: u64,
}

fn measure(data: DataSettings, settings: IndexSettings) -> Measured {
    let (vectors, queries) = (data.draw_vectors(), data.draw_queries());
    let exact = exact_neighbours(&vectors, &queries, 10);
    let index = Arc::new(Index::build(vectors, settings, data.seed, |_| {}));
    let mut scratch = Scratch::new(&index);
    let mut found = Vec::new();
    for query in &queries {
        index.search(query, 10, &mut scratch, &mut found);
    }
    let pool = SearchPool::start(index.clone(), settings.threads).expect("threads can be started");
    Measured {
        recall: recall(&exact, found.chunks(10)),
        scanned: scratch.scanned,
        memory: pool.bytes(),
        build_distances: index.build_distances(),
    }
}

fn with(change: impl FnOnce(&mut IndexSettings)) -> Measured {
    let mut settings = INDEX;
    change(&mut settings);
    measure(DATA, settings)
}

#[test]
fn nothing_is_missed_when_every_list_is_probed() {
    assert_eq!(with(|s| s.probes = 16).recall, 1.0);
    let reranked = with(|s| {
        s.probes = 16;
        s.bits = QuantBits::Four;
        s.rerank = 500;
    });
    assert_eq!(reranked.recall, 1.0);
}

#[test]
fn fewer_bits_take_less_memory_and_miss_more() {
    let [full, eight, four] =
        [QuantBits::ThirtyTwo, QuantBits::Eight, QuantBits::Four].map(|bits| {
            with(|s| {
                s.probes = 16;
                s.bits = bits;
            })
        });
    assert!(full.memory > eight.memory && eight.memory > four.memory);
    assert!(full.recall >= eight.recall && eight.recall > four.recall);
    assert!(eight.recall > 0.9, "8 bits: {}", eight.recall);
    assert!(four.recall > 0.5, "4 bits: {}", four.recall);
}

#[test]
fn more_probes_scan_and_find_more() {
    let (few, more) = (with(|s| s.probes = 1), with(|s| s.probes = 6));
    assert!(few.scanned < more.scanned);
    assert!(few.recall < more.recall);
}

#[test]
fn more_lists_scan_less_but_take_memory_and_build_work() {
    let (few, many) = (with(|_| {}), with(|s| s.lists = 64));
    assert!(many.scanned < few.scanned);
    assert!(many.recall < few.recall);
    assert!(many.memory > few.memory);
    assert!(many.build_distances > few.build_distances);
}

#[test]
fn spilling_finds_more_with_the_same_probes_and_takes_memory() {
    let (once, twice) = (
        with(|s| s.probes = 1),
        with(|s| {
            s.probes = 1;
            s.spill = 2;
        }),
    );
    assert!(twice.recall > once.recall);
    assert!(twice.memory > once.memory);
}

#[test]
fn reranking_corrects_the_rounding_and_keeps_the_floats() {
    let four = with(|s| s.bits = QuantBits::Four);
    let reranked = with(|s| {
        s.bits = QuantBits::Four;
        s.rerank = 50;
    });
    assert!(reranked.recall > four.recall);
    let floats = DATA.vectors * size_of::<Vector>();
    assert_eq!(reranked.memory - four.memory, floats as u64);
    // At 32 bits the lists hold the floats already.
    assert_eq!(with(|s| s.rerank = 50).recall, with(|_| {}).recall);
}

#[test]
fn the_sample_and_the_iterations_change_the_build_work() {
    let usual = with(|_| {}).build_distances;
    assert!(with(|s| s.train_sample = 100).build_distances < usual);
    assert!(with(|s| s.kmeans_iterations = 1).build_distances < usual);
}

#[test]
fn every_thread_has_scratch_memory_and_the_index() {
    assert!(with(|s| s.threads = 3).memory > with(|_| {}).memory);
    let index = Arc::new(Index::build(DATA.draw_vectors(), INDEX, 1, |_| {}));
    let _pool = SearchPool::start(index.clone(), 3).expect("threads can be started");
    // One for each of the three threads, and ours.
    assert_eq!(Arc::strong_count(&index), 4);
}

#[test]
fn another_seed_gives_other_numbers_and_the_same_seed_the_same() {
    assert_eq!(with(|_| {}), with(|_| {}));
    assert_ne!(
        with(|_| {}),
        measure(DataSettings { seed: 43, ..DATA }, INDEX)
    );
}

#[test]
fn planned_memory_is_what_is_allocated() {
    for bits in [QuantBits::ThirtyTwo, QuantBits::Eight, QuantBits::Four] {
        for (spill, rerank, threads) in [(1, 0, 1), (2, 20, 3), (4, 500, 2)] {
            let settings = IndexSettings {
                bits,
                spill,
                rerank,
                threads,
                ..INDEX
            };
            assert_eq!(
                measure(DATA, settings).memory,
                planned_bytes(&settings, DATA.vectors),
                "{settings:?}"
            );
        }
    }
}

#[test]
fn a_list_that_is_too_short_is_filled_with_no_vector() {
    let data = DataSettings {
        vectors: 100,
        ..DATA
    };
    let settings = IndexSettings {
        lists: 50,
        probes: 1,
        train_sample: 100,
        ..INDEX
    };
    let index = Index::build(data.draw_vectors(), settings, 1, |_| {});
    let mut answer = Vec::new();
    let query = data.draw_queries()[0];
    index.search(&query, 100, &mut Scratch::new(&index), &mut answer);
    assert_eq!(answer.len(), 100);
    assert_eq!(answer[99], index::NO_ID);
    assert!(answer[0] < 100);
}
