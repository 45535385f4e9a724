//! The methods of all services, read from their descriptors, so that a new RPC is served over
//! every protocol without further code.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use connectrpc::router::MethodKind;
use http::Uri;
use http::uri::PathAndQuery;
use prost::Message;
use prost_reflect::prost_types::FileDescriptorSet;
use prost_reflect::prost_types::method_options::IdempotencyLevel;
use prost_reflect::{DescriptorPool, MessageDescriptor, MethodDescriptor};

use crate::error::{Error, Result};

pub struct Method {
    path: PathAndQuery,
    name: Arc<str>,
    kind: MethodKind,
    safe: bool,
    input: MessageDescriptor,
    output: MessageDescriptor,
}

/// The methods by path. Clones share the maps.
#[derive(Clone)]
pub struct Methods {
    by_path: Arc<HashMap<String, Arc<Method>>>,
    services: Arc<HashSet<String>>,
}

impl Methods {
    /// Reads encoded `google.protobuf.FileDescriptorSet`s. A file that is in several sets is read
    /// once.
    ///
    /// # Errors
    /// If a set is not valid.
    pub fn new(descriptor_sets: &[&[u8]]) -> Result<Self> {
        let mut pool = DescriptorPool::new();
        for set in descriptor_sets {
            let mut set = FileDescriptorSet::decode(*set).map_err(Error::internal)?;
            // Otherwise the comments of the `.proto` files would stay in memory.
            set.file.iter_mut().for_each(|file| file.source_code_info = None);
            pool.add_file_descriptor_set(set).map_err(Error::internal)?;
        }
        let by_path = pool
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>())
            .map(|method| Method::new(&method))
            .map(|method| (method.path().to_owned(), Arc::new(method)))
            .collect();
        let services = pool.services().map(|service| service.full_name().to_owned()).collect();
        Ok(Self { by_path: Arc::new(by_path), services: Arc::new(services) })
    }

    /// The method at `/package.Service/Method`.
    pub fn get(&self, path: &str) -> Option<&Arc<Method>> {
        self.by_path.get(path)
    }

    /// All methods, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Method> {
        self.by_path.values().map(Arc::as_ref)
    }

    /// The full names of all services, in no order.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.iter().map(String::as_str)
    }

    /// Whether a path begins with the name of a known service.
    pub fn has_service_of(&self, path: &str) -> bool {
        let service = path.strip_prefix('/').and_then(|rest| rest.split_once('/'));
        service.is_some_and(|(service, _)| self.services.contains(service))
    }
}

impl Method {
    fn new(method: &MethodDescriptor) -> Self {
        let proto = method.method_descriptor_proto();
        let level = proto.options.as_ref().map(|options| options.idempotency_level());
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        Self {
            name: path.as_str().into(),
            // Names in descriptors contain only characters that a path may have.
            path: path.try_into().unwrap_or(PathAndQuery::from_static("/")),
            kind: match (method.is_client_streaming(), method.is_server_streaming()) {
                (false, false) => MethodKind::Unary,
                (false, true) => MethodKind::ServerStreaming,
                (true, false) => MethodKind::ClientStreaming,
                (true, true) => MethodKind::BidiStreaming,
            },
            safe: level == Some(IdempotencyLevel::NoSideEffects),
            input: method.input(),
            output: method.output(),
        }
    }

    /// `/package.Service/Method`.
    pub fn path(&self) -> &str {
        &self.name
    }

    /// The path as the name in logs and metrics.
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub fn uri(&self) -> Uri {
        self.path.clone().into()
    }

    /// Whether the method is NO_SIDE_EFFECTS in its `.proto`, which allows GET.
    pub fn is_safe(&self) -> bool {
        self.safe && self.is_unary()
    }

    pub fn is_unary(&self) -> bool {
        self.kind == MethodKind::Unary
    }

    pub fn is_client_streaming(&self) -> bool {
        matches!(self.kind, MethodKind::ClientStreaming | MethodKind::BidiStreaming)
    }

    pub fn is_server_streaming(&self) -> bool {
        matches!(self.kind, MethodKind::ServerStreaming | MethodKind::BidiStreaming)
    }

    pub fn input(&self) -> &MessageDescriptor {
        &self.input
    }

    pub fn output(&self) -> &MessageDescriptor {
        &self.output
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::FILE_DESCRIPTOR_SET;

    #[test]
    fn methods_are_read_from_several_sets() {
        let methods =
            Methods::new(&[FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET]).unwrap();
        let of_gitpod = methods
            .by_path
            .keys()
            .filter(|path| path.starts_with("/gitpod.v1.OrganizationService/"));
        assert_eq!(of_gitpod.count(), 11);
        assert!(methods.get("/grpc.health.v1.Health/Watch").is_some());
        assert!(methods.get("/gitpod.v1.OrganizationService/Nothing").is_none());
    }

    #[test]
    fn only_methods_without_side_effects_are_safe() {
        let methods = Methods::new(&[FILE_DESCRIPTOR_SET]).unwrap();
        let mut safe: Vec<&str> = methods
            .by_path
            .values()
            .filter(|method| method.is_safe())
            .filter_map(|method| method.path().strip_prefix("/gitpod.v1.OrganizationService/"))
            .collect();
        safe.sort_unstable();
        assert_eq!(safe, ["GetOrganization", "GetOrganizationInviteSummary", "ListMembers"]);
    }
}
