//! Builds the brand of pages and mails from the settings.

use std::io::Read;

use crate::config;
use crate::domain::{Brand, Logo};
use crate::error::{Error, Kind, Result};

/// Builds the brand, and reads the logo from its file.
pub(super) fn load(settings: &config::Pages) -> Result<Brand> {
    let mut brand = Brand {
        name: settings.name.trim().to_owned(),
        accent: settings.accent_color,
        logo: None,
        imprint: settings.imprint_url.clone(),
    };
    if let Some(path) = &settings.logo {
        let wrong = |problem: String| {
            let message = format!("pages.logo: {} {problem}", path.display());
            Error::new(Kind::FailedPrecondition, message)
        };
        let mut bytes = Vec::new();
        // Reads at most one byte more than allowed: enough to reject a file that is too large.
        let most = u64::try_from(Logo::MAX_BYTES + 1).unwrap_or(u64::MAX);
        std::fs::File::open(path)
            .and_then(|file| file.take(most).read_to_end(&mut bytes))
            .map_err(|e| wrong(format!("cannot be read: {e}")))?;
        brand.logo = Some(Logo::new(bytes).map_err(|e| wrong(e.to_string()))?);
    }
    Ok(brand)
}
