//! Texts in Chinese and English. Each is written down in both, beside each
//! other: what lacks one does not compile.

use super::document::{Block, Phrase};
use crate::model::form::Languages;
use crate::model::notify::Language;

/// The words of a report in its languages.
#[derive(Clone, Copy, Debug)]
pub struct Words(pub Languages);

impl Words {
    /// The languages, in the order in which they stand.
    pub const fn languages(self) -> &'static [Language] {
        match self.0 {
            Languages::English => &[Language::English],
            Languages::Chinese => &[Language::Chinese],
            Languages::Both => &[Language::Chinese, Language::English],
        }
    }

    /// A heading, a name, a cell: in two languages on one line.
    pub fn label(self, english: &str, chinese: &str) -> String {
        let each = self.languages().iter();
        let mut each: Vec<&str> = each.map(|one| one.pick(english, chinese)).collect();
        each.dedup();
        each.join(" / ")
    }

    /// A paragraph: in two languages two of them.
    pub fn text(self, english: impl Into<String>, chinese: impl Into<String>) -> Block {
        let (english, chinese) = (english.into(), chinese.into());
        let phrase = |language: &Language| Phrase {
            language: *language,
            text: language.pick(&english, &chinese).clone(),
        };
        Block::Text(self.languages().iter().map(phrase).collect())
    }
}
