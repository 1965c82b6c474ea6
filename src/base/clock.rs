//! The clock. Pure rooms take a [`Timestamp`] as an argument; only the rooms
//! that do I/O ask for the time here.

use std::fmt;

use jiff::tz::TimeZone;

/// A moment in UTC, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `milliseconds` after 1970-01-01T00:00:00Z.
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Time since `earlier`; zero when the clock was set back in between.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// Local time as ISO 8601 with seconds and no zone, `2026-11-21T23:40:12`:
    /// the form of the reference tuner's `ts` fields.
    pub fn local_iso(self) -> String {
        self.zoned(TimeZone::system())
            .strftime("%Y-%m-%dT%H:%M:%S")
            .to_string()
    }

    /// Local time with its offset from UTC, as RFC 3339 has it:
    /// `2026-11-21T23:40:12+08:00`.
    pub fn rfc3339(self) -> String {
        self.zoned(TimeZone::system())
            .strftime("%Y-%m-%dT%H:%M:%S%:z")
            .to_string()
    }

    /// Local time to the second for names of files: `20261121-234012`.
    pub fn compact(self) -> String {
        self.zoned(TimeZone::system())
            .strftime("%Y%m%d-%H%M%S")
            .to_string()
    }

    fn zoned(self, zone: TimeZone) -> jiff::Zoned {
        jiff::Timestamp::from_millisecond(self.0)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .to_zoned(zone)
    }
}

impl fmt::Display for Timestamp {
    /// Local time to the second with its offset from UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zoned = self.zoned(TimeZone::system());
        write!(f, "{}", zoned.strftime("%Y-%m-%d %H:%M:%S%:z"))
    }
}

/// The current time.
pub fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

/// An identifier of this boot of the machine: process ids and start times are
/// only comparable within one. Empty where the kernel does not tell.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_gives_no_negative_duration() {
        let early = Timestamp::from_millis(1_000);
        let late = Timestamp::from_millis(3_500);
        assert_eq!(late.since(early).as_millis(), 2_500);
        assert_eq!(early.since(late).as_millis(), 0);
    }
}
