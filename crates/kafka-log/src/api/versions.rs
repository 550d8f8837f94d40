//! `ApiVersions`.

use kafka_protocol::messages::ApiKey;
use kafka_protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};

use crate::shape::APIS;

/// The requests served and their versions.
pub(super) fn versions(error_code: i16) -> ApiVersionsResponse {
    let keys = APIS.iter().map(|api| {
        // Like Apache Kafka since 4.0: librdkafka looks for old versions of Produce to know what records may look
        // like, and never sends them.
        let min = if api.key == ApiKey::Produce { 0 } else { api.min };
        ApiVersion::default().with_api_key(api.key as i16).with_min_version(min).with_max_version(api.max)
    });
    ApiVersionsResponse::default().with_error_code(error_code).with_api_keys(keys.collect())
}
