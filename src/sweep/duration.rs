//! Times as people and schedulers write them.

use std::time::Duration;

/// Longer times than this are as good as none.
const LONGEST: f64 = 100.0 * 365.0 * 86_400.0;

/// `90`, `90s`, `45m`, `2h`, `1.5d`, `1h30m`, `MM:SS`, `HH:MM:SS`, `D-HH:MM:SS`; none for an empty text.
///
/// # Errors
/// One sentence that says what is accepted.
pub fn parse(text: &str) -> Result<Option<Duration>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let seconds = if text.contains(':') { clock(text) } else { units(text) };
    let fits = seconds.filter(|s| s.is_finite() && *s > 0.0 && *s <= LONGEST);
    let seconds = fits.ok_or_else(|| {
        format!("expected a time above 0, such as \"90s\", \"45m\", \"2h\", \"1h30m\" or \"1:30:00\", got \"{text}\"")
    })?;
    Ok(Some(Duration::from_secs_f64(seconds)))
}

/// As Slurm writes times: `MM:SS`, `HH:MM:SS`, `D-HH:MM:SS`.
fn clock(text: &str) -> Option<f64> {
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (days.parse::<u32>().ok()?, rest),
        None => (0, text),
    };
    let parts: Option<Vec<u32>> = rest.split(':').map(|p| p.parse().ok()).collect();
    let seconds = match parts?[..] {
        [m, s] => 60.0 * f64::from(m) + f64::from(s),
        [h, m, s] => 3600.0 * f64::from(h) + 60.0 * f64::from(m) + f64::from(s),
        _ => return None,
    };
    Some(86_400.0 * f64::from(days) + seconds)
}

/// Numbers with units, added up; a number alone is seconds.
fn units(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(seconds);
    }
    let (mut total, mut number) = (0.0, String::new());
    for c in text.chars().filter(|c| !c.is_whitespace()) {
        let unit = match c {
            '0'..='9' | '.' => {
                number.push(c);
                continue;
            }
            's' => 1.0,
            'm' => 60.0,
            'h' => 3600.0,
            'd' => 86_400.0,
            _ => return None,
        };
        total += unit * number.parse::<f64>().ok()?;
        number.clear();
    }
    number.is_empty().then_some(total)
}

/// A time in words of at most two units: `2 h 5 min`.
pub fn words(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "-".into();
    }
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        0..100 => format!("{whole} s"),
        100..6000 => format!("{} min", (whole + 30) / 60),
        6000..172_800 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_and_schedulers_write_them() {
        for (text, seconds) in [
            ("90", 90.0),
            ("90s", 90.0),
            ("45m", 2700.0),
            ("2h", 7200.0),
            ("1.5d", 129_600.0),
            ("1h30m", 5400.0),
            ("1h 30m", 5400.0),
            ("10:30", 630.0),
            ("1:30:00", 5400.0),
            ("2-01:00:00", 176_400.0),
        ] {
            assert_eq!(parse(text).unwrap(), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        assert_eq!(parse(" ").unwrap(), None);
        for text in [
            "h", "2x", "1h30", "-5", "0", "1e30", "nan", "inf", "1:2:3:4", "a:b", "1-2",
        ] {
            assert!(parse(text).unwrap_err().contains("expected a time"), "{text}");
        }
    }

    #[test]
    fn times_are_said_in_two_units_at_most() {
        for (seconds, text) in [
            (0.25, "0.2 s"),
            (42.0, "42 s"),
            (600.0, "10 min"),
            (7500.0, "2 h 5 min"),
            (200_000.0, "2 d 7 h"),
        ] {
            assert_eq!(words(seconds), text);
        }
    }
}
