//! Formats log lines as JSON, exactly like the JSON format of `tracing_subscriber`: time,
//! level, the event's fields, target, and the span with the request id.
//!
//! `tracing_subscriber` runs a serializer for each field. For a short request, that costs as
//! much CPU time as everything else outside the store.

use std::cell::RefCell;
use std::fmt::{self, Debug, Display, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::trace::is_for_export;

/// Enough for most lines.
const LINE_CAPACITY_BYTES: usize = 512;

/// Formats events.
pub struct JsonLine;

/// Formats the fields of spans: `,"name":value` for each field.
pub struct JsonFields;

impl<S> FormatEvent<S, JsonFields> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // Collected in one String: every write to the writer is a dynamic call.
        let mut line = String::with_capacity(LINE_CAPACITY_BYTES);
        line.push_str("{\"timestamp\":\"");
        push_time(&mut line)?;
        line.push_str("\",\"level\":\"");
        line.push_str(event.metadata().level().as_str());
        line.push('"');

        let mut fields = Fields { line, result: Ok(()) };
        event.record(&mut fields);
        let Fields { mut line, result } = fields;
        result?;

        line.push_str(",\"target\":");
        push_text(&mut line, event.metadata().target());
        let parent = event.parent().and_then(|id| context.span(id));
        let span = parent.or_else(|| context.lookup_current());
        if let Some(span) = span.and_then(of_the_log) {
            line.push_str(",\"span\":{");
            let extensions = span.extensions();
            let members = extensions.get::<FormattedFields<JsonFields>>();
            if let Some(members) = members.and_then(|members| members.fields.strip_prefix(',')) {
                line.push_str(members);
                line.push(',');
            }
            line.push_str("\"name\":");
            push_text(&mut line, span.name());
            line.push('}');
        }
        line.push_str("}\n");
        writer.write_str(&line)
    }
}

/// The span itself or, if it is a span for export, the innermost span around it that is not for
/// export.
fn of_the_log<'a, S: LookupSpan<'a>>(span: SpanRef<'a, S>) -> Option<SpanRef<'a, S>> {
    if !is_for_export(span.metadata()) {
        return Some(span);
    }
    span.scope().find(|span| !is_for_export(span.metadata()))
}

impl<'writer> FormatFields<'writer> for JsonFields {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut members = Fields { line: String::new(), result: Ok(()) };
        fields.record(&mut members);
        members.result?;
        writer.write_str(&members.line)
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

struct Fields {
    line: String,
    result: fmt::Result,
}

impl Fields {
    fn push_name(&mut self, field: &Field) {
        // The name of a field is a Rust identifier and needs no escaping.
        let name = field.name();
        self.line.push_str(",\"");
        self.line.push_str(name.strip_prefix("r#").unwrap_or(name));
        self.line.push_str("\":");
    }

    /// Adds a value whose text is also valid JSON.
    fn push(&mut self, field: &Field, value: impl Display) {
        self.push_name(field);
        self.result = self.result.and(write!(self.line, "{value}"));
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        match value.is_finite() {
            true => self.push(field, value),
            false => self.push(field, "null"),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push_name(field);
        push_text(&mut self.line, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.push_name(field);
        self.line.push('"');
        self.result = self.result.and(write!(JsonEscaper(&mut self.line), "{value:?}"));
        self.line.push('"');
    }
}

thread_local! {
    /// The second of this thread's previous line and its text. Most lines have the same
    /// second.
    static LAST_SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// Appends the time in UTC (RFC 3339) with microseconds.
fn push_time(line: &mut String) -> fmt::Result {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let second = i64::try_from(now.as_secs()).unwrap_or_default();
    LAST_SECOND.with_borrow_mut(|(written, text)| {
        if *written != second {
            *written = second;
            *text = prost_types::Timestamp { seconds: second, nanos: 0 }.to_string();
        }
        line.push_str(text.strip_suffix('Z').unwrap_or(text));
    });
    write!(line, ".{:06}Z", now.subsec_micros())
}

fn push_text(line: &mut String, text: &str) {
    line.push('"');
    push_escaped(line, text);
    line.push('"');
}

/// Appends the content of a JSON string (RFC 8259 §7).
fn push_escaped(line: &mut String, text: &str) {
    let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    // Most texts need no escaping. `fold` instead of `any`: without an early exit the compiler
    // can vectorize the loop.
    if !text.bytes().fold(false, |found, byte| found | special(byte)) {
        line.push_str(text);
        return;
    }
    for char in text.chars() {
        match char {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            '\0'..' ' => line.push_str(&format!("\\u{:04x}", u32::from(char))),
            other => line.push(other),
        }
    }
}

/// Escapes the text that is written to it.
struct JsonEscaper<'a>(&'a mut String);

impl fmt::Write for JsonEscaper<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::fmt::MakeWriter;
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

    /// The lines of both formats for the same events, without the time.
    fn ours_and_theirs(events: impl Fn()) -> [Vec<Value>; 2] {
        let (ours, theirs) = (Lines::default(), Lines::default());
        let layer = tracing_subscriber::fmt::layer;
        let json = layer().fmt_fields(JsonFields).event_format(JsonLine);
        let subscriber = tracing_subscriber::registry().with(json.with_writer(ours.clone()));
        tracing::subscriber::with_default(subscriber, &events);
        let json = layer().json().flatten_event(true).with_span_list(false);
        let subscriber = tracing_subscriber::registry().with(json.with_writer(theirs.clone()));
        tracing::subscriber::with_default(subscriber, &events);
        [ours, theirs].map(|lines| {
            let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
            let line = |line| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                let at = line.as_object_mut().unwrap().remove("timestamp").unwrap();
                let at = at.as_str().unwrap();
                assert!(
                    at.len() == "2030-01-31T12:00:00.000000Z".len() && at.ends_with('Z'),
                    "{at}"
                );
                line
            };
            text.lines().map(line).collect()
        })
    }

    #[test]
    fn a_line_equals_the_output_of_the_library() {
        let [ours, theirs] = ours_and_theirs(|| {
            let odd = "a \"quote\", a \\, a\ttab, a\nline, \u{1}, \u{7f}, é and 😀";
            tracing::info!(odd, shown = %odd, told = ?odd, "said {odd}");
            tracing::warn!(target: "access", n = -1, m = u64::MAX, x = 0.25, yes = true);
            tracing::error!(none = None::<&str>, some = Some("s"), r#type = "keyword");
            let span = tracing::error_span!("request", id = %odd);
            span.in_scope(|| tracing::info!("inside"));
            let filled = tracing::error_span!("filled", n = 1, later = tracing::field::Empty);
            filled.record("later", "said later");
            filled.in_scope(|| tracing::info!("inside"));
            tracing::info!(parent: &span, "of it");
            tracing::error_span!("bare").in_scope(|| tracing::info!(parent: None, "outside"));
        });
        assert_eq!(ours, theirs);
        assert_eq!(ours.len(), 7);
        assert_eq!(ours[0]["message"], json!(ours[0]["odd"].as_str().map(|s| format!("said {s}"))));
    }

    #[test]
    fn a_line_inside_of_an_export_span_has_the_request_span() {
        let [ours, _] = ours_and_theirs(|| {
            let export = |name| tracing::info_span!(target: "otel", "export", name);
            export("alone").in_scope(|| tracing::info!("outside of a request"));
            tracing::error_span!("request", id = 1).in_scope(|| {
                let call = tracing::info_span!(target: "otel::root", "call");
                call.in_scope(|| export("below").in_scope(|| tracing::info!("inside")));
            });
        });
        let spans: Vec<_> = ours.iter().map(|line| line.get("span")).collect();
        assert_eq!(spans, [None, Some(&json!({"id": 1, "name": "request"}))]);
    }
}
