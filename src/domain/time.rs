//! Timestamps.

use std::time::Duration;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The first moment of the year 1, the lower bound of `google.protobuf.Timestamp`.
    pub const FIRST: Self = Self(-62_135_596_800_000_000);

    /// The last microsecond of the year 9999, the upper bound of
    /// `google.protobuf.Timestamp` and of RFC 3339.
    pub const LAST: Self = Self(253_402_300_799_999_999);

    /// Clamped to [`Timestamp::FIRST`] and [`Timestamp::LAST`], so that an API can return
    /// it.
    #[must_use]
    pub fn shown(self) -> Self {
        self.clamp(Self::FIRST, Self::LAST)
    }

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The nanoseconds after [`Timestamp::as_seconds`].
    pub const fn subsec_nanos(self) -> i32 {
        // At most 999_999_000, so it fits.
        (self.0.rem_euclid(1_000_000) * 1_000) as i32
    }

    /// Saturating addition.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// Saturating subtraction.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_differences_saturate() {
        let (end, start) = (Timestamp(i64::MAX), Timestamp(i64::MIN));
        assert_eq!(Timestamp(1).plus(Duration::from_micros(2)), Timestamp(3));
        assert_eq!(Timestamp(3).minus(Duration::from_micros(2)), Timestamp(1));
        assert_eq!(Timestamp(0).plus(Duration::MAX), end);
        assert_eq!(end.plus(Duration::from_micros(1)), end);
        assert_eq!(Timestamp(-1).minus(Duration::MAX), start);
        assert_eq!(start.minus(Duration::from_micros(1)), start);
    }

    #[test]
    fn shown_times_are_in_the_years_1_to_9999() {
        for (at, shown) in [
            (i64::MIN, Timestamp::FIRST),
            (Timestamp::FIRST.0 - 1, Timestamp::FIRST),
            (Timestamp::FIRST.0, Timestamp::FIRST),
            (7, Timestamp(7)),
            (Timestamp::LAST.0, Timestamp::LAST),
            (Timestamp::LAST.0 + 1, Timestamp::LAST),
            (i64::MAX, Timestamp::LAST),
        ] {
            assert_eq!(Timestamp(at).shown(), shown, "{at}");
        }
        assert_eq!(Timestamp::FIRST.as_seconds(), -62_135_596_800);
        assert_eq!(Timestamp::LAST.as_seconds(), 253_402_300_799);
        assert_eq!(Timestamp::LAST.subsec_nanos(), 999_999_000);
    }

    #[test]
    fn a_time_before_the_epoch_has_positive_nanoseconds() {
        assert_eq!((Timestamp(-1).as_seconds(), Timestamp(-1).subsec_nanos()), (-1, 999_999_000));
    }
}
