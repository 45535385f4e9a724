//! The place of a request in a trace: the header `traceparent` of W3C Trace Context.

use std::fmt;

const TRACE_ID_BYTES: usize = 16;
const SPAN_ID_BYTES: usize = 8;
/// The length of version 00; later versions begin with the same fields.
const LEN: usize = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".len();
/// The flag of traces whose spans are exported.
const SAMPLED: u8 = 1;
/// The flags that this version of the standard defines.
const KNOWN_FLAGS: u8 = 3;

/// A trace and one of its spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: [u8; TRACE_ID_BYTES],
    span_id: [u8; SPAN_ID_BYTES],
    flags: u8,
}

impl TraceParent {
    /// `None` if an id is zero, which the standard does not allow.
    pub fn new(
        trace_id: [u8; TRACE_ID_BYTES],
        span_id: [u8; SPAN_ID_BYTES],
        flags: u8,
    ) -> Option<Self> {
        let is_valid = trace_id != [0; TRACE_ID_BYTES] && span_id != [0; SPAN_ID_BYTES];
        is_valid.then_some(Self { trace_id, span_id, flags: flags & KNOWN_FLAGS })
    }

    /// Reads the value of the header. `None` if it is malformed: the standard requires that it is
    /// ignored.
    pub fn parse(text: &str) -> Option<Self> {
        let fields = text.get(..LEN)?;
        let mut parts = fields.split('-');
        let [version] = bytes(parts.next()?)?;
        let (trace_id, span_id) = (bytes(parts.next()?)?, bytes(parts.next()?)?);
        let [flags] = bytes(parts.next()?)?;
        let parent = Self::new(trace_id, span_id, flags)?;
        let rest = &text[LEN..];
        let is_whole = match version {
            0 => rest.is_empty(),
            0xff => false,
            // Fields of later versions follow.
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        (is_whole && parts.next().is_none()).then_some(parent)
    }

    pub fn trace_id(self) -> impl fmt::Display {
        Hex(self.trace_id)
    }

    pub fn trace_id_bytes(self) -> [u8; TRACE_ID_BYTES] {
        self.trace_id
    }

    pub fn span_id_bytes(self) -> [u8; SPAN_ID_BYTES] {
        self.span_id
    }

    pub fn flags(self) -> u8 {
        self.flags
    }

    /// Whether the sender of this header exports its spans.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// The value of the header.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", Hex(self.trace_id), Hex(self.span_id), self.flags)
    }
}

struct Hex<const N: usize>([u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Exactly `N` bytes in lower-case hexadecimal.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_valid_header_is_read_and_written() {
        let parent = TraceParent::parse(VALID).unwrap();
        assert_eq!(parent.to_string(), VALID);
        assert_eq!(parent.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert!(parent.is_sampled());
        let quiet = VALID.replace("-01", "-00");
        assert!(!TraceParent::parse(&quiet).unwrap().is_sampled());
    }

    #[test]
    fn a_later_version_is_read_as_version_00() {
        let later = VALID.replacen("00", "cc", 1).replace("-01", "-09");
        for text in [later.clone(), format!("{later}-what the future will be like")] {
            assert_eq!(TraceParent::parse(&text).unwrap().to_string(), VALID);
        }
        assert_eq!(TraceParent::parse(&format!("{later}.")), None);
    }

    #[test]
    fn malformed_headers_are_ignored() {
        for text in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "0-00af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-B7AD6B7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-001",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            "00-0af7651916cd43dd8448eb211c80319x-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-é",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }
}
