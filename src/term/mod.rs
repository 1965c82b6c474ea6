//! What the programs print with: tables, colours, numbers, the widths of text
//! on a terminal, where a Chinese character takes two columns, and what is said
//! of a wrong command line.
//!
//! Nothing here prints: functions return text or write to what they are given,
//! and are told whether to colour. [`screen`] takes a whole terminal over, and
//! gives it back as it was.

pub mod color;
pub mod fault;
pub mod number;
pub mod screen;
pub mod tables;
pub mod usage;
pub mod width;
