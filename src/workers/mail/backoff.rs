//! The pauses between attempts to send a mail.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

const MAX_PAUSE: Duration = Duration::from_secs(4 * 60 * 60);

/// The pause after a failed attempt; `before` is the number of failed attempts before it.
/// Starts with `first` and doubles up to [`MAX_PAUSE`]. Jitter makes it up to twice as long,
/// so that mails that failed together are not all retried at the same time.
pub(super) fn pause(first: Duration, before: i64) -> Duration {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(MAX_PAUSE.max(first))
        .without_max_times()
        .with_jitter();
    // The maximum is reached long before a hundred attempts.
    let before = usize::try_from(before.clamp(0, 100)).unwrap_or(0);
    pauses.build().nth(before).unwrap_or(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(30);

    #[test]
    fn pauses_double_up_to_a_bound_and_vary() {
        for (before, least) in
            [(0, 30), (1, 60), (5, 960), (9, 14_400), (50, 14_400), (1 << 40, 14_400)]
        {
            let least = Duration::from_secs(least);
            for _ in 0..100 {
                let pause = pause(FIRST, before);
                assert!(pause >= least && pause <= 2 * least, "{before}: {pause:?}");
            }
        }
        let pauses: std::collections::HashSet<_> = (0..10).map(|_| pause(FIRST, 3)).collect();
        assert!(pauses.len() > 1, "they are not all the same");
    }
}
