//! Where finished files are kept: a folder, or a bucket of an object store that several machines share.
//!
//! ```text
//! draft ── written by the renderer ──► keep ──► files/ab….mp4   or   s3://bucket/prefix/ab/ab….mp4
//!                                                    │
//!                              find ── read a range ─┘
//! ```
//!
//! A file is named by what it is made of, so it never changes, and may be written twice. With a bucket, files are written beside it in
//! the folder, sent, and removed here.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web;
use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::stream::{self, LocalBoxStream};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path as Name;
use object_store::{
    Attribute, Attributes, ClientConfigKey, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions,
};
use tokio::runtime::{Builder, Handle};
use vignette_renderer::store::Bucket;

use crate::log;
use crate::output::Format;
use crate::problem::Problem;
use crate::secrets::random_name;
use crate::workshop::MakeError;

/// Bytes that are read from a disk at a time.
const CHUNK: u64 = 256 << 10;

/// Bytes that are read from a bucket at a time, so that a slow receiver holds no request open.
const FAR_CHUNK: u64 = 4 << 20;

/// Bytes of a part of a file that is sent to a bucket: the fewest that S3 takes, up to 10,000 times. What is shorter goes whole.
const PART: usize = 5 << 20;

/// Parts that are sent at a time.
const PARTS_AT_ONCE: usize = 4;

/// How long a bucket that does not answer holds up whoever asks for a file.
const READING: Duration = Duration::from_secs(5);

/// The same for whoever made one, which would be lost. Shorter than what is doomed waits to be removed once more.
const WRITING: Duration = Duration::from_secs(25);

/// Parts of a file, as they are read.
pub type Parts = LocalBoxStream<'static, io::Result<Bytes>>;

/// Why a finished file cannot be kept, found, read or removed; in words for the operator, without its name.
#[derive(Debug, thiserror::Error)]
pub enum ArtefactError {
    /// The disk is at fault.
    #[error("a finished file cannot be {0}: {1}")]
    Disk(&'static str, io::ErrorKind),
    /// The bucket is, or the way to it.
    #[error("a finished file cannot be {0}: the bucket {1}")]
    Bucket(&'static str, &'static str),
}

impl From<ArtefactError> for Problem {
    fn from(error: ArtefactError) -> Problem {
        match error {
            ArtefactError::Disk(..) => Problem::internal(&error.to_string()),
            ArtefactError::Bucket(..) => {
                log::error("files", &error.to_string());
                let detail = "finished files cannot be reached now; try again soon";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "files-away", detail).retry_after(5)
            }
        }
    }
}

impl From<ArtefactError> for MakeError {
    fn from(error: ArtefactError) -> MakeError {
        let told = error.to_string();
        log::error("files", &told);
        MakeError::Machine(told)
    }
}

/// Keeps finished files.
pub struct Artefacts {
    folder: PathBuf,
    bucket: Option<Far>,
}

/// A bucket, with little patience and with more.
struct Far {
    reading: Bucket,
    writing: Bucket,
}

/// A file that is there.
pub struct Found {
    /// Bytes.
    pub length: u64,
    place: Place,
}

enum Place {
    Here(File),
    There(Arc<dyn ObjectStore>, Name),
}

/// Where a file is written before it is kept; removed when dropped, unless that is where it is kept.
pub struct Draft {
    /// Nothing is there yet.
    pub path: PathBuf,
    passing: bool,
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.passing {
            // It may never have been written.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Artefacts {
    /// Keeps files in `place`, a folder or `s3://bucket/prefix`, or else in `folder`, where those for a bucket are written first. What S3
    /// needs besides is read from the variables `AWS_…`. No request is made.
    ///
    /// # Errors
    /// A URL or variables that are not right, a folder that cannot be made; in words for the operator.
    pub fn open(folder: &Path, place: Option<&str>) -> Result<Artefacts, String> {
        let url = place.filter(|place| place.contains("://"));
        let folder = place.filter(|_| url.is_none()).map_or(folder, Path::new).to_owned();
        fs::create_dir_all(&folder)
            .map_err(|error| format!("files: {}: cannot be made: {error}", folder.display()))?;
        let open = |url: &str, tries, patience: Duration| {
            let timeout = AmazonS3ConfigKey::Client(ClientConfigKey::Timeout);
            let settings =
                AmazonS3Builder::from_env().with_config(timeout, format!("{} seconds", patience.as_secs()));
            Bucket::open(url, settings, tries, patience).map_err(|error| format!("files: {error}"))
        };
        let far =
            |url| Ok::<_, String>(Far { reading: open(url, 4, READING)?, writing: open(url, 60, WRITING)? });
        Ok(Artefacts { folder, bucket: url.map(far).transpose()? })
    }

    /// The folder in which files are written.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the file of that name is to be written.
    ///
    /// # Errors
    /// A system without random numbers.
    pub fn draft(&self, name: &str) -> Result<Draft, MakeError> {
        match self.bucket {
            None => Ok(Draft { path: self.folder.join(name), passing: false }),
            Some(_) => {
                let ending = name.rsplit('.').next().unwrap_or_default();
                let own = random_name().map_err(MakeError::Machine)?;
                Ok(Draft { path: self.folder.join(format!(".draft-{own}.{ending}")), passing: true })
            }
        }
    }

    /// Keeps what was written, and gives its length.
    ///
    /// # Errors
    /// A file that was not written; a bucket that does not take it for a while.
    pub async fn keep(&self, name: &str, draft: Draft) -> Result<u64, ArtefactError> {
        let disk = |error: io::Error| ArtefactError::Disk("kept", error.kind());
        let (length, file) = opened(draft.path.clone()).await.map_err(disk)?;
        let Some(far) = &self.bucket else { return Ok(length) };
        let (objects, target) = (&far.writing.objects, far.writing.object(name));
        let kind = Format::of_name(name).media_type();
        let attributes = Attributes::from_iter([(Attribute::ContentType, kind)]);
        let failed = |error| ArtefactError::Bucket("kept", why(&error));
        let (mut next, mut file) = part_of(file).await.map_err(disk)?;
        if next.len() < PART {
            let options = PutOptions { attributes, ..PutOptions::default() };
            objects.put_opts(&target, next.into(), options).await.map_err(failed)?;
            return Ok(length);
        }
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let mut upload = objects.put_multipart_opts(&target, options).await.map_err(failed)?;
        let sent = async {
            while !next.is_empty() {
                let mut parts = Vec::with_capacity(PARTS_AT_ONCE);
                while !next.is_empty() && parts.len() < PARTS_AT_ONCE {
                    parts.push(upload.put_part(next.into()));
                    (next, file) = part_of(file).await.map_err(disk)?;
                }
                try_join_all(parts).await.map_err(failed)?;
            }
            upload.complete().await.map(drop).map_err(failed)
        };
        let sent = sent.await;
        if sent.is_err() {
            // What this leaves behind, a rule of the bucket removes.
            let _ = upload.abort().await;
        }
        sent.map(|()| length)
    }

    /// The file of that name; `None` when there is none.
    ///
    /// # Errors
    /// A disk or a bucket that does not answer.
    pub async fn find(&self, name: &str) -> Result<Option<Found>, ArtefactError> {
        let Some(far) = &self.bucket else {
            return match opened(self.folder.join(name)).await {
                Ok((length, file)) => Ok(Some(Found { length, place: Place::Here(file) })),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(ArtefactError::Disk("found", error.kind())),
            };
        };
        let (objects, target) = (far.reading.objects.clone(), far.reading.object(name));
        match objects.head(&target).await {
            Ok(known) => Ok(Some(Found { length: known.size, place: Place::There(objects, target) })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(ArtefactError::Bucket("found", why(&error))),
        }
    }

    /// Removes the file of that name. Whether it was there. Blocks, on a thread for that.
    ///
    /// # Errors
    /// A disk or a bucket that does not answer.
    pub fn remove(&self, name: &str) -> Result<bool, ArtefactError> {
        let Some(far) = &self.bucket else {
            return match fs::remove_file(self.folder.join(name)) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(ArtefactError::Disk("removed", error.kind())),
            };
        };
        let failed = |error| ArtefactError::Bucket("removed", why(&error));
        Handle::current().block_on(async {
            let (objects, target) = (&far.reading.objects, far.reading.object(name));
            // Object stores do not tell whether there was something to delete.
            match objects.head(&target).await {
                Ok(_) => objects.delete(&target).await.map(|()| true).map_err(failed),
                Err(object_store::Error::NotFound { .. }) => Ok(false),
                Err(error) => Err(failed(error)),
            }
        })
    }

    /// Whether files can be found; a folder is taken to be there.
    pub async fn is_well(&self) -> bool {
        self.bucket.is_none() || self.find(PROBE).await.is_ok()
    }

    /// Writes a small file to the bucket and removes it; blocks.
    ///
    /// # Errors
    /// Why that cannot be done, in words for the operator.
    pub fn check(&self) -> Result<(), String> {
        let Some(far) = &self.bucket else { return Ok(()) };
        let (objects, target) = (&far.reading.objects, far.reading.object(PROBE));
        let failed = |error| format!("files: {}: the bucket {}", far.reading.place, why(&error));
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| format!("files: {}", error.kind()))?.block_on(async {
            objects.put(&target, Bytes::from_static(b"vignette").into()).await.map_err(failed)?;
            objects.delete(&target).await.map_err(failed)
        })
    }
}

/// The name of a file that there is not.
const PROBE: &str = "0000-probe";

impl Found {
    /// The bytes from `start` to before `end`.
    pub fn read(self, start: u64, end: u64) -> Parts {
        match self.place {
            Place::Here(file) => {
                Box::pin(stream::try_unfold((file, start), move |(mut file, at)| async move {
                    if at >= end {
                        return Ok(None);
                    }
                    let read = here(move || {
                        let mut bytes = Vec::new();
                        file.seek(SeekFrom::Start(at))?;
                        (&file).take(CHUNK.min(end - at)).read_to_end(&mut bytes)?;
                        if bytes.is_empty() {
                            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
                        }
                        Ok((Bytes::from(bytes), file))
                    });
                    let (bytes, file) = read.await?;
                    let next = at + bytes.len() as u64;
                    Ok(Some((bytes, (file, next))))
                }))
            }
            Place::There(objects, name) => Box::pin(stream::try_unfold(start, move |at| {
                let (objects, name) = (objects.clone(), name.clone());
                async move {
                    if at >= end {
                        return Ok(None);
                    }
                    let next = end.min(at + FAR_CHUNK);
                    let bytes = objects.get_range(&name, at..next).await;
                    // What says more holds the file's name.
                    let bytes = bytes.map_err(|error| io::Error::other(why(&error)))?;
                    Ok(Some((bytes, next)))
                }
            })),
        }
    }
}

/// Does something with a disk on a thread for that.
async fn here<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    web::block(work).await.map_err(io::Error::other)?
}

/// A file with its length.
async fn opened(path: PathBuf) -> io::Result<(u64, File)> {
    here(move || File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)))).await
}

/// The next part of a file that is sent; empty behind its end.
async fn part_of(file: File) -> io::Result<(Vec<u8>, File)> {
    here(move || {
        let mut bytes = Vec::new();
        (&file).take(PART as u64).read_to_end(&mut bytes)?;
        Ok((bytes, file))
    })
    .await
}

/// What a bucket did, without names or addresses.
fn why(error: &object_store::Error) -> &'static str {
    use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
    match error {
        NotFound { .. } => "does not exist; create it or name another",
        PermissionDenied { .. } | Unauthenticated { .. } => {
            "does not allow it; look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and its policy"
        }
        _ => "does not answer as it should",
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;
    use object_store::memory::InMemory;

    use super::*;

    fn in_memory(folder: &Path) -> Artefacts {
        let bucket = Bucket {
            objects: Arc::new(InMemory::new()),
            prefix: Name::from("films"),
            place: "memory".into(),
        };
        let far = Far { reading: bucket.clone(), writing: bucket };
        Artefacts { folder: folder.to_owned(), bucket: Some(far) }
    }

    async fn read(artefacts: &Artefacts, name: &str, start: u64, end: u64) -> Vec<u8> {
        let found = artefacts.find(name).await.unwrap().unwrap();
        let parts: Vec<Bytes> = found.read(start, end).try_collect().await.unwrap();
        parts.concat()
    }

    fn run(test: impl Future<Output = ()>) {
        actix_web::rt::System::new().block_on(test);
    }

    #[test]
    fn files_of_any_length_come_back_from_a_folder_and_a_bucket() {
        run(lengths());
    }

    async fn lengths() {
        let folder = tempfile::tempdir().unwrap();
        let own = tempfile::tempdir().unwrap();
        let places = [Artefacts::open(folder.path(), None).unwrap(), in_memory(own.path())];
        // A part and a half, exactly two parts, and more parts than are sent at a time.
        for (number, length) in
            [0, 1, PART * 3 / 2, PART * 2, PART * (PARTS_AT_ONCE + 1) + 7].into_iter().enumerate()
        {
            let bytes: Vec<u8> = (0..length).map(|at| (at / 1000 + at) as u8).collect();
            for artefacts in &places {
                let name = format!("{number}abc.mp4");
                assert!(artefacts.find(&name).await.unwrap().is_none());
                let draft = artefacts.draft(&name).unwrap();
                fs::write(&draft.path, &bytes).unwrap();
                assert_eq!(artefacts.keep(&name, draft).await.unwrap(), length as u64);
                assert_eq!(artefacts.find(&name).await.unwrap().unwrap().length, length as u64);
                for (start, end) in
                    [(0, length), (length / 3, length / 2), (length.saturating_sub(1), length)]
                {
                    let part = read(artefacts, &name, start as u64, end as u64).await;
                    assert!(part == bytes[start..end], "{start} to {end} of {length}");
                }
            }
        }
        assert_eq!(fs::read_dir(own.path()).unwrap().count(), 0, "drafts do not stay");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
    }

    #[test]
    fn what_is_removed_is_gone() {
        run(removal());
    }

    async fn removal() {
        let folder = tempfile::tempdir().unwrap();
        let artefacts = Arc::new(in_memory(folder.path()));
        let draft = artefacts.draft("12.png").unwrap();
        fs::write(&draft.path, "film").unwrap();
        artefacts.keep("12.png", draft).await.unwrap();
        let removed = {
            let artefacts = artefacts.clone();
            web::block(move || [artefacts.remove("12.png").unwrap(), artefacts.remove("12.png").unwrap()])
        };
        assert_eq!(removed.await.unwrap(), [true, false]);
        assert!(artefacts.find("12.png").await.unwrap().is_none());
        // One that was never written is no file.
        let draft = artefacts.draft("13.png").unwrap();
        assert!(matches!(artefacts.keep("13.png", draft).await, Err(ArtefactError::Disk("kept", _))));
    }
}
