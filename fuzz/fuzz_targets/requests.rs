//! A stream of requests.

#![no_main]

mod stream;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    stream::read::<autotune::wire::request::Request>(bytes);
});
