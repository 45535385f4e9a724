//! How mails look: name, logo, colour and imprint of the deployment.

use minijinja::{Value, context};

use super::message::LOGO;
use crate::domain::{Brand, Logo};

/// The built-in colours: of links and buttons, and of the text on buttons.
const ACCENT: &str = "#0b57d0";
const ON_ACCENT: &str = "#ffffff";

/// The values for the templates.
pub(super) fn values(brand: &Brand) -> Value {
    let shades = brand.accent.map(|accent| accent.on_light());
    let color = |shade: Option<String>, built_in: &str| shade.unwrap_or(built_in.to_owned());
    let logo = brand.logo.as_ref().filter(|logo| logo.is_for_mails());
    context! {
        service => &brand.name,
        imprint => brand.imprint.as_deref().unwrap_or_default(),
        accent => color(shades.map(|shades| shades.accent.to_string()), ACCENT),
        on_accent => color(shades.map(|shades| shades.on_accent.to_string()), ON_ACCENT),
        logo => logo.map(|_| format!("cid:{LOGO}")).unwrap_or_default(),
    }
}

/// The logo, if this mail shows it.
pub(super) fn logo_in(html: &str, brand: &Brand) -> Option<Logo> {
    let logo = brand.logo.as_ref().filter(|logo| logo.is_for_mails());
    logo.filter(|_| html.contains(LOGO)).cloned()
}
