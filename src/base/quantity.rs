//! Durations and sizes as people write them: `240s`, `1h 30m`, `64 MiB`.

use std::time::Duration;

use jiff::SignedDuration;

/// Reads a duration: a number with a unit (`ms`, `s`, `m`, `h`, `d`) or
/// several of them (`1h 30m`); a bare number is seconds.
///
/// # Errors
/// A sentence that says what is expected, for text that is not a duration or
/// is negative.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    if let Ok(seconds) = trimmed.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| not_a_duration(text));
    }
    let days = trimmed
        .strip_suffix('d')
        .and_then(|n| n.trim().parse::<u32>().ok());
    if let Some(days) = days {
        return Ok(Duration::from_secs(u64::from(days) * 86_400));
    }
    let signed: SignedDuration = trimmed.parse().map_err(|_| not_a_duration(text))?;
    Duration::try_from(signed).map_err(|_| not_a_duration(text))
}

fn not_a_duration(text: &str) -> String {
    format!("`{text}` is not a duration: write it like 500ms, 240s, 10m, 1h 30m or 2d")
}

/// A duration for people, three figures at most: `850 ms`, `3.2 s`, `4m 10s`,
/// `2h 05m`, `3d 4h`.
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let whole = duration.as_secs();
    if seconds < 0.9995 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds < 99.95 {
        format!("{seconds:.1} s")
    } else if whole < 3600 {
        format!("{}m {:02}s", whole / 60, whole % 60)
    } else if whole < 86_400 {
        format!("{}h {:02}m", whole / 3600, whole % 3600 / 60)
    } else {
        format!("{}d {}h", whole / 86_400, whole % 86_400 / 3600)
    }
}

/// Reads a size in bytes: a bare number, or one with `KiB`, `MiB`, `GiB`,
/// `TiB` (powers of 1024; `K`, `M`, `G`, `T` mean the same) or `kB`, `MB`,
/// `GB`, `TB` (powers of 1000).
///
/// # Errors
/// A sentence that says what is expected.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: write it like 64 MiB, 1.5 GiB or 500 MB");
    let trimmed = text.trim();
    let split = trimmed
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let factor = match unit.trim() {
        "" | "B" => 1.0,
        "K" | "KiB" => 1024.0,
        "M" | "MiB" => 1024.0 * 1024.0,
        "G" | "GiB" => 1024.0 * 1024.0 * 1024.0,
        "T" | "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => return Err(wrong()),
    };
    let bytes = (number * factor).round();
    if bytes < 9e18 {
        Ok(bytes as u64)
    } else {
        Err(wrong())
    }
}

/// A size for people: `812 B`, `41.2 MiB`.
pub fn show_size(bytes: u64) -> String {
    let mut size = bytes as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{size:.1} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_that_people_write() {
        let cases = [
            ("240s", 240.0),
            ("500ms", 0.5),
            ("1h 30m", 5400.0),
            ("1h30m", 5400.0),
            ("2d", 172_800.0),
            ("7", 7.0),
            ("1.5", 1.5),
        ];
        for (text, seconds) in cases {
            let read = parse_duration(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(read.as_secs_f64(), seconds, "{text}");
        }
        for text in ["", "soon", "-3s", "-3", "NaN", "inf", "1e400"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_for_people() {
        let shown = [0.0123, 3.21, 99.96, 250.0, 7500.0, 273_600.0]
            .map(|s| show_duration(Duration::from_secs_f64(s)));
        assert_eq!(
            shown,
            ["12 ms", "3.2 s", "1m 39s", "4m 10s", "2h 05m", "3d 4h"]
        );
    }

    #[test]
    fn sizes_both_ways() {
        assert_eq!(parse_size("64 MiB"), Ok(64 << 20));
        assert_eq!(parse_size("1.5G"), Ok(3 << 29));
        assert_eq!(parse_size("500 MB"), Ok(500_000_000));
        assert_eq!(parse_size("12"), Ok(12));
        for text in ["", "many", "5 parsecs", "-1", "1e30T"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert_eq!(show_size(812), "812 B");
        assert_eq!(show_size(43_201_331), "41.2 MiB");
    }
}
