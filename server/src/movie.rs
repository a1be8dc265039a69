//! A whole video as one file: sent in fragments while it is made, and kept with its index first once it is complete.

use std::collections::VecDeque;
use std::sync::Arc;

use actix_web::web;
use bytes::Bytes;
use tokio::sync::mpsc;
use vignette_renderer::audio::{AacTrack, SoundTrack};
use vignette_renderer::package::fragmented::Fragmented;
use vignette_renderer::render::Rendered;
use vignette_renderer::segment::EncodedSegment;

use crate::app::App;
use crate::output;
use crate::permits::Class;
use crate::problem::Problem;
use crate::sitting::{Piece, Ticket};
use crate::viewing::Viewing;
use crate::workshop::MakeError;

/// The name of the finished file of a viewing's largest size.
pub fn name(viewing: &Viewing) -> Option<String> {
    viewing.file_name(viewing.largest(), "mp4")
}

/// The pieces of a viewing's largest size in order of showing, a few wanted at a time.
pub struct Pieces {
    app: Arc<App>,
    viewing: Arc<Viewing>,
    /// `None` for pieces that go by the player's clock.
    class: Option<Class>,
    size: usize,
    next: usize,
    wanted: VecDeque<Ticket>,
}

impl Pieces {
    /// The pieces of a video that nobody watches while it is made.
    pub fn new(app: &Arc<App>, viewing: &Arc<Viewing>, class: Class) -> Pieces {
        let size = viewing.largest();
        Pieces {
            app: app.clone(),
            viewing: viewing.clone(),
            class: Some(class),
            size,
            next: 0,
            wanted: VecDeque::new(),
        }
    }

    /// The pieces of a video that is watched from now on.
    pub fn watched(app: &Arc<App>, viewing: &Arc<Viewing>) -> Pieces {
        Pieces { class: None, ..Pieces::new(app, viewing, Class::Job) }
    }

    /// The sound.
    ///
    /// # Errors
    /// What kept it from being made.
    pub async fn sound(&self) -> Result<Arc<AacTrack>, MakeError> {
        self.want(Piece::Sound)?.sound().await
    }

    /// The next segment; `None` after the last.
    ///
    /// # Errors
    /// What kept it from being made.
    pub async fn next(&mut self) -> Result<Option<Arc<EncodedSegment>>, MakeError> {
        let count = self.viewing.sizes.get(self.size).map_or(0, |size| size.plan.segments.len());
        let most = self.app.config.cores() + 1;
        while self.wanted.len() < most && self.next < count {
            let ticket = self.want(Piece::Picture(self.size, self.next))?;
            self.wanted.push_back(ticket);
            self.next += 1;
        }
        match self.wanted.pop_front() {
            Some(ticket) => {
                let segment = ticket.picture().await?;
                if self.class.is_none() {
                    self.viewing.delivered(self.size, self.next - self.wanted.len() - 1);
                }
                Ok(Some(segment))
            }
            None => Ok(None),
        }
    }

    fn want(&self, piece: Piece) -> Result<Ticket, MakeError> {
        let class = self.class.unwrap_or_else(|| match piece {
            Piece::Picture(size, number) => Class::Wanted(self.viewing.due(size, number)),
            Piece::Sound | Piece::Still(_) => Class::now(),
        });
        // Being full passes; who asked comes again.
        self.app.studio.want(&self.viewing, piece, class).map_err(|_| MakeError::Cancelled)
    }
}

/// Puts together what was made.
fn rendered(viewing: &Viewing, segments: Vec<Arc<EncodedSegment>>, audio: Arc<AacTrack>) -> Option<Rendered> {
    let plan = viewing.sizes.get(viewing.largest())?.plan.clone();
    let (distinct, locale, frames) = (segments.len(), viewing.video.locale.clone(), viewing.video.frames());
    let sound = Arc::new(SoundTrack::Aac(Arc::unwrap_or_clone(audio)));
    Some(Rendered { plan, segments, distinct, new: 0, sound, locale, frames })
}

/// Writes the finished file with its index first, unless it is there. Gives its length.
///
/// # Errors
/// What the file system says.
pub async fn keep(
    app: &Arc<App>,
    viewing: &Arc<Viewing>,
    segments: Vec<Arc<EncodedSegment>>,
    audio: Arc<AacTrack>,
) -> Result<(String, u64), MakeError> {
    let missing = || MakeError::Machine("a video without segments".into());
    let name = name(viewing).ok_or_else(missing)?;
    if let Ok(Some(found)) = app.artefacts.find(&name).await {
        return Ok((name, found.length));
    }
    let whole = rendered(viewing, segments, audio).ok_or_else(missing)?;
    let draft = app.artefacts.draft(&name)?;
    let written = web::block(move || whole.write_mp4(&draft.path).map(|_| draft));
    let draft = written.await.map_err(|_| MakeError::Cancelled)??;
    let length = output::keep(app, &name, draft).await?;
    Ok((name, length))
}

/// Sends the video in fragments as they are made; when it was sent to its end, the finished file is kept for the next who asks. When
/// the receiver goes away, what is being made for it is given up.
pub async fn stream(app: Arc<App>, viewing: Arc<Viewing>, send: mpsc::Sender<Result<Bytes, Problem>>) {
    if let Err(error) = send_all(&app, &viewing, &send).await {
        // The answer has begun, so all that is left is to break it off.
        let _ = send.send(Err(Problem::from(error))).await;
    }
    app.studio.left(&viewing.id);
}

async fn send_all(
    app: &Arc<App>,
    viewing: &Arc<Viewing>,
    send: &mpsc::Sender<Result<Bytes, Problem>>,
) -> Result<(), MakeError> {
    let mut pieces = Pieces::watched(app, viewing);
    let first = tokio::select! {
        // The first segment is under way while the sound is made.
        both = async { tokio::try_join!(pieces.want(Piece::Sound)?.sound(), pieces.next()) } => both?,
        () = send.closed() => return Ok(()),
    };
    let (audio, mut next) = first;
    let config = next.as_ref().map(|segment| segment.config.clone()).unwrap_or_default();
    let profile = viewing.sizes.get(viewing.largest()).map(|size| size.plan.profile);
    let profile = profile.ok_or_else(|| MakeError::Machine("a video without a size".into()))?;
    let (mut file, header) = Fragmented::begin(
        profile,
        &config,
        Some(audio.clone()),
        &viewing.video.locale,
        viewing.video.frames(),
    );
    if send.send(Ok(header.into())).await.is_err() {
        return Ok(());
    }
    let packaging =
        |error: vignette_renderer::package::cmaf::CmafError| MakeError::Machine(error.to_string());
    let mut segments = Vec::new();
    while let Some(segment) = next {
        let bytes = file.segment(&segment).map_err(packaging)?;
        segments.push(segment);
        if send.send(Ok(bytes.into())).await.is_err() {
            return Ok(());
        }
        next = tokio::select! {
            next = pieces.next() => next?,
            () = send.closed() => return Ok(()),
        };
    }
    let _ = send.send(Ok(file.end().map_err(packaging)?.into())).await;
    keep(app, viewing, segments, audio).await?;
    Ok(())
}
