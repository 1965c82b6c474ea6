//! A small program that plays the children that misbehave.

fn main() {}
