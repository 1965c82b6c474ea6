//! Sample dialogues: what a base model and the best one answer to the same
//! prompts.

/// What is in a file of sample dialogues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialogues {
    /// The file; the pattern by which none was found where there is none.
    pub file: String,
    /// The first of them.
    pub samples: Vec<Sample>,
    /// How many more there are.
    pub more: usize,
    /// The first lines that are none, from 1.
    pub malformed: Vec<usize>,
    /// How many such lines there are.
    pub malformed_count: usize,
    /// Why there is nothing, or why it is not all of it.
    pub trouble: Option<Trouble>,
}

/// See [`Dialogues::trouble`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No file matches the pattern.
    NoFile,
    /// Only the beginning of the file was read, so many bytes.
    TooLarge(u64),
    /// It cannot be read, in the system's words.
    Unreadable(String),
}

/// A prompt with two answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What was asked.
    pub prompt: String,
    /// What the base model answers.
    pub base: String,
    /// What the best model answers.
    pub best: String,
}
