//! How long a mail waits before it is tried again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

const LONGEST: Duration = Duration::from_secs(4 * 60 * 60);

/// The pause after a try that failed, with `before` of them before it: `first`, twice
/// as long each time, up to a bound, and up to twice that by chance, so that what
/// failed together does not come back together.
pub(super) fn after(first: Duration, before: i64) -> Duration {
    let pauses = ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(LONGEST.max(first))
        .without_max_times()
        .with_jitter();
    // The bound is reached long before a hundred.
    let before = usize::try_from(before.clamp(0, 100)).unwrap_or(0);
    pauses.build().nth(before).unwrap_or(LONGEST)
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
                let pause = after(FIRST, before);
                assert!(pause >= least && pause <= 2 * least, "{before}: {pause:?}");
            }
        }
        let pauses: std::collections::HashSet<_> = (0..10).map(|_| after(FIRST, 3)).collect();
        assert!(pauses.len() > 1, "they are not all the same");
    }
}
