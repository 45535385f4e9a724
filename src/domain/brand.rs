//! How a deployment presents itself on pages and in mails.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;

use super::Invalid;

/// Name, colour, logo and imprint of the service.
#[derive(Debug, Clone)]
pub struct Brand {
    pub name: String,
    /// `None`: the built-in colours.
    pub accent: Option<Color>,
    pub logo: Option<Logo>,
    /// URL of the imprint.
    pub imprint: Option<String>,
}

/// The image of a brand, and its type.
#[derive(Clone)]
pub struct Logo {
    pub media_type: &'static str,
    pub bytes: Arc<[u8]>,
}

/// An opaque colour in sRGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Color([u8; 3]);

/// An accent colour in a light or a dark theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shades {
    /// For links, and as the background of `on_accent`.
    pub accent: Color,
    /// For text on `accent`.
    pub on_accent: Color,
    /// A background on which `accent` is readable.
    pub tint: Color,
}

impl Brand {
    /// The brand without settings: the name "Guestlist", the built-in colours and no logo.
    pub fn built_in() -> Self {
        Self { name: "Guestlist".to_owned(), accent: None, logo: None, imprint: None }
    }
}

impl Logo {
    /// A logo is part of mails, so it must be small.
    pub const MAX_BYTES: usize = 128 * 1024;

    /// # Errors
    /// If it is too large, or of an unknown type.
    pub fn new(bytes: Vec<u8>) -> Result<Self, Invalid> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(Invalid("must have at most 128 KiB"));
        }
        let media_type = match bytes.as_slice() {
            [0x89, b'P', b'N', b'G', ..] => "image/png",
            [0xff, 0xd8, 0xff, ..] => "image/jpeg",
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
            text if std::str::from_utf8(text).is_ok_and(|text| text.contains("<svg")) => {
                "image/svg+xml"
            }
            _ => return Err(Invalid("must be an SVG, PNG, JPEG or WebP image")),
        };
        Ok(Self { media_type, bytes: bytes.into() })
    }

    /// Mail programs show no SVG, and some show no WebP.
    pub fn is_for_mails(&self) -> bool {
        matches!(self.media_type, "image/png" | "image/jpeg")
    }
}

impl fmt::Debug for Logo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logo").field("media_type", &self.media_type).finish_non_exhaustive()
    }
}

/// The contrast that WCAG 2 requires at level AA, with a reserve for rounding.
const READABLE: f64 = 4.6;

const WHITE: Color = Color([255; 3]);
const BLACK: Color = Color([0; 3]);
/// The lightest surface of the dark themes.
const DARK_SURFACE: Color = Color([0x1b, 0x1f, 0x24]);
const DARK_TEXT: Color = Color([0x0c, 0x11, 0x17]);

impl Color {
    /// The colour for light pages, darker if it would not be readable.
    pub fn on_light(self) -> Shades {
        let tint = WHITE.mixed(self, 10);
        Shades { accent: self.readable_on([WHITE, tint], BLACK), on_accent: WHITE, tint }
    }

    /// The colour for dark pages, lighter if it would not be readable.
    pub fn on_dark(self) -> Shades {
        let tint = DARK_SURFACE.mixed(self, 16);
        let accent = self.readable_on([DARK_SURFACE, tint], WHITE);
        Shades { accent, on_accent: DARK_TEXT, tint }
    }

    /// Mixes this colour with as little of `end` as makes it readable on both backgrounds.
    fn readable_on(self, backgrounds: [Color; 2], end: Color) -> Color {
        let readable =
            |color: &Color| backgrounds.iter().all(|one| color.contrast(*one) >= READABLE);
        (0..=100).map(|percent| self.mixed(end, percent)).find(readable).unwrap_or(end)
    }

    fn mixed(self, other: Color, percent: u16) -> Color {
        let part = |index: usize| {
            let (own, others) = (u16::from(self.0[index]), u16::from(other.0[index]));
            let mixed = (own * (100 - percent) + others * percent) / 100;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        Color([part(0), part(1), part(2)])
    }

    /// WCAG 2, "contrast ratio".
    fn contrast(self, other: Color) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// WCAG 2, "relative luminance".
    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl FromStr for Color {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = Invalid("must be a colour like #0b57d0");
        let mut parts = [0; 3];
        let digits =
            text.strip_prefix('#').filter(|digits| digits.len() == 6).ok_or(wrong.clone())?;
        hex::decode_to_slice(digits, &mut parts).map_err(|_| wrong)?;
        Ok(Self(parts))
    }
}

impl TryFrom<String> for Color {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_accent_colour_is_readable_in_both_themes() {
        let steps = [0_u8, 51, 102, 153, 204, 255];
        for red in steps {
            for green in steps {
                for blue in steps {
                    let color = Color([red, green, blue]);
                    for (surface, shades) in
                        [(WHITE, color.on_light()), (DARK_SURFACE, color.on_dark())]
                    {
                        let Shades { accent, on_accent, tint } = shades;
                        for (one, two) in [(accent, surface), (accent, tint), (accent, on_accent)] {
                            assert!(one.contrast(two) >= 4.5, "{color}: {one} on {two}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_readable_colour_is_not_changed() {
        let blue: Color = "#0B57D0".parse().unwrap();
        assert_eq!(blue.on_light().accent.to_string(), "#0b57d0");
        assert_ne!(blue.on_dark().accent, blue);
        assert!((WHITE.contrast(BLACK) - 21.0).abs() < 0.001);
    }

    #[test]
    fn colours_have_six_digits() {
        for text in ["", "#", "#fff", "0b57d0", "#0b57dg", "#0b57d0ff", "red", "#00-1+2"] {
            assert!(text.parse::<Color>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_media_type_of_a_logo_is_read_from_its_bytes() {
        for (bytes, expected) in [
            (&b"\x89PNG\r\n"[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"<?xml version=\"1.0\"?><svg/>", Some("image/svg+xml")),
            (b"<html>", None),
            (b"", None),
        ] {
            let logo = Logo::new(bytes.to_vec()).map(|logo| logo.media_type);
            assert_eq!(logo.ok(), expected, "{bytes:?}");
        }
        assert!(Logo::new(vec![0x89; Logo::MAX_BYTES + 1]).is_err());
    }
}
