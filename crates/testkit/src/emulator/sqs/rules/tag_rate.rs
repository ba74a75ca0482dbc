//! The rate of tagging.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::emulator::error::ServiceError;

/// How many calls of `TagQueue` and `UntagQueue` an account has in a second (AWS, "Amazon SQS quotas", tagging).
const CALLS_A_SECOND: usize = 5;

/// Lets a call through, or throttles it; `calls` remembers the last second.
pub(in crate::emulator) fn admit(calls: &mut VecDeque<Instant>, now: Instant) -> Result<(), ServiceError> {
    calls.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
    if calls.len() >= CALLS_A_SECOND {
        return Err(ServiceError::throttled());
    }
    calls.push_back(now);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn five_calls_a_second() {
        let mut calls = VecDeque::new();
        for _ in 0..5 {
            admit(&mut calls, Instant::now()).unwrap();
        }
        assert_eq!(admit(&mut calls, Instant::now()).unwrap_err().code, "RequestThrottled");
        tokio::time::advance(Duration::from_secs(1)).await;
        admit(&mut calls, Instant::now()).unwrap();
    }
}
