//! The fonts there are.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use parley::fontique::{
    Blob, Collection, CollectionOptions, FallbackKey, FamilyId, FontInfoOverride, GenericFamily, Script,
    SourceCache, SourceId, SourceInfo, SourceKind,
};
use parley::{FontContext, LayoutContext};
use skrifa::raw::{FileRef, FontRef, TableProvider};
use skrifa::{MetadataProvider, Tag};
use vignette_templates::blob::Digest;

use super::glyphs::GlyphCache;
use super::{FontError, MAX_FONT_BYTES, catalog};

/// How many sets of scratch space are kept for the next layouts; more threads than this allocate their own.
const POOLED_CONTEXTS: usize = 32;

/// Fonts by family, with the fallback of every script. Cheap to clone, the same from every thread.
#[derive(Clone)]
pub struct FontLibrary {
    inner: Arc<Inner>,
}

struct Inner {
    collection: Collection,
    /// By the identity that the layout engine gives to the bytes.
    files: HashMap<u64, Arc<FontFile>>,
    /// Name as written, by name in small letters.
    families: BTreeMap<String, String>,
    assets: BTreeMap<Digest, Arc<FontFile>>,
    /// Sums of the engine's own files, in the order in which they were added.
    sums: blake3::Hasher,
    identity: Digest,
    contexts: Mutex<Vec<Contexts>>,
    shared: Arc<Shared>,
}

/// What a library and those made from it have in common.
#[derive(Default)]
struct Shared {
    glyphs: GlyphCache,
    /// Assets in use, so that a template that is opened again finds its glyphs still there.
    assets: Mutex<HashMap<Digest, Weak<FontFile>>>,
}

/// Scratch space of one layout.
pub(super) struct Contexts {
    pub fonts: FontContext,
    pub layout: LayoutContext<()>,
}

/// A font file: its bytes (mapped, for the engine's own), and what was found out about its faces.
pub(super) struct FontFile {
    pub blob: Blob<u8>,
    /// The file's own name without its folder, for one of the engine's.
    pub name: Option<String>,
    digest: OnceLock<Digest>,
    own: bool,
    faces: Mutex<BTreeMap<u32, Arc<Face>>>,
}

/// One face of a font file.
pub(super) struct Face {
    pub file: Arc<FontFile>,
    pub index: u32,
    /// Distinguishes faces within this process.
    pub id: u64,
    /// Font units per em.
    pub units_per_em: f32,
    /// Has glyphs in colours that can be drawn.
    pub color: bool,
    /// fontdue can hold it: no variation axes, not too many glyphs.
    pub simple: bool,
    pub fontdue: OnceLock<Option<fontdue::Font>>,
}

/// fontdue reads every glyph of a font when it opens it, at about 10 µs each (Noto Sans with 3317 glyphs: 28 ms on
/// one core, against 0.1 ms for an outline). With more glyphs than this a viewer would wait for it.
const MAX_FONTDUE_GLYPHS: u16 = 1500;

impl FontLibrary {
    /// The engine's own library: Inter, the Noto fonts of all scripts, and Noto's emoji, as Debian packages
    /// them. Files are mapped, not read, until text needs them; a second call returns the same library.
    ///
    /// # Errors
    /// [`FontError::MissingPackage`] names what must be installed.
    pub fn system() -> Result<FontLibrary, FontError> {
        static SYSTEM: OnceLock<FontLibrary> = OnceLock::new();
        if let Some(library) = SYSTEM.get() {
            return Ok(library.clone());
        }
        for package in &catalog::PACKAGES {
            if !Path::new(package.probe).is_file() {
                return Err(FontError::MissingPackage { package: package.name, path: package.probe });
            }
        }
        let library = Builder::default().system();
        Ok(SYSTEM.get_or_init(|| library).clone())
    }

    /// This library with a template's own fonts besides.
    ///
    /// # Errors
    /// [`FontError`] when a file is too large, or is no whole TrueType or OpenType font.
    pub fn with_assets(
        &self,
        fonts: impl Iterator<Item = (Digest, Arc<[u8]>)>,
    ) -> Result<FontLibrary, FontError> {
        let mut builder = Builder {
            collection: self.inner.collection.clone(),
            files: self.inner.files.clone(),
            families: self.inner.families.clone(),
            assets: self.inner.assets.clone(),
            sums: self.inner.sums.clone(),
            shared: self.inner.shared.clone(),
        };
        for (digest, bytes) in fonts {
            builder.add_asset(digest, bytes)?;
        }
        Ok(builder.build())
    }

    /// Whether there is a family of this name; upper and lower case are the same.
    pub fn has_family(&self, name: &str) -> bool {
        self.inner.families.contains_key(&name.to_lowercase())
    }

    /// The names of the library's families, in alphabetical order.
    pub fn families(&self) -> impl Iterator<Item = &str> {
        self.inner.families.values().map(String::as_str)
    }

    /// Whether the font file was handed to [`FontLibrary::with_assets`].
    pub fn has_asset(&self, font: Digest) -> bool {
        self.inner.assets.contains_key(&font)
    }

    /// A name for all the fonts together: libraries with the same name draw the same pixels.
    ///
    /// The engine's own fonts take part with the sizes and checksums that their table directories hold
    /// (OpenType 1.9, "Organization of an OpenType Font"), so that hundreds of megabytes need not be read;
    /// a template's fonts with their digests.
    pub fn identity(&self) -> Digest {
        self.inner.identity
    }

    /// A name for the engine's own fonts alone. A text that uses a template's font names it by its digest, and no text
    /// finds such a font otherwise, so this and the text decide what is drawn.
    pub fn own_identity(&self) -> Digest {
        Digest(*self.inner.sums.finalize().as_bytes())
    }

    pub(super) fn glyphs(&self) -> &GlyphCache {
        &self.inner.shared.glyphs
    }

    /// Runs `work` with scratch space that no other thread uses meanwhile.
    pub(super) fn with_contexts<T>(&self, work: impl FnOnce(&mut Contexts) -> T) -> T {
        let pooled = lock(&self.inner.contexts).pop();
        let mut contexts = pooled.unwrap_or_else(|| Contexts {
            fonts: FontContext {
                collection: self.inner.collection.clone(),
                source_cache: SourceCache::default(),
            },
            layout: LayoutContext::new(),
        });
        let result = work(&mut contexts);
        let mut pool = lock(&self.inner.contexts);
        if pool.len() < POOLED_CONTEXTS {
            pool.push(contexts);
        }
        result
    }

    pub(super) fn face(&self, font: &parley::FontData) -> Option<Arc<Face>> {
        let file = self.inner.files.get(&font.data.id())?;
        let mut faces = lock(&file.faces);
        if let Some(face) = faces.get(&font.index) {
            return Some(face.clone());
        }
        let face = Arc::new(Face::open(file, font.index)?);
        faces.insert(font.index, face.clone());
        Some(face)
    }
}

impl fmt::Debug for FontLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FontLibrary")
            .field("families", &self.inner.families.len())
            .field("assets", &self.inner.assets.len())
            .finish()
    }
}

/// The family under which an asset is registered, which no font's own name can be.
pub(super) fn asset_family(font: Digest) -> String {
    format!("asset:{font}")
}

/// A poisoned lock is taken all the same: what the locks here guard is whole between any two statements.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Builder {
    collection: Collection,
    files: HashMap<u64, Arc<FontFile>>,
    families: BTreeMap<String, String>,
    assets: BTreeMap<Digest, Arc<FontFile>>,
    sums: blake3::Hasher,
    shared: Arc<Shared>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            collection: Collection::new(CollectionOptions { shared: false, system_fonts: false }),
            files: HashMap::new(),
            families: BTreeMap::new(),
            assets: BTreeMap::new(),
            sums: blake3::Hasher::new(),
            shared: Arc::default(),
        }
    }
}

impl Builder {
    fn build(self) -> FontLibrary {
        let mut identity = self.sums.clone();
        for digest in self.assets.keys() {
            identity.update(&digest.0);
        }
        FontLibrary {
            inner: Arc::new(Inner {
                collection: self.collection,
                files: self.files,
                families: self.families,
                assets: self.assets,
                sums: self.sums,
                identity: Digest(*identity.finalize().as_bytes()),
                contexts: Mutex::default(),
                shared: self.shared,
            }),
        }
    }

    fn system(mut self) -> FontLibrary {
        for file in catalog::INTER_FILES {
            self.add_file(Path::new(catalog::INTER).join(file));
        }
        for file in catalog::CJK_FILES {
            self.add_file(Path::new(catalog::NOTO_CJK).join(file));
        }
        self.add_file(Path::new(catalog::NOTO).join(catalog::EMOJI_FILE));
        let mut common = Vec::new();
        for stem in catalog::COMMON {
            common.extend(self.add_family(stem));
        }
        for stem in catalog::OTHERS {
            self.add_family(stem);
        }
        common.extend(self.collection.family_id(catalog::EMOJI_FAMILY));

        let emoji = self.collection.family_id(catalog::EMOJI_FAMILY);
        self.collection.set_generic_families(GenericFamily::Emoji, emoji.into_iter());
        let sans: Vec<_> = [catalog::DEFAULT_FAMILY, "Noto Sans"]
            .iter()
            .filter_map(|name| self.collection.family_id(name))
            .collect();
        self.collection.set_generic_families(GenericFamily::SansSerif, sans.into_iter());

        for script in catalog::COMMON_SCRIPTS {
            self.fall_back(script, None, &common);
        }
        for (stem, script) in catalog::SCRIPTS {
            let Some(family) = self.add_family(stem) else { continue };
            let families: Vec<_> = std::iter::once(family).chain(common.iter().copied()).collect();
            self.fall_back(script, None, &families);
            for (_, languages) in catalog::LANGUAGES.iter().filter(|(with, _)| with == script) {
                for language in *languages {
                    self.fall_back(script, Some(language), &families);
                }
            }
        }
        for (script, language, family) in catalog::CJK {
            let Some(family) = self.collection.family_id(family) else { continue };
            let families: Vec<_> = std::iter::once(family).chain(common.iter().copied()).collect();
            self.fall_back(script, language, &families);
        }
        self.build()
    }

    fn fall_back(&mut self, script: &str, language: Option<&str>, families: &[FamilyId]) {
        let Ok(tag) = <[u8; 4]>::try_from(script.as_bytes()) else { return };
        let language = language.and_then(|tag| parley::Language::parse(tag).ok());
        let key = FallbackKey::new(Script::from_bytes(tag), language.as_ref());
        self.collection.set_fallbacks(key, families.iter().copied());
    }

    /// Adds the files of a font of fonts-noto-core; few have every style.
    fn add_family(&mut self, stem: &str) -> Option<FamilyId> {
        catalog::STYLES
            .iter()
            .filter_map(|style| self.add_file(Path::new(catalog::NOTO).join(format!("{stem}-{style}.ttf"))))
            .reduce(|first, _| first)
    }

    fn add_file(&mut self, path: PathBuf) -> Option<FamilyId> {
        if !path.is_file() {
            return None;
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let source = SourceInfo::new(SourceId::new(), SourceKind::Path(Arc::from(path)));
        let blob = SourceCache::default().get(&source)?;
        self.add_sums(blob.data());
        let registered = self.collection.register_fonts(blob.clone(), None);
        let mut ids: Vec<_> = registered.iter().map(|(id, _)| *id).collect();
        ids.sort_by_key(|id| id.to_u64());
        for id in &ids {
            if let Some(name) = self.collection.family_name(*id) {
                self.families.insert(name.to_lowercase(), name.to_owned());
            }
        }
        let file = FontFile { blob, name, digest: OnceLock::new(), own: true, faces: Mutex::default() };
        self.files.insert(file.blob.id(), Arc::new(file));
        ids.first().copied()
    }

    fn add_sums(&mut self, bytes: &[u8]) {
        self.sums.update(&(bytes.len() as u64).to_le_bytes());
        let fonts = FileRef::new(bytes).into_iter().flat_map(|file| file.fonts().collect::<Vec<_>>());
        for font in fonts.flatten() {
            for record in font.table_directory().table_records() {
                self.sums.update(&record.tag().to_be_bytes());
                for number in [record.checksum(), record.offset(), record.length()] {
                    self.sums.update(&number.to_le_bytes());
                }
            }
        }
    }

    fn add_asset(&mut self, digest: Digest, bytes: Arc<[u8]>) -> Result<(), FontError> {
        if self.assets.contains_key(&digest) {
            return Ok(());
        }
        let known = lock(&self.shared.assets).get(&digest).and_then(Weak::upgrade);
        let file = match known {
            Some(file) => file,
            None => {
                if bytes.len() > MAX_FONT_BYTES {
                    return Err(FontError::TooLarge { font: digest, bytes: bytes.len() });
                }
                check(&bytes).map_err(|reason| FontError::Unreadable { font: digest, reason })?;
                let file = Arc::new(FontFile {
                    blob: Blob::new(Arc::new(bytes)),
                    name: None,
                    digest: OnceLock::from(digest),
                    own: false,
                    faces: Mutex::default(),
                });
                let mut assets = lock(&self.shared.assets);
                assets.retain(|_, file| file.strong_count() > 0);
                assets.insert(digest, Arc::downgrade(&file));
                file
            }
        };
        let family = asset_family(digest);
        let name = FontInfoOverride { family_name: Some(&family), ..FontInfoOverride::default() };
        if self.collection.register_fonts(file.blob.clone(), Some(name)).is_empty() {
            return Err(FontError::Unreadable {
                font: digest,
                reason: "it has no table of characters (`cmap`)",
            });
        }
        self.files.insert(file.blob.id(), file.clone());
        self.assets.insert(digest, file);
        Ok(())
    }
}

/// Finds what would make a font of strangers come out blank or wrong.
fn check(bytes: &[u8]) -> Result<(), &'static str> {
    if bytes.starts_with(b"wOFF") || bytes.starts_with(b"wOF2") {
        return Err("web fonts (WOFF, WOFF2) are not read; convert it to TTF or OTF");
    }
    let file = FileRef::new(bytes).map_err(|_| "not a TrueType or OpenType font")?;
    let mut faces = 0;
    for font in file.fonts() {
        let font = font.map_err(|_| "not a whole TrueType or OpenType font")?;
        faces += 1;
        if faces > 64 {
            return Err("more than 64 faces in one file");
        }
        for record in font.table_directory().table_records() {
            let end = u64::from(record.offset()) + u64::from(record.length());
            if end > bytes.len() as u64 {
                return Err("the file is cut short");
            }
        }
        let head = font.head().map_err(|_| "it has no header (`head`)")?;
        if !(16..=16384).contains(&head.units_per_em()) {
            return Err("its units per em are not within 16 to 16384");
        }
        if font.maxp().map_err(|_| "it has no count of glyphs (`maxp`)")?.num_glyphs() == 0 {
            return Err("it has no glyphs");
        }
        font.hhea().map_err(|_| "it has no line metrics (`hhea`)")?;
        font.hmtx().map_err(|_| "it has no advance widths (`hmtx`)")?;
        font.cmap().map_err(|_| "it has no table of characters (`cmap`)")?;
        if font.outline_glyphs().format().is_none() && !has_color(&font, false) {
            return Err("it has neither outlines nor colour pictures that can be drawn");
        }
    }
    if faces == 0 { Err("it holds no font") } else { Ok(()) }
}

/// Colour glyphs that can be drawn: bitmaps in `CBDT`, or layers in `COLR` version 0.
///
/// `sbix` names the size of its pictures in the pictures themselves, so that a small file can ask for any
/// amount of memory: it is accepted from nobody.
fn has_color(font: &FontRef<'_>, own: bool) -> bool {
    let has = |tag: &[u8; 4]| font.table_data(Tag::new(tag)).is_some();
    let bitmaps = has(b"CBDT") && has(b"CBLC");
    let layers = has(b"COLR") && has(b"CPAL");
    (bitmaps || layers) && (own || !has(b"sbix"))
}

impl FontFile {
    /// BLAKE3 of the file; computed when first asked for.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| Digest::of(self.blob.data()))
    }
}

impl Face {
    fn open(file: &Arc<FontFile>, index: u32) -> Option<Face> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);

        let font = FontRef::from_index(file.blob.data(), index).ok()?;
        let units_per_em = f32::from(font.head().ok()?.units_per_em());
        let glyphs = font.maxp().ok()?.num_glyphs();
        Some(Face {
            file: file.clone(),
            index,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            units_per_em,
            color: has_color(&font, file.own),
            simple: font.axes().is_empty() && glyphs <= MAX_FONTDUE_GLYPHS,
            fontdue: OnceLock::new(),
        })
    }

    pub fn font(&self) -> Option<FontRef<'_>> {
        FontRef::from_index(self.file.blob.data(), self.index).ok()
    }
}
