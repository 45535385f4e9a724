use super::*;

fn request(version: Version, target: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().version(version).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

fn is_rejected(version: Version, headers: &[(&str, &str)]) -> bool {
    check(&request(version, "/", headers), Access::Full, 1024) == Some(INVALID_HOST)
}

#[test]
fn an_http1_request_needs_exactly_one_valid_host() {
    let (http10, http11) = (Version::HTTP_10, Version::HTTP_11);
    for host in ["x", "x:8080", "127.0.0.1:1", "[::1]:8080", ""] {
        assert!(!is_rejected(http11, &[("host", host)]), "{host}");
    }
    assert!(!is_rejected(http10, &[]), "HTTP/1.0 needs no Host");
    assert!(is_rejected(http11, &[]));
    assert!(is_rejected(http11, &[("host", "x"), ("host", "x")]));
    assert!(is_rejected(http10, &[("host", "x"), ("host", "y")]));
    for host in ["a b", "x/y", "user@x", "x:y:z"] {
        assert!(is_rejected(http11, &[("host", host)]), "{host}");
    }
    assert!(!is_rejected(Version::HTTP_2, &[]), "HTTP/2 has :authority");
}

#[test]
fn over_http2_the_size_of_the_head_is_checked() {
    let long = "y".repeat(1000);
    let small = request(Version::HTTP_2, "/", &[("x", &long[..900])]);
    assert_eq!(check(&small, Access::Full, 1024), None);
    let large = request(Version::HTTP_2, "/", &[("x", &long)]);
    assert_eq!(check(&large, Access::Full, 1024), Some(HEAD_TOO_LARGE));
    let target = request(Version::HTTP_2, &format!("/{long}?{long}"), &[]);
    assert_eq!(check(&target, Access::Full, 1024), Some(HEAD_TOO_LARGE));
}

#[test]
fn a_connection_for_probes_serves_probes_only() {
    let checked = |path| check(&request(Version::HTTP_2, path, &[]), Access::Probe, 1024);
    for path in ["/healthz", "/readyz?verbose", "/grpc.health.v1.Health/Check"] {
        assert_eq!(checked(path), None, "{path}");
    }
    for path in ["/", "/grpc.health.v1.Health/Watch", "/metrics", "/healthz/"] {
        assert_eq!(checked(path), Some(PROBES_ONLY), "{path}");
    }
}
