//! When the allocation ends: from the scheduler, or as the user says.

use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use illume_core::{Error, Result};

use super::duration;

/// Runs are told to write their checkpoints so long before the end.
pub const NOTICE: Duration = Duration::from_secs(120);

/// A point in time after which nothing may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Instant);

impl Deadline {
    /// `--until`: a time from now such as `2h`, or a point in time such as `2026-11-26T18:00`.
    ///
    /// # Errors
    /// Neither, or one that has passed.
    pub fn parse(text: &str) -> Result<Deadline> {
        let wrong = |why: &str| {
            Error::input(format!(
                "--until {text}: {why}; expected a time from now such as 2h or 1:30:00, or a point in time such as 2026-11-26T18:00"
            ))
        };
        if let Ok(Some(time)) = duration::parse(text) {
            return Ok(Deadline(Instant::now() + time));
        }
        let point = text
            .parse::<jiff::Timestamp>()
            .or_else(|_| {
                Ok::<_, jiff::Error>(
                    text.parse::<jiff::civil::DateTime>()?
                        .to_zoned(jiff::tz::TimeZone::system())?
                        .timestamp(),
                )
            })
            .map_err(|_| wrong("this is no time"))?;
        let left = point.as_second() - jiff::Timestamp::now().as_second();
        match u64::try_from(left) {
            Ok(seconds) if seconds > 0 => Ok(Deadline(Instant::now() + Duration::from_secs(seconds))),
            _ => Err(wrong("this has passed")),
        }
    }

    /// The end of the job that this process is part of, as Slurm, PBS or LSF say it; none outside of one.
    pub fn of_job() -> Option<Deadline> {
        let variable = |name: &str| std::env::var(name).ok();
        if let Some(end) = variable("SLURM_JOB_END_TIME").and_then(|t| t.trim().parse::<u64>().ok()) {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
            let left = Duration::from_secs(end).saturating_sub(now);
            return Some(Deadline(Instant::now() + left));
        }
        let job = variable("SLURM_JOB_ID")?;
        // Older than Slurm 22.05: the time that is left, in Slurm's own form.
        let squeue = Command::new("squeue")
            .args(["-h", "-o", "%L", "-j", &job])
            .output()
            .ok()?;
        let left = duration::parse(String::from_utf8_lossy(&squeue.stdout).trim()).ok()??;
        Some(Deadline(Instant::now() + left))
    }

    /// Time until runs are told to end.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now()).saturating_sub(NOTICE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_read_as_a_time_from_now_or_a_point_in_time() {
        let near = |text: &str, seconds: f64| {
            let left = Deadline::parse(text).unwrap().left().as_secs_f64() + NOTICE.as_secs_f64();
            assert!((left - seconds).abs() < 3.0, "{text}: {left}");
        };
        near("2h", 7200.0);
        near("1:30:00", 5400.0);
        let later = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3600);
        near(&later.to_string(), 3600.0);
        let local = later
            .to_zoned(jiff::tz::TimeZone::system())
            .datetime()
            .round(jiff::Unit::Second)
            .unwrap();
        near(&local.to_string(), 3600.0);
        for wrong in ["", "soon", "2000-01-01T00:00", "-2h"] {
            assert!(
                Deadline::parse(wrong)
                    .unwrap_err()
                    .to_string()
                    .contains("expected a time from now"),
                "{wrong}"
            );
        }
        assert_eq!(Deadline::parse("60s").unwrap().left(), Duration::ZERO);
    }
}
