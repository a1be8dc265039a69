//! A GStreamer source over bytes in memory, which a demuxer may read in any order.

use std::sync::{Arc, OnceLock};

use gst::glib;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_src::CreateSuccess;
use gst_base::subclass::prelude::*;

glib::wrapper! {
    /// Serves the bytes it was made with; nothing is copied.
    pub(crate) struct BytesSource(ObjectSubclass<imp::BytesSource>)
        @extends gst_base::BaseSrc, gst::Element, gst::Object;
}

/// A source over `bytes`.
pub(crate) fn bytes_source(bytes: gst::Buffer) -> BytesSource {
    let source: BytesSource = glib::Object::new();
    // The cell is empty: the object was made one line above.
    let _ = source.imp().bytes.set(bytes);
    source.set_format(gst::Format::Bytes);
    source
}

/// A buffer that shares `bytes`, without the first `skip` of them.
pub(crate) fn shared_buffer(bytes: &Arc<[u8]>, skip: usize) -> gst::Buffer {
    struct Tail(Arc<[u8]>, usize);
    impl AsRef<[u8]> for Tail {
        fn as_ref(&self) -> &[u8] {
            &self.0[self.1..]
        }
    }
    gst::Buffer::from_slice(Tail(bytes.clone(), skip.min(bytes.len())))
}

mod imp {
    use super::*;

    #[derive(Default)]
    pub(crate) struct BytesSource {
        pub(super) bytes: OnceLock<gst::Buffer>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for BytesSource {
        const NAME: &'static str = "VignetteBytesSource";
        type Type = super::BytesSource;
        type ParentType = gst_base::BaseSrc;
    }

    impl ObjectImpl for BytesSource {}
    impl GstObjectImpl for BytesSource {}

    impl ElementImpl for BytesSource {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: OnceLock<gst::subclass::ElementMetadata> = OnceLock::new();
            Some(METADATA.get_or_init(|| {
                gst::subclass::ElementMetadata::new(
                    "Bytes source",
                    "Source",
                    "Serves bytes in memory",
                    "Vignette",
                )
            }))
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: OnceLock<Vec<gst::PadTemplate>> = OnceLock::new();
            TEMPLATES.get_or_init(|| {
                let any = gst::Caps::new_any();
                gst::PadTemplate::new("src", gst::PadDirection::Src, gst::PadPresence::Always, &any)
                    .into_iter()
                    .collect()
            })
        }
    }

    impl BaseSrcImpl for BytesSource {
        fn is_seekable(&self) -> bool {
            true
        }

        fn size(&self) -> Option<u64> {
            self.bytes.get().map(|bytes| bytes.size() as u64)
        }

        fn create(
            &self,
            offset: u64,
            filled: Option<&mut gst::BufferRef>,
            length: u32,
        ) -> Result<CreateSuccess, gst::FlowError> {
            let bytes = self.bytes.get().ok_or(gst::FlowError::Error)?;
            let start = usize::try_from(offset).map_err(|_| gst::FlowError::Eos)?;
            if start >= bytes.size() {
                return Err(gst::FlowError::Eos);
            }
            let end = start.saturating_add(length as usize).min(bytes.size());
            let part = bytes
                .copy_region(gst::BufferCopyFlags::MEMORY, start..end)
                .map_err(|_| gst::FlowError::Error)?;
            match filled {
                None => Ok(CreateSuccess::NewBuffer(part)),
                Some(buffer) => {
                    let map = part.map_readable().map_err(|_| gst::FlowError::Error)?;
                    buffer.copy_from_slice(0, &map).map_err(|_| gst::FlowError::Error)?;
                    buffer.set_size(map.len());
                    Ok(CreateSuccess::FilledBuffer)
                }
            }
        }
    }
}
