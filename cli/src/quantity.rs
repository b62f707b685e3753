//! Amounts on the command line: bytes, durations and counts.

use std::time::Duration;

/// Suffixes of sizes, and the power of two they stand for.
const SIZE_SUFFIXES: [(char, u32); 4] = [('k', 10), ('m', 20), ('g', 30), ('t', 40)];

/// Suffixes of durations and their length in seconds, longest suffix first.
const DURATION_SUFFIXES: [(&str, f64); 6] =
    [("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// `65536`, `512k`, `64M`, `1.5G`, `2GiB`: bytes, with suffixes as powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let bad = || "expected a number of bytes such as 65536, 512k, 64M or 1G".to_string();
    let lower = text.to_ascii_lowercase();
    let body = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let suffix = SIZE_SUFFIXES.iter().find_map(|(c, shift)| Some((body.strip_suffix(*c)?, *shift)));
    let (digits, shift) = suffix.unwrap_or((body, 0));
    let digits = digits.trim_end();
    if let Ok(n) = count(digits) {
        return n.checked_mul(1 << shift).ok_or_else(|| "is too large".to_string());
    }
    let fraction: f64 = digits.parse().map_err(|_| bad())?;
    let bytes = fraction * (1u64 << shift) as f64;
    if shift == 0 || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') || bytes >= u64::MAX as f64 {
        return Err(bad());
    }
    Ok(bytes as u64)
}

/// `500ms`, `2s`, `1.5m`, `1h`; a bare number is in seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || "expected a duration such as 500ms, 2s, 1.5m or 1h".to_string();
    let suffix = DURATION_SUFFIXES.iter().find_map(|(s, unit)| Some((text.strip_suffix(s)?, *unit)));
    let (digits, unit) = suffix.unwrap_or((text, 1.0));
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(bad());
    }
    let amount: f64 = digits.parse().map_err(|_| bad())?;
    Duration::try_from_secs_f64(amount * unit).map_err(|_| "is too long".to_string())
}

/// A decimal number, with underscores where they help.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("expected a number".into());
    }
    digits.parse().map_err(|_| "is too large".to_string())
}

/// A processor: `native`, `baseline`, or features beyond the baseline, separated by commas.
pub(crate) fn processor(text: &str) -> Result<vm::Processor, String> {
    let mut parts = text.split(',').map(str::trim).filter(|p| !p.is_empty()).peekable();
    let mut processor = match parts.peek() {
        None => return Err("expected `native`, `baseline` or features".into()),
        Some(&"native") => vm::Processor::native(),
        Some(_) => vm::Processor::baseline(),
    };
    parts.next_if(|p| matches!(*p, "native" | "baseline"));
    for feature in parts {
        if !processor.enable(feature) {
            return Err(format!("no feature `{feature}`; there are {}", vm::Processor::FEATURES.join(", ")));
        }
    }
    Ok(processor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65536),
            ("65_536", 65536),
            ("512k", 512 << 10),
            ("64M", 64 << 20),
            ("64MiB", 64 << 20),
            ("64mb", 64 << 20),
            ("1.5G", 3 << 29),
            ("2T", 2 << 40),
            ("100B", 100),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "k", "-1", "1.5", "1x", "nan", "1e3k", "infG", "99999999999T", "0x10", " "] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, millis) in [("500ms", 500), ("2s", 2000), ("2", 2000), ("1.5m", 90_000), ("1h", 3_600_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(duration("10us"), Ok(Duration::from_micros(10)));
        for text in ["", "s", "-1s", "1x", "inf", "nan", "1e400h", "99999999999999999999999h", "1.2.3s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
