use super::*;

fn request(version: Version, target: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().version(version).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

fn refused(version: Version, headers: &[(&str, &str)]) -> bool {
    of(&request(version, "/", headers), Access::Full, 1024) == Some(WRONG_HOST)
}

#[test]
fn http1_has_one_host() {
    let (http10, http11) = (Version::HTTP_10, Version::HTTP_11);
    for host in ["x", "x:8080", "127.0.0.1:1", "[::1]:8080", ""] {
        assert!(!refused(http11, &[("host", host)]), "{host}");
    }
    assert!(!refused(http10, &[]), "HTTP/1.0 knows none");
    assert!(refused(http11, &[]));
    assert!(refused(http11, &[("host", "x"), ("host", "x")]));
    assert!(refused(http10, &[("host", "x"), ("host", "y")]));
    for host in ["a b", "x/y", "user@x", "x:y:z"] {
        assert!(refused(http11, &[("host", host)]), "{host}");
    }
    assert!(!refused(Version::HTTP_2, &[]), "it has :authority");
}

#[test]
fn over_http2_a_head_is_measured_here() {
    let long = "y".repeat(1000);
    let small = request(Version::HTTP_2, "/", &[("x", &long[..900])]);
    assert_eq!(of(&small, Access::Full, 1024), None);
    let large = request(Version::HTTP_2, "/", &[("x", &long)]);
    assert_eq!(of(&large, Access::Full, 1024), Some(HEAD_TOO_LARGE));
    let target = request(Version::HTTP_2, &format!("/{long}?{long}"), &[]);
    assert_eq!(of(&target, Access::Full, 1024), Some(HEAD_TOO_LARGE));
}

#[test]
fn probes_ask_for_nothing_else() {
    let asked = |path| of(&request(Version::HTTP_2, path, &[]), Access::Probe, 1024);
    for path in ["/healthz", "/readyz?verbose", "/grpc.health.v1.Health/Check"] {
        assert_eq!(asked(path), None, "{path}");
    }
    for path in ["/", "/grpc.health.v1.Health/Watch", "/metrics", "/healthz/"] {
        assert_eq!(asked(path), Some(PROBES_ONLY), "{path}");
    }
}
