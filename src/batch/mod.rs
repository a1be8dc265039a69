//! One template, many viewers: every row of an audience becomes a video in one folder.
//!
//! ```text
//! rows ── fill (several at a time, ahead) ──► filled video ── make (all cores) ──► file ──► journal ──► results.csv
//! ```
//!
//! Rows are made one after another, each by all workers, while the rows after it are filled. A row that is at fault stops no
//! other. The journal in the folder gets a line for each row that was finished, after its file took its name, so that a batch that
//! was ended at any moment goes on where it was: see [`BatchOptions::resume`].

mod ahead;
mod journal;
mod make;
mod name;
mod results;
mod spending;
mod sweep;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::audience::{Audience, AudienceError, Row, assign};
use crate::generators::{GenerateError, Setup};
use crate::output::{Output, OutputOptions};
use crate::receipt::ReceiptKey;
use crate::renderer::encode::EncodeError;
use crate::renderer::error::RenderError;
use crate::renderer::package::hls::MASTER;
use crate::renderer::plan::ENGINE_VERSION;
use crate::renderer::render::{Observer, Progress};
use crate::templates::Data;
use crate::templates::blob::Digest;
use crate::{Engine, Error, Personalised, Template};

use self::ahead::{Ahead, Finally};
use self::journal::{Entry, Journal};
use self::name::Names;

pub use self::make::Made;
pub use self::name::NamePattern;

/// The name of the table of results in the batch's folder.
pub const RESULTS: &str = "results.csv";

/// For each core, so many rows are filled ahead of the one that is made, or as many as services take at a time.
const LOOK_AHEAD: usize = 4;

/// The most rows that are filled at a time, however many services take.
const MOST_FILLERS: usize = 64;

/// Why a row failed whose filling is at fault itself.
const PANICKED: &str = "filling the row panicked";

/// How a batch is made.
#[derive(Clone, Debug, Default)]
pub struct BatchOptions {
    /// The rendition of all videos. Default: the canvas itself.
    pub rendition: Option<String>,
    /// How each video is written. Default: [`OutputOptions::default`].
    pub output: OutputOptions,
    /// How the files are called, without their ending. Default: by the row's number, so that nothing of a viewer's data
    /// stands in a path.
    pub name: Option<NamePattern>,
    /// Values that are put over those of every row, as [`assign`] reads them. Default: none.
    pub set: Vec<(String, String)>,
    /// Only so many rows from the first are made. Default: all.
    pub limit: Option<u64>,
    /// Writes a [receipt](crate::receipt) beside each video, `NAME.receipt.json`, under this key. Default: none.
    pub receipts: Option<ReceiptKey>,
    /// Goes on with the batch that was begun in the folder, if there is one; rows that failed are tried again. Without
    /// it such a folder is refused. Default: false.
    pub resume: bool,
}

/// How far a batch has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that are to be made in all.
    pub total: u64,
    /// Rows whose video is there, those of an earlier run too.
    pub done: u64,
    /// Rows whose video an earlier run had made.
    pub earlier: u64,
    /// Rows that failed.
    pub failed: u64,
    /// Segments that were encoded in this run.
    pub segments_new: u64,
    /// Segments that were taken from a store in this run.
    pub segments_reused: u64,
}

/// What a caller may watch and decide while a batch runs. Called from several threads.
pub trait Watch: Sync {
    /// A row was finished.
    fn progress(&self, _: &Counts) {}
    /// Whether to stop; asked before each frame.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing and never stops.
impl Watch for () {}

/// What came of a batch.
#[derive(Debug)]
pub struct Summary {
    /// How many rows were made.
    pub counts: Counts,
    /// The table of results.
    pub results: PathBuf,
    /// What was asked for and is not so, for all rows alike.
    pub notes: Vec<String>,
    /// Why the batch ended before its last row, if it did.
    pub ended: Option<Ended>,
}

/// Why a batch ended before its last row.
#[derive(Debug)]
pub enum Ended {
    /// The caller wanted it.
    Cancelled,
    /// What would have kept every other row from being made, too: a disk that is full, an encoder that is missing.
    Failed {
        /// The row at which it showed; `None` when it was none of a row.
        row: Option<u64>,
        /// What it was.
        error: Error,
    },
}

/// Renders a video for every row of `audience` into `folder`, which is made if it is missing, and writes the table of
/// results beside them. An engine makes one batch at a time.
///
/// # Errors
/// What keeps the batch from being begun: a folder that cannot be made or in which another batch is at work or was begun, a
/// name that uses what no row has, an audience that cannot be read. What ends it later is told by [`Summary::ended`].
pub fn run(
    engine: &Engine,
    template: &Template,
    audience: &Audience,
    folder: &Path,
    options: &BatchOptions,
    watch: &dyn Watch,
) -> Result<Summary, Error> {
    let rendition = options.rendition.as_deref();
    run_with(
        engine,
        template,
        audience,
        folder,
        options,
        watch,
        &|engine, template, row, target, output, watch| {
            make::make(engine, template, row, rendition, target, output, watch)
        },
    )
}

/// How one filled video becomes a file: the one place to put another way of making it.
type Make<'a> =
    dyn Fn(&Engine, &Template, &Filled, &Path, &Output, &dyn Observer) -> Result<Made, Error> + 'a;

fn run_with(
    engine: &Engine,
    template: &Template,
    audience: &Audience,
    folder: &Path,
    options: &BatchOptions,
    watch: &dyn Watch,
    make: &Make<'_>,
) -> Result<Summary, Error> {
    let results = folder.join(RESULTS);
    if let (Ok(here), Ok(there)) = (audience.path().canonicalize(), results.canonicalize())
        && here == there
    {
        let message = "the results would be written over the audience; copy it to another place first";
        return Err(Error::Input(format!("{}: {message}", results.display())));
    }
    template.check_rendition(options.rendition.as_deref())?;
    if let Some(pattern) = &options.name {
        pattern.check(audience.columns(), template.data_schema())?;
    }
    let output = Output::resolve(options.output.clone())?;
    let rows = audience.count()?;
    let total = options.limit.map_or(rows, |limit| rows.min(limit));
    std::fs::create_dir_all(folder)
        .map_err(|error| io(format!("cannot make the folder {}", folder.display()), error))?;
    let identity = identity(engine, template, audience, options, &output)?;
    let journal = Journal::open(folder, &identity, options.resume, rows)?;
    // Only with the journal's lock are all that is left in the folder known to be leavings.
    sweep::sweep(folder);
    let batch = Batch {
        engine,
        template,
        audience,
        folder,
        options,
        output: &output,
        watch,
        total,
        names: Names::new(options.name.as_ref(), rows),
        journal: Arc::new(Mutex::new(journal)),
    };
    let (counts, ended) = {
        let _told = spending::note(engine.generators(), &batch.journal);
        let made = batch.work(make);
        engine.generators().halt(false);
        made
    };
    let told = results::write(&results, audience, &batch.journal(), |row| batch.file_of(row));
    let ended = match (ended, told) {
        (None, Err(error)) => Some(Ended::Failed { row: None, error }),
        (ended, _) => ended,
    };
    let notes = output.notes.clone();
    Ok(Summary { counts, results, notes, ended })
}

/// What decides the videos of a batch, by its name in messages.
fn identity(
    engine: &Engine,
    template: &Template,
    audience: &Audience,
    options: &BatchOptions,
    output: &Output,
) -> Result<Vec<(&'static str, Value)>, Error> {
    let shape = format!("{:?} {:?} {:?}", options.output.ladder, options.output.excerpt, options.output.at);
    let program = json!([env!("CARGO_PKG_VERSION"), ENGINE_VERSION, engine.fonts.identity().to_string()]);
    let hidden = |value: Value| Digest::of(value.to_string().as_bytes()).to_string();
    // Wherever it is begun from. What lies in the folders is the rows' to name, and may grow.
    let folders = template.asset_folders.iter();
    let folders: Vec<PathBuf> =
        folders.map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.clone())).collect();
    // Who makes what; budgets, deadlines and rates may change on the way.
    let Setup { text, voice, image, words, approved } = engine.generators().setup();
    let setup = json!([text, voice, image, words.to_string()]);
    Ok(vec![
        ("version of the program or its fonts", hidden(program).into()),
        ("template", template.digest()?.to_string().into()),
        ("audience", audience.digest()?.to_string().into()),
        // As a digest, since they may be a viewer's.
        ("--set", hidden(json!(options.set)).into()),
        ("--rendition", json!(options.rendition)),
        ("--quality", json!(options.output.render.quality)),
        ("--format", json!(options.output.format.as_str())),
        ("--codec or --hardware", json!(output.encoder().map(|encoder| encoder.element()))),
        ("--ladder, --width or the part that is shown", hidden(json!(shape)).into()),
        ("--receipts or --receipt-key", json!(options.receipts.as_ref().map(ReceiptKey::id))),
        ("--name", json!(options.name.as_ref().map(NamePattern::source))),
        ("--assets", hidden(json!(folders)).into()),
        ("--generators (other providers, models, or words of its lists)", hidden(setup).into()),
        ("--approved", json!(approved.map(|digest| digest.to_string()))),
    ])
}

/// A batch under way.
struct Batch<'a> {
    engine: &'a Engine,
    template: &'a Template,
    audience: &'a Audience,
    folder: &'a Path,
    options: &'a BatchOptions,
    output: &'a Output,
    watch: &'a dyn Watch,
    total: u64,
    names: Names<'a>,
    journal: Arc<Mutex<Journal>>,
}

/// A row that is to be filled.
struct Draft {
    row: Row,
    name: String,
    /// Its data, where they were needed for its name.
    data: Option<Data>,
}

/// What is to become of a row whose turn it is.
enum Work {
    /// An earlier run has made it.
    Made,
    /// It cannot be made, for this reason.
    Faulty(String),
    /// Nothing more can be made.
    Fatal(Error),
    Filled(Box<Filled>),
}

/// A video to make, with what is to be told about it.
struct Filled {
    name: String,
    personal: Personalised,
    warnings: Vec<String>,
    /// Where its receipt goes, under which key, and the data that it tells the digest of.
    receipt: Option<(PathBuf, ReceiptKey, Data)>,
}

impl Batch<'_> {
    /// Makes the rows one after another, while those after it are filled.
    fn work(&self, make: &Make<'_>) -> (Counts, Option<Ended>) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Who waits for a service takes no core.
        let fillers = self.engine.generators().concurrent().clamp(cores, MOST_FILLERS.max(cores));
        let ahead = Ahead::new(fillers.max(LOOK_AHEAD * cores));
        std::thread::scope(|scope| {
            scope.spawn(|| self.read_all(&ahead));
            for _ in 0..fillers {
                scope.spawn(|| self.fill_all(&ahead));
            }
            let ended = Cell::new(true);
            let _done = Finally(|| {
                ahead.close();
                // Who waits for a service waits for nothing then.
                self.engine.generators().halt(ended.get());
            });
            let made = self.make_all(make, &ahead);
            ended.set(made.1.is_some());
            made
        })
    }

    fn make_all(&self, make: &Make<'_>, ahead: &Ahead<Draft, Work>) -> (Counts, Option<Ended>) {
        let mut counts = Counts { total: self.total, ..Counts::default() };
        self.watch.progress(&counts);
        loop {
            // While a row waits for a service, what the service was asked is news.
            let waiting = counts;
            let goes_on = || {
                self.watch.progress(&waiting);
                !self.watch.cancelled()
            };
            let Some((row, work)) = ahead.next(&goes_on) else { break };
            if self.watch.cancelled() {
                return (counts, Some(Ended::Cancelled));
            }
            let outcome = match work {
                Work::Made => {
                    counts.done += 1;
                    counts.earlier += 1;
                    self.watch.progress(&counts);
                    continue;
                }
                Work::Fatal(error) => return (counts, Some(Ended::Failed { row: Some(row), error })),
                Work::Faulty(reason) => Err(reason),
                Work::Filled(filled) => match self.make_one(make, &filled) {
                    Ok(made) => {
                        let warnings = filled.warnings.into_iter().chain(made.warnings.iter().cloned());
                        Ok(Made { warnings: told(warnings), ..made })
                    }
                    Err(Error::Render(RenderError::Cancelled)) => {
                        return (counts, Some(Ended::Cancelled));
                    }
                    Err(error) if is_fatal(&error) => {
                        return (counts, Some(Ended::Failed { row: Some(row), error }));
                    }
                    Err(error) => Err(in_one_line(&error.with_causes())),
                },
            };
            let entry = match outcome {
                Ok(made) => {
                    counts.done += 1;
                    counts.segments_new += made.segments_new;
                    counts.segments_reused += made.segments_reused;
                    Entry::Done(made)
                }
                Err(reason) => {
                    counts.failed += 1;
                    Entry::Failed(reason)
                }
            };
            let mut journal = self.journal();
            if let Err(error) = journal.append(row, &entry) {
                return (counts, Some(Ended::Failed { row: Some(row), error }));
            }
            drop(journal);
            self.watch.progress(&counts);
        }
        // The rows also end when those who fill them were told to stop.
        let ended = self.watch.cancelled() && counts.done + counts.failed < self.total;
        (counts, ended.then_some(Ended::Cancelled))
    }

    /// What is kept behind the lock is whole at every moment, so a panic elsewhere does not spoil it.
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_one(&self, make: &Make<'_>, row: &Filled) -> Result<Made, Error> {
        let target = self.folder.join(self.target_name(&row.name));
        let observer = Frames(self.watch);
        catch_unwind(AssertUnwindSafe(|| {
            make(self.engine, self.template, row, &target, self.output, &observer)
        }))
        .unwrap_or_else(|_| Err(RenderError::Check("rendering the row panicked".into()).into()))
    }

    /// Reads row after row until the last one, or until nobody wants more.
    fn read_all(&self, ahead: &Ahead<Draft, Work>) {
        let last = Cell::new(0);
        let _end = Finally(|| ahead.end(last.get()));
        let fatal = |number: u64, error: AudienceError| {
            ahead.settle(number, Work::Fatal(error.into()));
            last.set(number);
        };
        let rows = match self.audience.rows() {
            Ok(rows) => rows,
            Err(error) => return fatal(1, error),
        };
        let mut owners = name::Owners::default();
        for (row, number) in rows.zip(1..=self.total) {
            if self.watch.cancelled() || !ahead.has_room(number) {
                return;
            }
            let row = match row {
                Ok(row) => row,
                Err(error) => return fatal(number, error),
            };
            match catch_unwind(AssertUnwindSafe(|| self.begin(&row, &mut owners))) {
                Ok(Ok((name, data))) => ahead.draft(number, Draft { row, name, data }),
                Ok(Err(settled)) => ahead.settle(number, settled),
                Err(_) => ahead.settle(number, Work::Faulty(PANICKED.to_owned())),
            }
            last.set(number);
        }
    }

    /// Fills what was read until nothing more comes.
    fn fill_all(&self, ahead: &Ahead<Draft, Work>) {
        while let Some((number, draft)) = ahead.next_draft() {
            if self.watch.cancelled() {
                return;
            }
            let work = catch_unwind(AssertUnwindSafe(|| self.fill(draft)))
                .unwrap_or_else(|_| Work::Faulty(PANICKED.to_owned()));
            ahead.settle(number, work);
        }
    }

    /// What decides about a row in the order of the rows: its name, and its data where the name needed them.
    ///
    /// # Errors
    /// What becomes of a row that is not to be filled.
    fn begin(&self, row: &Row, owners: &mut name::Owners) -> Result<(String, Option<Data>), Work> {
        let number = row.number();
        let earlier = self.journal().done(number);
        let (name, data) = self.name_of(row).map_err(Work::Faulty)?;
        if self.target_name(&name).eq_ignore_ascii_case(RESULTS) {
            let reason = format!("its name would be that of the table of results, {RESULTS}");
            return Err(Work::Faulty(reason));
        }
        if self.names.may_collide()
            && let Some(owner) = owners.claim(&name, number)
        {
            return Err(Work::Faulty(format!(
                "its file would have the same name as that of row {owner}; let --name differ from row to row, \
                 e.g. with {{{{row}}}}"
            )));
        }
        if let Some(made) = earlier
            && self.found(&name) == Some(made.bytes)
            && (self.options.receipts.is_none() || self.receipt_of(&name).is_file())
        {
            return Err(Work::Made);
        }
        Ok((name, data))
    }

    fn fill(&self, draft: Draft) -> Work {
        let Draft { row, name, data } = draft;
        let data = match data.map_or_else(|| self.data_of(&row), Ok) {
            Ok(data) => data,
            Err(reason) => return Work::Faulty(reason),
        };
        match self.engine.personalise_aloud(self.template, &data, self.options.rendition.as_deref()) {
            Ok(filled) => {
                let warnings = filled.warnings.iter().map(|warning| in_one_line(&warning.to_string()));
                let warnings = warnings.collect();
                let key = self.options.receipts.clone();
                let receipt = key.map(|key| (self.receipt_of(&name), key, data));
                Work::Filled(Box::new(Filled { name, personal: filled.value, warnings, receipt }))
            }
            Err(error) if is_fatal(&error) => Work::Fatal(error),
            Err(error) => Work::Faulty(in_one_line(&error.with_causes())),
        }
    }

    /// The row's name, and its data where the name needed them.
    fn name_of(&self, row: &Row) -> Result<(String, Option<Data>), String> {
        match self.names.by_number(row.number()) {
            Some(name) => Ok((name, None)),
            None => {
                let data = self.data_of(row)?;
                Ok((self.names.of(row.number(), &data)?, Some(data)))
            }
        }
    }

    fn data_of(&self, row: &Row) -> Result<Data, String> {
        let schema = self.template.data_schema();
        let value = assign(row.value(schema)?, &self.options.set, schema);
        let name = format!("row {}", row.number());
        self.template.data(&name, value).map_err(|faults| in_one_line(&faults.to_string()))
    }

    /// The name of the file of a row that was made.
    fn file_of(&self, row: &Row) -> String {
        self.name_of(row).map_or_else(|_| String::new(), |(name, _)| self.file_name(&name))
    }

    /// The file that a viewer opens.
    fn file_name(&self, name: &str) -> String {
        let format = self.output.format();
        if format.is_folder() { format!("{name}/{MASTER}") } else { self.target_name(name) }
    }

    /// The file or folder that is written.
    fn target_name(&self, name: &str) -> String {
        let format = self.output.format();
        if format.is_folder() { name.to_owned() } else { format!("{name}.{}", format.endings()[0]) }
    }

    /// Where the receipt of a row's video stands.
    fn receipt_of(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.receipt.json"))
    }

    /// The bytes of what stands under a row's name; `None` when it is not there, or its playlist, written last, is not.
    fn found(&self, name: &str) -> Option<u64> {
        let file =
            std::fs::metadata(self.folder.join(self.file_name(name))).ok().filter(|found| found.is_file());
        if self.output.format().is_folder() {
            return file.and_then(|_| bytes_in(&self.folder.join(self.target_name(name))).ok());
        }
        file.map(|found| found.len())
    }
}

/// The bytes of all files in a folder and those inside it.
fn bytes_in(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { bytes_in(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

/// Frames are not told to a batch's watcher, but it may stop between them.
struct Frames<'a>(&'a dyn Watch);

impl Observer for Frames<'_> {
    fn progress(&self, _: Progress) {}
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

/// Whether every other row would meet this error, too: then one error is told instead of thousands.
fn is_fatal(error: &Error) -> bool {
    match error {
        Error::Faults(_) | Error::Input(_) => false,
        Error::Fonts(_) | Error::Store(_) | Error::Options(_) | Error::Settings(_) => true,
        Error::Receipt(_) | Error::ReceiptKey(_) => true,
        Error::Generate(error) => is_fatal_to_generate(error),
        Error::Render(RenderError::Io { source, .. }) => !is_of_one_file(source),
        Error::Render(RenderError::Encode(error)) => {
            matches!(error, EncodeError::MissingElement { .. } | EncodeError::Init(_))
        }
        Error::Render(_) => false,
    }
}

fn is_fatal_to_generate(error: &GenerateError) -> bool {
    match error {
        GenerateError::Off { .. } | GenerateError::NotInstalled { .. } => true,
        GenerateError::Io { source, .. } => !is_of_one_file(source),
        GenerateError::AllFailed { reasons, .. } => reasons.iter().all(is_fatal_to_generate),
        _ => false,
    }
}

/// Whether the file system refused this one name and may well accept another.
fn is_of_one_file(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(
        error.kind(),
        K::IsADirectory | K::NotADirectory | K::AlreadyExists | K::DirectoryNotEmpty | K::InvalidFilename
    )
}

fn io(operation: String, source: std::io::Error) -> Error {
    RenderError::Io { operation, source }.into()
}

/// The longest text of one row's error or warning, in characters.
const MAX_TOLD: usize = 1000;
/// The most warnings of one row that are told.
const MAX_WARNINGS: usize = 10;

/// A message as one line of a table.
fn in_one_line(message: &str) -> String {
    let line = message.replace("\n  hint: ", "; ").replace(['\n', '\r'], "; ");
    match line.char_indices().nth(MAX_TOLD) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// As many warnings as a table can bear, each once.
fn told(warnings: impl Iterator<Item = String>) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    let mut more = 0;
    for warning in warnings {
        match list.contains(&warning) {
            true => {}
            false if list.len() < MAX_WARNINGS => list.push(warning),
            false => more += 1,
        }
    }
    if more > 0 {
        list.push(format!("and {more} more"));
    }
    list
}

#[cfg(test)]
mod tests;
