//! A line of the log in JSON, as `tracing_subscriber`'s own format has it: time, level,
//! the event's fields, target, and the span with the request's name.
//!
//! Its own goes through a serializer for each field, which costs as much as all else
//! that a short request does beside the store.

use std::fmt::{self, Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// See the module. Fields of spans are to be formatted by `JsonFields`.
pub struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "\",\"level\":\"{}\"", event.metadata().level())?;

        let mut fields = Fields { writer, result: Ok(()) };
        event.record(&mut fields);
        let Fields { mut writer, result } = fields;
        result?;

        writer.write_str(",\"target\":")?;
        write_text(&mut writer, event.metadata().target())?;
        let parent = event.parent().and_then(|id| context.span(id));
        if let Some(span) = parent.or_else(|| context.lookup_current()) {
            writer.write_str(",\"span\":{")?;
            let extensions = span.extensions();
            let formatted = extensions.get::<FormattedFields<N>>();
            // An object, whose members go before the name.
            let members = formatted.and_then(|f| f.fields.strip_prefix('{')?.strip_suffix('}'));
            if let Some(members) = members.filter(|members| !members.is_empty()) {
                write!(writer, "{members},")?;
            }
            writer.write_str("\"name\":")?;
            write_text(&mut writer, span.name())?;
            writer.write_char('}')?;
        }
        writer.write_str("}\n")
    }
}

struct Fields<'a> {
    writer: Writer<'a>,
    result: fmt::Result,
}

impl Fields<'_> {
    fn write(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.result.is_ok() {
            // A name is a Rust name: nothing in it needs escaping.
            let name = field.name();
            let name = name.strip_prefix("r#").unwrap_or(name);
            self.result =
                write!(self.writer, ",\"{name}\":").and_then(|()| value(&mut self.writer));
        }
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field, |writer| match value.is_finite() {
            true => write!(writer, "{value}"),
            false => writer.write_str("null"),
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, |writer| write!(writer, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, |writer| write_text(writer, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field, |writer| {
            writer.write_char('"')?;
            write!(Escaping(writer), "{value:?}")?;
            writer.write_char('"')
        });
    }
}

fn write_text(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    writer.write_char('"')?;
    Escaping(writer).write_str(text)?;
    writer.write_char('"')
}

/// The inside of a JSON string (RFC 8259 §7).
struct Escaping<'a, 'b>(&'a mut Writer<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        while let Some(at) = rest.bytes().position(special) {
            self.0.write_str(&rest[..at])?;
            match rest.as_bytes()[at] {
                b'"' => self.0.write_str("\\\""),
                b'\\' => self.0.write_str("\\\\"),
                b'\n' => self.0.write_str("\\n"),
                b'\r' => self.0.write_str("\\r"),
                b'\t' => self.0.write_str("\\t"),
                other => write!(self.0, "\\u{other:04x}"),
            }?;
            // What is special is one byte, so what follows is text again.
            rest = &rest[at + 1..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::fmt::format::JsonFields;
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Lines {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// What both formats make of the same events, without the time.
    fn ours_and_theirs(events: impl Fn()) -> [Vec<Value>; 2] {
        let (ours, theirs) = (Lines::default(), Lines::default());
        let layer = || tracing_subscriber::fmt::layer().fmt_fields(JsonFields::new());
        let subscriber = tracing_subscriber::registry()
            .with(layer().event_format(JsonLine).with_writer(ours.clone()));
        tracing::subscriber::with_default(subscriber, &events);
        let json = layer().json().flatten_event(true).with_span_list(false);
        let subscriber = tracing_subscriber::registry().with(json.with_writer(theirs.clone()));
        tracing::subscriber::with_default(subscriber, &events);
        [ours, theirs].map(|lines| {
            let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
            let line = |line| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                let at = line.as_object_mut().unwrap().remove("timestamp").unwrap();
                assert!(at.as_str().unwrap().ends_with('Z'));
                line
            };
            text.lines().map(line).collect()
        })
    }

    #[test]
    fn a_line_is_what_the_library_makes_of_it() {
        let [ours, theirs] = ours_and_theirs(|| {
            let odd = "a \"quote\", a \\, a\ttab, a\nline, \u{1}, \u{7f}, é and 😀";
            tracing::info!(odd, shown = %odd, told = ?odd, "said {odd}");
            tracing::warn!(target: "access", n = -1, m = u64::MAX, x = 0.25, yes = true);
            tracing::error!(none = None::<&str>, some = Some("s"), r#type = "keyword");
            let span = tracing::error_span!("request", id = %odd);
            span.in_scope(|| tracing::info!("inside"));
            tracing::info!(parent: &span, "of it");
            tracing::error_span!("bare").in_scope(|| tracing::info!(parent: None, "outside"));
        });
        assert_eq!(ours, theirs);
        assert_eq!(ours.len(), 6);
        assert_eq!(ours[0]["message"], json!(ours[0]["odd"].as_str().map(|s| format!("said {s}"))));
    }
}
