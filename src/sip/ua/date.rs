//! The Date header field (RFC 3261 §20.17), which is always in GMT.

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_S: u64 = 86_400;
/// Days of four hundred years, after which the Gregorian calendar repeats itself.
const CYCLE: u64 = 146_097;
/// From the 1st of March of year 0 to the beginning of 1970.
const TO_1970: u64 = 719_468;

/// Milliseconds since the Unix epoch as a date; the last second of the year 9999 ends all times.
pub(super) fn write(unix_ms: u64) -> String {
    let seconds = (unix_ms / 1000).min(253_402_300_799);
    let (days, time) = (seconds / DAY_S, seconds % DAY_S);
    // Years that begin in March end with the day that some of them lack.
    let shifted = days + TO_1970;
    let (cycle, day) = (shifted / CYCLE, shifted % CYCLE);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = year + cycle * 400 + u64::from(month < 2);
    let week_day = DAYS[(days % 7) as usize];
    let month = MONTHS[month as usize];
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{week_day}, {of_month:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Milliseconds since the Unix epoch of a date, or `None` unless it is one from 1970 on.
pub(super) fn parse(text: &str) -> Option<u64> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [_, day, month, year, time, zone] = words[..] else { return None };
    let day = number(day, 2).filter(|day| (1..=31).contains(day))?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let year = number(year, 4).filter(|year| *year >= 1970)?;
    let time: Vec<&str> = time.split(':').collect();
    let [hour, minute, second] = time[..] else { return None };
    let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
    if hour > 23 || minute > 59 || second > 60 || zone != "GMT" {
        return None;
    }
    let from_march = (month + 10) % 12;
    let year = year - u64::from(month < 2);
    let (cycle, of_cycle) = (year / 400, year % 400);
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let days = cycle * CYCLE + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + of_year - TO_1970;
    Some((days * DAY_S + hour * 3600 + minute * 60 + second) * 1000)
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let is_number = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_and_read() {
        for (unix_s, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_289_690_940, "Sat, 13 Nov 2010 23:29:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(write(unix_s * 1000 + 999), text);
            assert_eq!(parse(text), Some(unix_s * 1000), "{text}");
        }
        assert!(write(u64::MAX).contains("9999"));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "Sat, 13 Nov 2010 23:29:00",
            "Sat, 13 Nov 2010 23:29:00 CET",
            "Sat, 13 Nov 1969 23:29:00 GMT",
            "Sat, 0 Nov 2010 23:29:00 GMT",
            "Sat, 13 Nox 2010 23:29:00 GMT",
            "Sat, 13 Nov 99999 23:29:00 GMT",
            "Sat, 13 Nov 2010 24:00:00 GMT",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
