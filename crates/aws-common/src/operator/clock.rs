//! How far this machine's clock is from AWS's, which refuses requests signed at another time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use aws_sdk_sqs::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeDeserializationInterceptorContextRef,
    },
    error::BoxError,
    primitives::{DateTime, DateTimeFormat},
};
use proxy_core::operator::Check;

/// From here on it is worth a warning, in seconds.
const WARNING: u64 = 60;

/// From here on AWS refuses the signature, in seconds (AWS, "Troubleshooting Signature Version 4 errors": 5 minutes).
const REFUSED: u64 = 300;

/// Reads the date of each answer of the client that it is an interceptor of. Clones share what they saw.
#[derive(Debug, Clone, Default)]
pub struct DateObserver(Arc<Mutex<Option<i64>>>);

impl DateObserver {
    /// How many seconds the last answer's date was ahead of this machine's clock.
    pub fn ahead(&self) -> Option<i64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for DateObserver {
    fn name(&self) -> &'static str {
        "DateObserver"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _runtime_components: &RuntimeComponents,
        _cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        if let Some(date) = date {
            let ahead = date.secs() - DateTime::from(SystemTime::now()).secs();
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
        }
        Ok(())
    }
}

/// What the difference means.
pub fn clock(ahead: Option<i64>) -> Check {
    const SUBJECT: &str = "clock";
    const REMEDY: &str = "set this machine's clock, by NTP say";
    let Some(ahead) = ahead else {
        return Check::skipped(SUBJECT, "no answer had a date");
    };
    let apart = ahead.unsigned_abs();
    let what = format!("{apart} s {} that of AWS", if ahead > 0 { "behind" } else { "ahead of" });
    if apart <= WARNING {
        Check::good(SUBJECT, format!("within {} s of that of AWS", apart.max(1)))
    } else if apart <= REFUSED {
        Check::warning(SUBJECT, what, REMEDY)
    } else {
        Check::failed(SUBJECT, what, REMEDY)
    }
}

#[cfg(test)]
mod tests {
    use proxy_core::operator::Verdict;

    use super::*;

    #[test]
    fn a_minute_is_a_warning_and_five_are_too_many() {
        for apart in [0, 1, 60] {
            assert!(matches!(clock(Some(apart)).verdict, Verdict::Good(_)), "{apart}");
        }
        for apart in [-61, 300] {
            assert!(matches!(clock(Some(apart)).verdict, Verdict::Warning { .. }), "{apart}");
        }
        let Verdict::Failed { what, .. } = clock(Some(301)).verdict else { panic!("5 minutes are too many") };
        assert_eq!(&*what, "301 s behind that of AWS");
        assert!(matches!(clock(None).verdict, Verdict::Skipped(_)));
    }
}
