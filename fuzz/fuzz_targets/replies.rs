//! A stream of replies.

#![no_main]

mod stream;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    stream::read::<autotune::wire::reply::Reply>(bytes);
});
