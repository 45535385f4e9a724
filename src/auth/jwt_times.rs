//! The times between which a token is valid (RFC 7519 §4.1.4 and §4.1.5).

use std::time::Duration;

use super::rejection::AuthRejection;
use crate::domain::Timestamp;

/// The allowed difference between the clocks of the issuer and of this service.
const LEEWAY: Duration = Duration::from_secs(60);

/// The claims `exp` and `nbf`: seconds since 1970, which may have a fraction.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub exp: f64,
    pub nbf: Option<f64>,
}

impl Times {
    pub fn check(self, now: Timestamp) -> Result<(), AuthRejection> {
        // f64 is precise enough for present times.
        #[allow(clippy::cast_precision_loss)]
        let now = now.as_micros() as f64 / 1e6;
        let leeway = LEEWAY.as_secs_f64();
        if now >= self.exp + leeway {
            return Err(AuthRejection("token is expired"));
        }
        if self.nbf.is_some_and(|nbf| now + leeway < nbf) {
            return Err(AuthRejection("token is not valid yet"));
        }
        Ok(())
    }
}
