//! The environment variables of OpenTelemetry that its libraries do not read themselves.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry_sdk::trace::Sampler;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The variables that are set and not empty.
#[derive(Debug, Default)]
pub struct Variables(HashMap<&'static str, String>);

/// The variables that are read here. The exporter itself reads endpoint and headers, the batches
/// `OTEL_BSP_*`, the resource `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.
const NAMES: [&str; 10] = [
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
];

impl Variables {
    pub fn of_process() -> Self {
        let set = NAMES.into_iter().filter_map(|name| Some((name, std::env::var(name).ok()?)));
        Self(set.filter(|(_, value)| !value.trim().is_empty()).collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim())
    }

    /// The value for traces or, if it is not set, the value for all signals.
    fn of_traces(&self, what: &str) -> Option<&str> {
        let of = |prefix: &str| self.get(&format!("OTEL_EXPORTER_OTLP_{prefix}{what}"));
        of("TRACES_").or_else(|| of(""))
    }

    /// Whether the variables request the export of spans.
    ///
    /// # Errors
    /// If they request another exporter or protocol than OTLP over HTTP with protobuf.
    pub fn traces_enabled(&self) -> Result<bool, String> {
        if self.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(false);
        }
        let enabled = match self.get("OTEL_TRACES_EXPORTER") {
            Some("none") => false,
            Some("otlp") => true,
            None => self.of_traces("ENDPOINT").is_some(),
            Some(_) => return Err("OTEL_TRACES_EXPORTER must be otlp or none".to_owned()),
        };
        match self.of_traces("PROTOCOL") {
            None | Some("http/protobuf") => Ok(enabled),
            Some(_) if !enabled => Ok(false),
            Some(_) => Err("OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, to the receiver's \
                            port for OTLP over HTTP, usually 4318"
                .to_owned()),
        }
    }

    /// The longest time of one request to the receiver.
    ///
    /// # Errors
    /// If it is not a number.
    pub fn timeout(&self) -> Result<Duration, String> {
        let Some(text) = self.of_traces("TIMEOUT") else { return Ok(DEFAULT_TIMEOUT) };
        let millis = text.parse();
        millis
            .map(Duration::from_millis)
            .map_err(|_| "OTEL_EXPORTER_OTLP_TIMEOUT must be a number of milliseconds".to_owned())
    }

    /// # Errors
    /// If the sampler is not known, or its ratio is invalid.
    pub fn sampler(&self) -> Result<Sampler, String> {
        let ratio = || -> Result<Sampler, String> {
            let text = self.get("OTEL_TRACES_SAMPLER_ARG").unwrap_or("1");
            let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
            let ratio = ratio.ok_or("OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1")?;
            Ok(Sampler::TraceIdRatioBased(ratio))
        };
        let name = self.get("OTEL_TRACES_SAMPLER").unwrap_or("parentbased_always_on");
        let (by_parent, name) = match name.strip_prefix("parentbased_") {
            Some(name) => (true, name),
            None => (false, name),
        };
        let sampler = match name {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => ratio()?,
            _ => {
                return Err("OTEL_TRACES_SAMPLER must be always_on, always_off or traceidratio, \
                            perhaps with parentbased_ before it"
                    .to_owned());
            }
        };
        Ok(if by_parent { Sampler::ParentBased(Box::new(sampler)) } else { sampler })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(variables: &[(&'static str, &str)]) -> Variables {
        Variables(variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");

    #[test]
    fn traces_are_exported_if_the_variables_enable_them() {
        for (variables, enabled) in [
            (&[][..], false),
            (&[ENDPOINT], true),
            (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost/x")], true),
            (&[("OTEL_TRACES_EXPORTER", "otlp")], true),
            (&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")], false),
            (&[ENDPOINT, ("OTEL_SDK_DISABLED", "True")], false),
            (&[ENDPOINT, ("OTEL_SDK_DISABLED", "false")], true),
            (&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], true),
            (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], false),
        ] {
            assert_eq!(given(variables).traces_enabled(), Ok(enabled), "{variables:?}");
        }
    }

    #[test]
    fn unsupported_values_are_errors() {
        for (name, value) in [
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ] {
            let wrong = given(&[ENDPOINT, (name, value)]).traces_enabled().unwrap_err();
            assert!(wrong.starts_with("OTEL_"), "{wrong}");
        }
        assert!(given(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "10s")]).timeout().is_err());
        assert!(given(&[("OTEL_TRACES_SAMPLER", "xray")]).sampler().is_err());
        let ratio = ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio");
        for wrong in ["x", "-0.1", "1.1", "NaN"] {
            let variables = given(&[ratio, ("OTEL_TRACES_SAMPLER_ARG", wrong)]);
            assert!(variables.sampler().is_err(), "{wrong}");
        }
        let variables = given(&[ratio, ("OTEL_TRACES_SAMPLER_ARG", "0.01")]);
        assert!(format!("{:?}", variables.sampler().unwrap()).contains("0.01"));
    }

    #[test]
    fn a_value_for_traces_overrides_the_general_value() {
        let all = ("OTEL_EXPORTER_OTLP_TIMEOUT", "5");
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "7");
        assert_eq!(given(&[]).timeout(), Ok(DEFAULT_TIMEOUT));
        assert_eq!(given(&[all]).timeout(), Ok(Duration::from_millis(5)));
        assert_eq!(given(&[all, traces]).timeout(), Ok(Duration::from_millis(7)));
    }
}
