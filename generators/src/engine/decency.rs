//! Whether a picture that a service made is safe to show.

use std::sync::Arc;
use std::time::{Duration, Instant};

use vignette_templates::blob::{Blob, Digest};
use vignette_templates::generate::{Generated, GeneratedValue, Provenance};

use super::Engine;
use crate::error::GenerateError;
use crate::guard::WordLists;
use crate::photo::Photos;
use crate::provider::{Context, ImageProvider};

/// Between the scores that the model's authors take for safe (below 0.2) and for unsafe (above 0.8), above what is known to raise a
/// false alarm: bare cloth of the colour of skin has 0.56. A miss is worse than a fallback, so that it is not 0.8.
pub(crate) const REFUSE: f32 = 0.6;

/// How long judging may take beyond the request's deadline: what was paid for is not thrown away for that.
const JUDGING: Duration = Duration::from_secs(5);

/// How a provider's pictures are judged.
enum Judge {
    /// Not at all: by the settings, or since what it draws need not be.
    Nobody,
    /// They would be, if the model was installed.
    Absent,
    /// By this model, with its version and the bound.
    By(String),
}

impl Engine {
    /// Shows no picture from a service whose score of unsafe content, 0 to 1, is `score` or more; 1 has none judged. Default: 0.6.
    ///
    /// It is judged by the model `open-nsfw` in the folder of models of [`Engine::with_photo`]; where that is not installed, pictures are
    /// shown and it is told ([`Provenance::skipped`]).
    pub fn with_refuse(mut self, score: f32) -> Self {
        self.refuse = score;
        self
    }

    /// Names what keeps things from being shown.
    pub(super) fn guarded_by(lists: &WordLists, refuse: f32) -> Digest {
        Digest::of(format!("{}\nrefuse {refuse}\n", lists.digest()).as_bytes())
    }

    fn judge(&self, provider: &dyn ImageProvider) -> Judge {
        if !provider.is_judged() || self.refuse >= 1.0 {
            return Judge::Nobody;
        }
        match self.photos().judge() {
            Some(model) => Judge::By(format!("{model} below {}", self.refuse)),
            None => Judge::Absent,
        }
    }

    pub(super) fn photos(&self) -> Photos {
        self.photo.as_deref().cloned().unwrap_or_default()
    }

    /// Nothing where the provider's pictures can be judged, or need not be: nothing is paid for what could not be shown.
    ///
    /// # Errors
    /// A model that is installed and cannot be used.
    pub(super) fn can_judge(&self, provider: &dyn ImageProvider) -> Result<(), GenerateError> {
        match self.judge(provider) {
            Judge::Nobody | Judge::Absent => Ok(()),
            Judge::By(_) => self.photos().can_judge().map_err(|reason| GenerateError::Provider {
                provider: provider.name().to_owned(),
                reason: format!("not asked: its pictures cannot be judged, {reason}"),
            }),
        }
    }

    /// Notes in `made` how the picture was judged, or that it was not.
    ///
    /// # Errors
    /// [`GenerateError::Rejected`] for one that is unsafe to show; that it could not be judged.
    pub(super) fn judged(
        &self,
        provider: &dyn ImageProvider,
        picture: &Blob,
        context: &Context,
        made: &mut Provenance,
    ) -> Result<(), GenerateError> {
        made.judged.clear();
        // Nothing else is told of pictures that services make.
        made.skipped.clear();
        match self.judge(provider) {
            Judge::Nobody => {}
            Judge::Absent => made.skipped.push(
                "it is shown without being judged for unsafe content, as the model is not installed; install it with \
                 `vignette models install open-nsfw`"
                    .to_owned(),
            ),
            Judge::By(by) => {
                let name = provider.name().to_owned();
                let (photos, picture, limit) = (self.photos(), picture.clone(), self.refuse);
                let deadline = context.deadline.max(Instant::now() + JUDGING);
                let context = Context { deadline, ..context.clone() };
                let failed = name.clone();
                let is_unsafe = self.call(&name, &context, move |_| {
                    photos.is_unsafe(&picture, limit).map_err(|reason| GenerateError::Provider {
                        provider: failed,
                        reason: format!("its picture cannot be judged, {reason}"),
                    })
                })?;
                if is_unsafe {
                    // The score itself would say something about the viewer whose photo it may be.
                    let reason = format!("it looks unsafe to show (its score reaches `guard.refuse`, {limit})");
                    return Err(GenerateError::Rejected { provider: name, reason });
                }
                made.judged = by;
            }
        }
        Ok(())
    }

    /// A picture that was made before, judged as it would be today; `None` when it may not be shown.
    pub(super) fn judged_again(
        &self,
        mut kept: Generated,
        providers: &[Arc<dyn ImageProvider>],
    ) -> Option<Generated> {
        let GeneratedValue::Image(picture) = &kept.value else { return None };
        let provider = providers.iter().find(|provider| provider.name() == kept.provenance.provider)?;
        if self.is_judged(&kept, providers) {
            return Some(kept);
        }
        let context = Context {
            name: String::new(),
            locale: String::new(),
            seed: 0,
            deadline: Instant::now() + JUDGING,
        };
        let picture = picture.clone();
        self.judged(provider.as_ref(), &picture, &context, &mut kept.provenance).ok()?;
        Some(kept)
    }

    /// Whether it was judged as it would be today.
    pub(super) fn is_judged(&self, kept: &Generated, providers: &[Arc<dyn ImageProvider>]) -> bool {
        let made = &kept.provenance;
        let provider = providers.iter().find(|provider| provider.name() == made.provider);
        match provider.map(|provider| self.judge(provider.as_ref())) {
            Some(Judge::By(by)) => made.judged == by,
            Some(Judge::Absent) => made.judged.is_empty() && !made.skipped.is_empty(),
            Some(Judge::Nobody) => made.judged.is_empty() && made.skipped.is_empty(),
            None => true,
        }
    }
}
