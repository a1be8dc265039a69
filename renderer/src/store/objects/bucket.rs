//! A bucket and the place in it, as a URL names them.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};

use crate::store::StoreError;

/// A bucket of S3, or of a server that speaks like it, with what is asked for in it.
#[derive(Clone)]
pub struct Bucket {
    /// Speaks to the server.
    pub objects: Arc<dyn ObjectStore>,
    /// What the names of all objects begin with; may be empty.
    pub prefix: Path,
    /// What to call it in messages: its URL, without credentials.
    pub place: String,
}

impl Bucket {
    /// The bucket of `s3://bucket/prefix`; the prefix may be left out. `settings` tell the rest: endpoint, region and credentials,
    /// usually by [`AmazonS3Builder::from_env`]. What fails in passing is tried again up to `tries` times, but only
    /// begun for as long as `patience`.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when the URL or the settings are not right; no request is made.
    pub fn open(
        url: &str,
        settings: AmazonS3Builder,
        tries: usize,
        patience: Duration,
    ) -> Result<Bucket, StoreError> {
        let (bucket, prefix) = parts(url)?;
        let place =
            if prefix.is_empty() { format!("s3://{bucket}") } else { format!("s3://{bucket}/{prefix}") };
        let backoff = BackoffConfig {
            init_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_millis(500),
            base: 2.0,
        };
        let retry = RetryConfig { backoff, max_retries: tries, retry_timeout: patience };
        let built = settings
            .with_bucket_name(bucket)
            .with_retry(retry)
            // Some servers do not know the request that deletes many, which the client would use for one.
            .with_config(AmazonS3ConfigKey::DisableBulkDelete, "true")
            .build();
        match built {
            Ok(objects) => {
                let prefix = path(&place, prefix)?;
                Ok(Bucket { objects: Arc::new(objects), prefix, place })
            }
            Err(error) => Err(StoreError::Unusable { place, reason: error.to_string() }),
        }
    }

    /// The object of a file of that name; the first two signs are a folder, as in a store.
    pub fn object(&self, file: &str) -> Path {
        self.prefix.clone().join(file.get(..2).unwrap_or(file)).join(file)
    }
}

/// What the names of objects in `place` begin with.
pub(super) fn path(place: &str, prefix: &str) -> Result<Path, StoreError> {
    let unusable = |error| StoreError::Unusable {
        place: place.to_owned(),
        reason: format!("the prefix `{prefix}`: {error}"),
    };
    Path::parse(prefix).map_err(unusable)
}

/// The two parts of `s3://bucket/prefix`.
fn parts(url: &str) -> Result<(&str, &str), StoreError> {
    // A URL that has a place for secrets is not repeated.
    let place = if url.contains(['@', '?', '#']) { "s3://…".to_owned() } else { url.to_owned() };
    let refuse = |reason: &str| StoreError::Unusable { place, reason: reason.to_owned() };
    let Some(rest) = url.strip_prefix("s3://") else {
        return Err(refuse("expected s3://bucket/prefix"));
    };
    if rest.contains('@') {
        return Err(refuse(
            "credentials belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, not into the URL",
        ));
    }
    if rest.contains(['?', '#']) {
        return Err(refuse(
            "expected s3://bucket/prefix without a query; settings are read from AWS_… variables",
        ));
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(refuse("it names no bucket; expected s3://bucket/prefix"));
    }
    Ok((bucket, prefix.trim_matches('/')))
}
