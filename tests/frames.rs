//! A million mutated frames through the code that reads them in the daemon and
//! in the client: nothing panics, and no frame takes more memory than its
//! bytes allow. `fuzz/` has the same for as long as one likes.

use autotune::wire::codec::{Message, decode, encode};
use autotune::wire::frame::{frame, receive};
use autotune::wire::reply::Reply;
use autotune::wire::request::Request;
use peak_alloc::PeakAlloc;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const FRAMES: usize = 1_000_000;

/// What claims may take before their bytes are there: serde allocates 1 MiB
/// at most for a sequence, whatever is claimed, and no message nests deeper.
const CLAIM: usize = 4 << 20;
/// A byte may become so many: an empty text in a growing list.
const GROWTH: usize = 100;

/// The bytes of every message of this version, from the snapshots that pin
/// them.
fn golden(name: &str) -> Vec<Vec<u8>> {
    let path = format!(
        "{}/src/wire/snapshots/autotune__wire__golden_tests__bytes_of_{name}.snap",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).expect("a snapshot");
    let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("hexadecimal");
        u8::from_str_radix(pair, 16).expect("hexadecimal")
    };
    let messages = lines.map(|line| line.as_bytes().chunks(2).map(byte).collect());
    let frames: Vec<Vec<u8>> = messages
        .map(|body: Vec<u8>| frame(&body, body.len()).expect("a frame"))
        .collect();
    assert!(frames.len() > 10, "{name}");
    frames
}

/// Bytes that mean something to the decoder: marks of long numbers, and ends
/// of ranges.
const MARKS: [u8; 10] = [0, 1, 2, 127, 128, 250, 251, 252, 253, 255];

/// Changes a frame in one way.
fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], random: &mut StdRng) {
    let place = random.random_range(0..=bytes.len());
    let inside = place.min(bytes.len().saturating_sub(1));
    let other = &others[random.random_range(0..others.len())];
    match random.random_range(0..9) {
        0 if !bytes.is_empty() => bytes[inside] ^= 1 << random.random_range(0..8),
        1 if !bytes.is_empty() => bytes[inside] = MARKS[random.random_range(0..MARKS.len())],
        2 => bytes.insert(place, MARKS[random.random_range(0..MARKS.len())]),
        3 => bytes.truncate(place),
        4 if !bytes.is_empty() => drop(bytes.remove(inside)),
        // A claim of 2^64 - 1.
        5 => drop(bytes.splice(place..place, [253, 255, 255, 255, 255, 255, 255, 255, 255])),
        // Another length.
        6 if bytes.len() >= 4 => {
            let length: u32 = random.random_range(0..=u32::MAX) >> random.random_range(0..32);
            bytes[..4].copy_from_slice(&length.to_be_bytes());
        }
        // The end of another frame.
        7 => {
            bytes.truncate(place);
            bytes.extend_from_slice(&other[random.random_range(0..=other.len())..]);
        }
        // Many of the same.
        _ => {
            let byte = MARKS[random.random_range(0..MARKS.len())];
            let count = random.random_range(0..300);
            bytes.splice(place..place, std::iter::repeat_n(byte, count));
        }
    }
    // Mostly the length is right, or nothing beyond it would be seen.
    if random.random_range(0..8) > 0 && bytes.len() >= 4 {
        let length = (bytes.len() - 4) as u32;
        bytes[..4].copy_from_slice(&length.to_be_bytes());
    }
}

/// Reads a stream of frames as a peer's; how many were understood.
async fn read<M: Message>(mut bytes: &[u8]) -> usize {
    let mut understood = 0;
    while let Ok(body) = receive(&mut bytes, M::MOST).await {
        let Ok(message) = decode::<M>(&body) else {
            break;
        };
        understood += 1;
        let again = encode(&message).expect("as short as it was");
        assert!(again.len() <= body.len());
    }
    understood
}

fn storm<M: Message>(seeds: &[Vec<u8>], frames: usize, seed: u64) -> usize {
    let mut random = StdRng::seed_from_u64(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(async {
        let mut understood = 0;
        for _ in 0..frames {
            let mut bytes = seeds[random.random_range(0..seeds.len())].clone();
            for _ in 0..random.random_range(1..4) {
                mutate(&mut bytes, seeds, &mut random);
            }
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            understood += read::<M>(&bytes).await;
            let most = MEMORY.peak_usage().saturating_sub(before);
            assert!(most <= CLAIM + GROWTH * bytes.len(), "{most} for {bytes:?}");
        }
        understood
    })
}

/// One test alone: another thread's memory would be counted, too.
#[test]
fn mutated_frames_do_no_harm() {
    let (requests, replies) = (golden("requests"), golden("replies"));
    let understood = storm::<Request>(&requests, FRAMES / 2, 1);
    assert!(
        (FRAMES / 100..FRAMES / 2).contains(&understood),
        "{understood}"
    );
    let understood = storm::<Reply>(&replies, FRAMES / 2, 2);
    assert!(
        (FRAMES / 100..FRAMES / 2).contains(&understood),
        "{understood}"
    );

    // The longest frames, full of what grows most.
    for (variant, most) in [([8, 5], Request::MOST), ([6, 252], Reply::MOST)] {
        for filling in [0, 1, 255] {
            let mut body = variant.to_vec();
            body.resize(most, filling);
            body[2..6].copy_from_slice(&[252, 255, 255, 255]);
            let bytes = frame(&body, most).expect("a frame");
            MEMORY.reset_peak_usage();
            let before = MEMORY.current_usage();
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.expect("a runtime").block_on(async {
                read::<Request>(&bytes).await;
                read::<Reply>(&bytes).await;
            });
            let taken = MEMORY.peak_usage().saturating_sub(before);
            assert!(taken <= CLAIM + GROWTH * most, "{taken}");
        }
    }
}
