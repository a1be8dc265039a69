//! Which texts fit badly.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::renderer::text::{FontLibrary, layout};
use crate::templates::blob::Digest;
use crate::templates::video::{Layer, LayerKind, Placement, TextBlock, TextFit, Video};

/// How many laid-out texts are remembered; beyond it all are forgotten, which costs time only.
const REMEMBERED: usize = 200_000;

/// How one text fits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fitted {
    /// The layer, e.g. `scenes[0].layers[2]`.
    pub path: String,
    /// Characters that no font has.
    pub missing: Vec<char>,
    /// It was cut, or stands out of its box.
    pub cut: bool,
    /// The size that it got as a share of the size that it wanted, 0 to 1.
    pub share: f32,
    /// How many characters it has.
    pub characters: usize,
}

impl Fitted {
    /// Orders by how badly it fits; the larger, the worse.
    pub(super) fn badness(&self) -> (bool, bool, u32, usize) {
        let lost = ((1.0 - f64::from(self.share)).clamp(0.0, 1.0) * 1e6) as u32;
        (!self.missing.is_empty(), self.cut, lost, self.characters)
    }
}

/// Texts that were laid out, for all workers.
#[derive(Default)]
pub(super) struct Texts {
    known: Mutex<HashMap<Digest, Fitted>>,
}

/// What one worker saw last in each layer: most texts are those of the row before.
#[derive(Default)]
pub(super) struct Seen(HashMap<String, (TextBlock, Placement, String, Fitted)>);

/// The most layers whose last text is remembered.
const MAX_SEEN: usize = 1000;

impl Texts {
    /// The text of the video that fits worst, of those that the viewer's data had a part in.
    pub(super) fn worst_of(&self, video: &Video, fonts: &FontLibrary, seen: &mut Seen) -> Option<Fitted> {
        let mut worst: Option<Fitted> = None;
        let mut open: Vec<&Layer> = video.scenes.iter().flat_map(|scene| &scene.layers).collect();
        while let Some(layer) = open.pop() {
            match &layer.kind {
                LayerKind::Group { layers } => open.extend(layers),
                LayerKind::Text(block) if layer.personal => {
                    if let Some(fitted) = self.fit(layer, block, video, fonts, seen)
                        && worst.as_ref().is_none_or(|worst| {
                            // Of equals the first in the template, whatever the order in which they are looked at.
                            (fitted.badness(), &worst.path) > (worst.badness(), &fitted.path)
                        })
                    {
                        worst = Some(fitted);
                    }
                }
                _ => {}
            }
        }
        worst
    }

    fn fit(
        &self,
        layer: &Layer,
        block: &TextBlock,
        video: &Video,
        fonts: &FontLibrary,
        seen: &mut Seen,
    ) -> Option<Fitted> {
        let placement = layer.placement;
        if let Some((last, place, locale, fitted)) = seen.0.get(&layer.path)
            && (last, place, locale) == (block, &placement, &video.locale)
        {
            return Some(fitted.clone());
        }
        let (width, height) = (placement.width, placement.height);
        let form = serde_json::to_vec(&(block, width, height, &video.locale, fonts.identity())).ok()?;
        let name = Digest::of(&form);
        let known = self.lock().get(&name).cloned();
        let fitted = match known {
            // The same text may stand in two layers.
            Some(known) => Fitted { path: layer.path.clone(), ..known },
            None => {
                // What cannot be laid out at all fails when it is rendered; here it is as bad as can be.
                let laid = layout(fonts, block, width, height, &video.locale);
                let fitted = Fitted {
                    path: layer.path.clone(),
                    missing: laid.as_ref().map_or_else(|_| Vec::new(), |laid| laid.missing.clone()),
                    cut: laid
                        .as_ref()
                        .map_or(true, |laid| laid.shortened || (laid.overflow && block.fit != TextFit::None)),
                    share: laid.as_ref().map_or(0.0, |laid| laid.size_used / block.size),
                    characters: block.text.chars().count(),
                };
                let mut known = self.lock();
                if known.len() >= REMEMBERED {
                    known.clear();
                }
                known.insert(name, fitted.clone());
                fitted
            }
        };
        if seen.0.len() >= MAX_SEEN {
            seen.0.clear();
        }
        seen.0.insert(layer.path.clone(), (block.clone(), placement, video.locale.clone(), fitted.clone()));
        Some(fitted)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Fitted>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
