//! Paging by query parameters: the JSON SDKs send the `token` and `pageSize` of the next page in
//! the query of a POST, with the body of the first page.

use percent_encoding::percent_decode_str;
use prost_reflect::{DynamicMessage, Kind, ReflectMessage, Value};

use crate::error::{Error, Result};

/// The type of the field that the parameters replace.
const PAGINATION: &str = "gitpod.v1.PaginationRequest";

/// The page that the query requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paging {
    token: Option<String>,
    page_size: Option<i32>,
}

impl Paging {
    /// Reads a query; `None` if it has no paging parameter.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if the page size is not a number.
    pub fn from_query(query: Option<&str>) -> Result<Option<Self>> {
        let mut paging = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "token" => paging.token = Some(decode("token", value)?),
                "pageSize" => {
                    let size = decode("pageSize", value)?.parse();
                    paging.page_size = Some(
                        size.map_err(|_| Error::invalid("pageSize", "must be a whole number"))?,
                    );
                }
                _ => {}
            }
        }
        Ok((paging != Self::default()).then_some(paging))
    }

    /// Replaces the page of a message, if its type has one.
    pub fn apply(&self, message: &mut DynamicMessage) {
        let Some(field) = message.descriptor().get_field_by_name("pagination") else {
            return;
        };
        let Kind::Message(kind) = field.kind() else {
            return;
        };
        if field.is_list() || kind.full_name() != PAGINATION {
            return;
        }
        if let Value::Message(pagination) = message.get_field_mut(&field) {
            if let Some(token) = &self.token {
                pagination.set_field_by_name("token", Value::String(token.clone()));
            }
            if let Some(size) = self.page_size {
                pagination.set_field_by_name("page_size", Value::I32(size));
            }
        }
    }
}

fn decode(name: &'static str, value: &str) -> Result<String> {
    let with_spaces = value.replace('+', " ");
    match percent_decode_str(&with_spaces).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Error::invalid(name, "must be UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::FILE_DESCRIPTOR_SET;
    use prost_reflect::DescriptorPool;

    fn message(name: &str) -> DynamicMessage {
        let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
        DynamicMessage::new(pool.get_message_by_name(name).unwrap())
    }

    #[test]
    fn a_query_parses() {
        let read = |query| Paging::from_query(query).unwrap();
        assert_eq!(read(None), None);
        assert_eq!(read(Some("")), None);
        assert_eq!(read(Some("a=b&tokens=x")), None);
        assert_eq!(
            read(Some("token=a%2Bb%3D+c&pageSize=25")),
            Some(Paging { token: Some("a+b= c".to_owned()), page_size: Some(25) })
        );
        for bad in ["pageSize=", "pageSize=x", "pageSize=99999999999", "token=%FF"] {
            assert!(Paging::from_query(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_query_wins_over_the_body() {
        let mut request = message("gitpod.v1.ListMembersRequest");
        let mut pagination = message("gitpod.v1.PaginationRequest");
        pagination.set_field_by_name("token", Value::String("body".to_owned()));
        pagination.set_field_by_name("page_size", Value::I32(7));
        request.set_field_by_name("pagination", Value::Message(pagination));

        let paging = Paging { token: Some("query".to_owned()), page_size: None };
        paging.apply(&mut request);

        let pagination = request.get_field_by_name("pagination").unwrap();
        let pagination = pagination.as_message().unwrap();
        let token = pagination.get_field_by_name("token").unwrap();
        assert_eq!(token.as_str(), Some("query"));
        assert_eq!(pagination.get_field_by_name("page_size").unwrap().as_i32(), Some(7));
    }

    #[test]
    fn a_message_without_a_page_stays_unchanged() {
        let mut request = message("gitpod.v1.GetOrganizationRequest");
        Paging { token: Some("t".to_owned()), page_size: Some(1) }.apply(&mut request);
        assert_eq!(request.fields().count(), 0);
    }
}
