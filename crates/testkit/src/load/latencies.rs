//! Latencies, each kept, so that percentiles are exact.

use std::time::Duration;

/// How long each of many calls took.
#[derive(Debug, Default, Clone)]
pub struct Latencies {
    nanoseconds: Vec<u64>,
}

impl Latencies {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.nanoseconds.len()
    }

    /// The latency that this share of the calls, 0 to 1, did not exceed; zero where there are none.
    pub fn quantile(&mut self, share: f64) -> Duration {
        self.nanoseconds.sort_unstable();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among far less than 2^52 calls"
        )]
        let rank = (self.nanoseconds.len() as f64 * share.clamp(0.0, 1.0)).ceil() as usize;
        Duration::from_nanos(self.nanoseconds.get(rank.saturating_sub(1)).copied().unwrap_or_default())
    }

    /// One more call.
    pub fn record(&mut self, latency: Duration) {
        self.nanoseconds.push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// These as well.
    pub fn merge(&mut self, mut other: Self) {
        self.nanoseconds.append(&mut other.nanoseconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_latencies_that_were_measured() {
        let mut latencies = Latencies::default();
        for millis in (1..=100).rev() {
            latencies.record(Duration::from_millis(millis));
        }
        let millis = [0.0, 0.5, 0.99, 1.0].map(|share| latencies.quantile(share).as_millis());
        assert_eq!(millis, [1, 50, 99, 100]);
        assert_eq!(Latencies::default().quantile(0.5), Duration::ZERO);
    }
}
