//! The pauses between attempts.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

const MAX_PAUSE: Duration = Duration::from_secs(4 * 60 * 60);

/// The pause after a failed attempt to send a mail; `before` is the number of failed attempts
/// before it. The pause is `first` at first and doubles up to [`MAX_PAUSE`]. Jitter makes it up to
/// twice as long, so that mails that failed together are not all retried at the same time.
pub fn doubling(first: Duration, before: i64) -> Duration {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(MAX_PAUSE.max(first))
        .without_max_times()
        .with_jitter();
    // The maximum is reached long before a hundred attempts.
    let before = usize::try_from(before.clamp(0, 100)).unwrap_or(0);
    pauses.build().nth(before).unwrap_or(MAX_PAUSE)
}

/// The pause after a failed attempt, from a list of pauses of which the last one is repeated;
/// `before` is the number of failed attempts before it. It is up to a fifth shorter or longer.
pub fn listed(pauses: &[Duration], before: i64) -> Duration {
    let before = usize::try_from(before).unwrap_or(0);
    let pause = pauses.get(before).or(pauses.last()).copied().unwrap_or_default();
    // Without randomness the pauses are only less spread.
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    pause.mul_f64(0.8 + 0.4 * f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(30);

    #[test]
    fn pauses_double_up_to_a_maximum_and_vary() {
        for (before, least) in
            [(0, 30), (1, 60), (5, 960), (9, 14_400), (50, 14_400), (1 << 40, 14_400)]
        {
            let least = Duration::from_secs(least);
            for _ in 0..100 {
                let pause = doubling(FIRST, before);
                assert!(pause >= least && pause <= 2 * least, "{before}: {pause:?}");
            }
        }
        let pauses: std::collections::HashSet<_> = (0..10).map(|_| doubling(FIRST, 3)).collect();
        assert!(pauses.len() > 1, "they are not all the same");
    }

    #[test]
    fn the_last_listed_pause_repeats_and_pauses_vary_by_a_fifth() {
        let pauses = [5, 300, 1800].map(Duration::from_secs);
        for (before, middle) in [(0, 5), (1, 300), (2, 1800), (3, 1800), (i64::MAX, 1800)] {
            let middle = Duration::from_secs(middle);
            for _ in 0..100 {
                let pause = listed(&pauses, before);
                assert!(pause >= middle * 4 / 5 && pause <= middle * 6 / 5, "{before}: {pause:?}");
            }
        }
        let varied: std::collections::HashSet<_> = (0..10).map(|_| listed(&pauses, 1)).collect();
        assert!(varied.len() > 1, "they are not all the same");
    }
}
