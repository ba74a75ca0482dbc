//! Exponential backoff with full jitter, so that replicas that failed together do not come back together.

use std::time::Duration;

/// The delays between attempts at one thing.
#[derive(Debug, Clone)]
pub struct Backoff {
    ceiling: Duration,
    longest: Duration,
    first: Duration,
}

impl Backoff {
    /// Delays between half of `first` and `first`, doubling to at most `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { ceiling: first, longest, first }
    }

    /// The next delay: random, between half of the current ceiling and the ceiling.
    pub fn next_delay(&mut self) -> Duration {
        let delay = jittered(self.ceiling);
        self.ceiling = self.ceiling.saturating_mul(2).min(self.longest);
        delay
    }

    /// Starts over, after a success.
    pub fn reset(&mut self) {
        self.ceiling = self.first;
    }
}

/// A random duration between half of `duration` and all of it.
pub fn jittered(duration: Duration) -> Duration {
    // without randomness the delay is only less well spread
    let random = getrandom::u32().unwrap_or(u32::MAX);
    duration / 2 + (duration / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_the_longest_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
        for ceiling in [100, 200, 300, 300] {
            let ceiling = Duration::from_millis(ceiling);
            let delay = backoff.next_delay();
            assert!(delay >= ceiling / 2 && delay <= ceiling, "{delay:?} of {ceiling:?}");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(100));
    }
}
