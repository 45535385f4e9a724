//! The REST contracts of other products, and the paths that they have.

use http::Method;

/// Another product's REST contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestApi {
    /// ClickHouse Cloud's invitations.
    ClickHouse,
    /// GitBook's organization invites.
    GitBook,
}

impl RestApi {
    pub const ALL: [RestApi; 2] = [RestApi::ClickHouse, RestApi::GitBook];

    /// Its name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            RestApi::ClickHouse => "clickhouse",
            RestApi::GitBook => "gitbook",
        }
    }

    /// All its paths begin with one of these.
    const fn prefixes(self) -> &'static [&'static str] {
        match self {
            RestApi::ClickHouse => &["/v1/organizations"],
            RestApi::GitBook => &["/v1/orgs", "/v1/user"],
        }
    }

    /// The contract that a path belongs to by its prefix, even if the contract has no such path.
    pub fn of(path: &str) -> Option<Self> {
        let is_under = |prefix: &&str| {
            path.strip_prefix(*prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        RestApi::ALL.into_iter().find(|api| api.prefixes().iter().any(&is_under))
    }
}

/// One path of a contract.
#[derive(Debug)]
pub struct Endpoint {
    template: String,
    methods: Vec<Method>,
}

impl Endpoint {
    pub fn new(template: String, methods: Vec<Method>) -> Self {
        Self { template, methods }
    }

    /// The path with placeholders for its parameters, safe to log.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Its name in metrics, with the HTTP method if the path has it.
    pub fn name(&self, method: &Method) -> String {
        match self.methods.contains(method) {
            true => format!("{method} {}", self.template),
            false => self.template.clone(),
        }
    }

    /// Whether the path has this method; GET includes HEAD.
    pub fn allows(&self, method: &Method) -> bool {
        let is_head = *method == Method::HEAD && self.methods.contains(&Method::GET);
        is_head || self.methods.contains(method)
    }

    /// The value of the `allow` header.
    pub fn allow_header(&self) -> String {
        let head = self.methods.contains(&Method::GET).then_some("HEAD");
        let methods = self.methods.iter().map(Method::as_str);
        methods.chain(head).chain(["OPTIONS"]).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_a_contract_by_whole_segments() {
        for (path, api) in [
            ("/v1/organizations", Some(RestApi::ClickHouse)),
            ("/v1/organizations/x/y/z", Some(RestApi::ClickHouse)),
            ("/v1/orgs", Some(RestApi::GitBook)),
            ("/v1/orgs/x", Some(RestApi::GitBook)),
            ("/v1/user", Some(RestApi::GitBook)),
            ("/v1/organization", None),
            ("/v1/organizationsx", None),
            ("/v1/users", None),
            ("/v1", None),
            ("/orgs", None),
            ("/", None),
        ] {
            assert_eq!(RestApi::of(path), api, "{path}");
        }
    }
}
