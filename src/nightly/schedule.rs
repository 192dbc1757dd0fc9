//! When the next run starts. Pure: the time is an argument.

use std::time::Duration;

use croner::Cron;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The next start after `now`, `jitter` later than the schedule says; none when the schedule never comes
/// true (the 30th of February).
pub fn next_start(schedule: &Cron, jitter: Duration, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let now = now.to_zoned(zone.clone());
    let next = schedule.find_next_occurrence(&now, false).ok()?;
    next.timestamp().checked_add(jitter).ok()
}

/// The start that was planned, unless the schedule comes true before it: then the clock was set back since,
/// and what was planned by the wrong one may be years away.
pub fn kept_or_earlier(
    planned: Timestamp,
    schedule: &Cron,
    jitter: Duration,
    zone: &TimeZone,
    now: Timestamp,
) -> Timestamp {
    next_start(schedule, jitter, zone, now).map_or(planned, |next| next.min(planned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, zone: &str, now: &str) -> Option<String> {
        let schedule: Cron = schedule.parse().expect("a schedule");
        let zone = TimeZone::get(zone).expect("a zone");
        let now: Timestamp = now.parse().expect("a time");
        next_start(&schedule, Duration::ZERO, &zone, now).map(|t| t.to_string())
    }

    #[test]
    fn three_in_the_morning_is_local() {
        let night = |zone, now| next("0 3 * * *", zone, now);
        assert_eq!(night("UTC", "2026-11-22T02:59:59Z").as_deref(), Some("2026-11-22T03:00:00Z"));
        assert_eq!(night("UTC", "2026-11-22T03:00:00Z").as_deref(), Some("2026-11-23T03:00:00Z"));
        assert_eq!(night("Europe/Brussels", "2026-11-22T00:00:00Z").as_deref(), Some("2026-11-22T02:00:00Z"));
        assert_eq!(night("Europe/Brussels", "2026-07-01T00:00:00Z").as_deref(), Some("2026-07-01T01:00:00Z"));
    }

    #[test]
    fn an_hour_that_the_clock_skips_or_repeats_is_used_once() {
        let night = |now| next("30 2 * * *", "Europe/Brussels", now);
        // 2027-03-28: 02:00 becomes 03:00.
        let skipped = night("2027-03-28T00:00:00Z").expect("a start");
        assert!(skipped.starts_with("2027-03-28T01:"), "{skipped}");
        let following = night(&skipped).expect("a start");
        assert_eq!(following, "2027-03-29T00:30:00Z");
        // 2026-10-25: 03:00 becomes 02:00.
        let first = night("2026-10-24T22:00:00Z").expect("a start");
        assert_eq!(first, "2026-10-25T00:30:00Z");
        let after = night(&first).expect("a start");
        assert!(after.starts_with("2026-10-26") || after == "2026-10-25T01:30:00Z", "{after}");
    }

    #[test]
    fn a_clock_that_is_set_back_brings_the_start_nearer() {
        let schedule: Cron = "0 3 * * *".parse().expect("a schedule");
        let jitter = Duration::from_secs(20 * 60);
        let time = |text: &str| text.parse::<Timestamp>().expect("a time");
        let kept =
            |now| kept_or_earlier(time("2031-05-02T03:20:00Z"), &schedule, jitter, &TimeZone::UTC, time(now));
        // As it was planned, also in the minutes of chance after the time of the schedule.
        for now in ["2031-05-01T12:00:00Z", "2031-05-02T03:10:00Z", "2031-05-02T03:20:00Z"] {
            assert_eq!(kept(now), time("2031-05-02T03:20:00Z"), "{now}");
        }
        // A clock that jumps ahead makes it due.
        assert_eq!(kept("2031-06-01T00:00:00Z"), time("2031-05-02T03:20:00Z"));
        // One that was five years ahead, or a day.
        assert_eq!(kept("2026-11-24T12:00:00Z"), time("2026-11-25T03:20:00Z"));
        assert_eq!(kept("2031-04-30T12:00:00Z"), time("2031-05-01T03:20:00Z"));
    }

    #[test]
    fn what_never_comes_is_none() {
        assert_eq!(next("0 0 30 2 *", "UTC", "2026-11-22T00:00:00Z"), None);
    }
}
