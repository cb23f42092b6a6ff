//! Times as the document writes them: RFC 3339, in UTC (RFC 6940 §11.1).

const DAY_MS: u64 = 86_400_000;

/// Milliseconds since the Unix epoch, or `None` unless `text` is a UTC time from 1970 on.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't'])?;
    let time = ["Z", "z", "+00:00", "-00:00"].iter().find_map(|zone| time.strip_suffix(zone))?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let in_range = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        // 60 is a leap second, which Unix time does not count.
        && second <= 60;
    if year < 1970 || !in_range {
        return None;
    }
    let days = days_before_year(year) - days_before_year(1970)
        + (1..month).map(|month| days_in(year, month)).sum::<u64>()
        + (day - 1);
    let seconds = hour * 3600 + minute * 60 + second;
    Some(days * DAY_MS + seconds * 1000 + milliseconds(fraction)?)
}

/// A time in the shortest form that [`parse`] reads back; the year 9999 ends all times.
pub(super) fn write(unix_ms: u64) -> String {
    let last = (days_before_year(10_000) - days_before_year(1970)) * DAY_MS - 1;
    let unix_ms = unix_ms.min(last);
    let mut days = unix_ms / DAY_MS + days_before_year(1970);
    let mut year = days / 366 + 1;
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    days -= days_before_year(year);
    let mut month = 1;
    while days_in(year, month) <= days {
        days -= days_in(year, month);
        month += 1;
    }
    let (seconds, fraction) = (unix_ms % DAY_MS / 1000, unix_ms % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:03}") };
    let day = days + 1;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn milliseconds(fraction: &str) -> Option<u64> {
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = format!("{fraction:0<3}");
    digits[..3].parse().ok()
}

/// Days from the beginning of year 1 to that of `year`, in the Gregorian calendar.
fn days_before_year(year: u64) -> u64 {
    let years = year - 1;
    years * 365 + years / 4 - years / 100 + years / 400
}

fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_times() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse("2002-10-10T07:00:00Z"), Some(1_034_233_200_000));
        assert_eq!(parse("2024-02-29t23:59:59.5z"), Some(1_709_251_199_500));
        assert_eq!(parse("2000-03-01T00:00:00+00:00"), Some(951_868_800_000));
        assert_eq!(write(1_034_233_200_000), "2002-10-10T07:00:00Z");
        assert_eq!(write(u64::MAX), "9999-12-31T23:59:59.999Z");
    }

    /// R6940-11.1-04: a time that is not RFC 3339 in UTC is none.
    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "2002-10-10",
            "2002-10-10T07:00:00",
            "2002-10-10T07:00:00+02:00",
            "2002-13-10T07:00:00Z",
            "2023-02-29T07:00:00Z",
            "2002-10-10T24:00:00Z",
            "2002-10-1T07:00:00Z",
            "2002-10-10T07:00:00.Z",
            "2002-10-10T07:00:00.-1Z",
            "1969-12-31T23:59:59Z",
            "+002-10-10T07:00:00Z",
            "2002-10-10T07:00:00.éZ",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(unix_ms in 0u64..253_402_300_800_000) {
            prop_assert_eq!(parse(&write(unix_ms)), Some(unix_ms));
        }
    }
}
