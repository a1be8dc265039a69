//! What was made for whom: which entries of the store and which files each viewer's videos use, so that what was made for one viewer
//! alone can be told from what others share.
//!
//! A use is noted in the step that accepts a link or a job, before anything is made, for each viewer and day of making. Viewers
//! stand here as keyed digests; those whom nobody named share one owner for each template and day. What nobody uses any more is
//! *doomed*: it is removed at once and, as whoever made it just then may have put it back, once more a little later.

use vignette_renderer::plan::{Plan, Segment};
use vignette_templates::blob::Digest;

use crate::clock;
use crate::database::{Change, Fault, OptionalExtension, Params, Row, ToValue, params};
use crate::output::{Format, Output};
use crate::problem::Problem;
use crate::records::Records;
use crate::viewing::Viewing;
use crate::workshop::GeneratedKind;

/// A viewer, by a keyed digest of tenant and id.
pub type ViewerId = [u8; 16];

/// What a use is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An encoded segment; the detail is its first frame in the video.
    Segment,
    /// Encoded sound.
    Sound,
    /// A generated value.
    Generated(GeneratedKind),
    /// A note about a file of the viewer's: that it can be decoded.
    Note,
    /// A finished file; the detail is its form.
    File,
}

impl Kind {
    fn number(self) -> i64 {
        match self {
            Kind::Segment => 0,
            Kind::Sound => 1,
            Kind::Generated(GeneratedKind::Text) => 2,
            Kind::Generated(GeneratedKind::Voice) => 3,
            Kind::Generated(GeneratedKind::Image) => 4,
            Kind::Note => 5,
            Kind::File => 6,
        }
    }

    fn of(number: i64) -> Option<Kind> {
        Some(match number {
            0 => Kind::Segment,
            1 => Kind::Sound,
            2 => Kind::Generated(GeneratedKind::Text),
            3 => Kind::Generated(GeneratedKind::Voice),
            4 => Kind::Generated(GeneratedKind::Image),
            5 => Kind::Note,
            6 => Kind::File,
            _ => return None,
        })
    }
}

/// One thing that a video is put together from, or becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Use {
    /// Names it by its content.
    pub key: Digest,
    /// What it is.
    pub kind: Kind,
    /// What the kind says.
    pub detail: u32,
}

/// The endings of finished files; a use of a file holds the place in this list.
const ENDINGS: [&str; 7] = ["mp4", "webm", "gif", "webp", "jpg", "png", "zip"];

impl Use {
    /// The file of that name, which is a digest and an ending.
    pub fn file(name: &str) -> Option<Use> {
        let (stem, ending) = name.split_once('.')?;
        let detail = ENDINGS.iter().position(|known| *known == ending)?;
        Some(Use { key: Digest::from_hex(stem)?, kind: Kind::File, detail: u32::try_from(detail).ok()? })
    }

    /// The name of a file.
    pub fn file_name(&self) -> Option<String> {
        let ending = ENDINGS.get(usize::try_from(self.detail).ok()?)?;
        (self.kind == Kind::File).then(|| format!("{}.{ending}", self.key))
    }
}

/// Everything that what is under a link may become in the store and among the files, in all its sizes.
pub fn of_viewing(viewing: &Viewing) -> Vec<Use> {
    let mut uses = of_generated(viewing);
    viewing.sizes.iter().for_each(|size| uses.extend(of_plan(&size.plan)));
    for format in [Format::Mp4, Format::Gif, Format::Webp] {
        let output = Output { format, ..Output::default() };
        uses.extend(output.file_name(viewing).and_then(|name| Use::file(&name)));
    }
    uses.sort_unstable();
    uses.dedup();
    uses
}

/// The segments and the sound of a plan.
pub fn of_plan(plan: &Plan) -> impl Iterator<Item = Use> {
    let segment = |s: &Segment| Use { key: *s.key.digest(), kind: Kind::Segment, detail: s.first_frame };
    let sound = Use { key: plan.audio, kind: Kind::Sound, detail: 0 };
    plan.segments.iter().map(segment).chain([sound])
}

/// What was generated for a viewing, and found out about its files.
pub fn of_generated(viewing: &Viewing) -> Vec<Use> {
    let made = viewing.generated.iter();
    let made = made.map(|made| Use { key: made.key, kind: Kind::Generated(made.kind), detail: 0 });
    let found = viewing.findings.iter().map(|key| Use { key: *key, kind: Kind::Note, detail: 0 });
    made.chain(found).collect()
}

/// Whom something is made for.
pub struct Record<'a> {
    /// Whose template it is.
    pub tenant: &'a str,
    /// The template.
    pub template: &'a str,
    /// The viewer, if the caller named one.
    pub viewer: Option<ViewerId>,
    /// What it uses.
    pub uses: &'a [Use],
}

impl Record<'_> {
    /// Notes the uses as a part of `change`.
    ///
    /// # Errors
    /// What the database says.
    pub fn write(&self, change: &Change<'_>) -> Result<(), Fault> {
        let owner = self.owner(change)?;
        let kind = |used: &Use| used.kind.number();
        // In one order, so that two that add the same do not wait for each other.
        let mut uses: Vec<(&[u8; 32], i64, u32)> =
            self.uses.iter().map(|used| (&used.key.0, kind(used), used.detail)).collect();
        uses.sort_unstable();
        let rows: Vec<[&dyn ToValue; 4]> =
            uses.iter().map(|(key, kind, detail)| [key as &dyn ToValue, kind, detail, &owner]).collect();
        let rows: Vec<Params<'_>> = rows.iter().map(<[_; 4]>::as_slice).collect();
        change.execute_many("INSERT INTO uses VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING", &rows)?;
        Ok(())
    }

    /// The number of the owner. Whoever takes owners away goes alone, so it stays until the step is done.
    fn owner(&self, change: &Change<'_>) -> Result<i64, Fault> {
        let viewer: &[u8] = self.viewer.as_ref().map_or(&[], |viewer| viewer);
        let values = params![self.tenant, self.template, viewer, today()];
        let query = "SELECT id FROM owners WHERE tenant = ?1 AND template = ?2 AND viewer = ?3 AND day = ?4";
        let add = "INSERT INTO owners (tenant, template, viewer, day) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
        if let Some(owner) = change.query_row(query, values, |row| row.get(0)).optional()? {
            return Ok(owner);
        }
        change.execute(add, values)?;
        change.query_row(query, values, |row| row.get(0))
    }
}

/// The day since 1970 that it is, in UTC.
fn today() -> i64 {
    clock::now().div_euclid(86_400)
}

/// What was removed from the records on behalf of one viewer, or because its time was over.
#[derive(Default)]
pub struct Removed {
    /// Renders, ended or not.
    pub jobs: u64,
    /// Links that were made.
    pub links: u64,
    /// Rows of batches.
    pub rows: u64,
    /// Renders that were under way or waiting.
    pub open: Vec<String>,
    /// Viewers and days whose uses were taken away.
    pub owners: u64,
    /// What nobody uses any more.
    pub doomed: Vec<Use>,
    /// How often the viewer was erased, with this time.
    pub erasures: u32,
}

impl Removed {
    /// Whether there was nothing to remove.
    pub fn is_nothing(&self) -> bool {
        self.jobs + self.links + self.rows + self.owners == 0
    }
}

/// Owners whose uses are taken away in one step.
const OWNERS_AT_ONCE: u32 = 500;

/// How long what is doomed may still be put back by whoever was making it, in milliseconds.
const AFTERMATH: i64 = 60_000;

impl Records {
    /// Removes everything that is known of a viewer. Links that were made before do not open any more.
    ///
    /// # Errors
    /// What the database says; then nothing changed.
    pub fn erase(&self, tenant: &str, viewer: &ViewerId) -> Result<Removed, Problem> {
        let now = clock::now_millis();
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let count = "SELECT CAST(COALESCE(SUM(links), 0) AS BIGINT) FROM viewers WHERE id = ?1";
        let links: i64 = change.query_row(count, params![viewer], |row| row.get(0))?;
        let erasures = change.query_row(
            "INSERT INTO viewers VALUES (?1, 1, 0, ?2) ON CONFLICT (id) DO UPDATE SET erased = viewers.erased + 1, links = 0, changed = ?2 \
             RETURNING erased",
            params![viewer, now],
            |row| row.get(0),
        )?;
        let open =
            "SELECT id FROM jobs WHERE viewer = ?1 AND tenant = ?2 AND state IN ('queued', 'rendering')";
        let open = change.query_map(open, params![viewer, tenant], |row| row.get(0))?;
        change.execute(
            "DELETE FROM deliveries WHERE job IN (SELECT id FROM jobs WHERE viewer = ?1 AND tenant = ?2)",
            params![viewer, tenant],
        )?;
        let jobs =
            change.execute("DELETE FROM jobs WHERE viewer = ?1 AND tenant = ?2", params![viewer, tenant])?;
        change.execute("DELETE FROM links WHERE viewer = ?1 AND tenant = ?2", params![viewer, tenant])?;
        let rows = erase_rows(&change, viewer)?;
        let (owners, doomed) = doom(&change, "viewer = ?1 AND tenant = ?2", params![viewer, tenant], now)?;
        change.commit()?;
        Ok(Removed {
            jobs: jobs as u64,
            links: u64::try_from(links).unwrap_or(0),
            rows,
            open,
            owners,
            doomed,
            erasures,
        })
    }

    /// Removes everything of a template that was made more than so many days ago.
    ///
    /// # Errors
    /// What the database says; then nothing changed.
    pub fn retire(&self, tenant: &str, template: &str, days: u32) -> Result<Removed, Problem> {
        let now = clock::now_millis();
        let before = now - i64::from(days) * 86_400_000;
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let which = "tenant = ?1 AND template = ?2 AND created < ?3";
        let values = params![tenant, template, before];
        let open = format!("SELECT id FROM jobs WHERE {which} AND state IN ('queued', 'rendering')");
        let open = change.query_map(&open, values, |row| row.get(0))?;
        change.execute(
            &format!("DELETE FROM deliveries WHERE job IN (SELECT id FROM jobs WHERE {which})"),
            values,
        )?;
        let jobs = change.execute(&format!("DELETE FROM jobs WHERE {which}"), values)?;
        let links = change.execute(&format!("DELETE FROM links WHERE {which}"), values)?;
        let rows = format!("DELETE FROM batch_rows WHERE batch IN (SELECT seq FROM batches WHERE {which})");
        let rows = change.execute(&rows, values)? as u64;
        change.execute(&format!("DELETE FROM batches WHERE {which}"), values)?;
        // Every link of that day has ended by then.
        let day = today() - i64::from(days);
        let (owners, doomed) =
            doom(&change, "tenant = ?1 AND template = ?2 AND day < ?3", params![tenant, template, day], now)?;
        change.commit()?;
        Ok(Removed { jobs: jobs as u64, links: links as u64, rows, open, owners, doomed, erasures: 0 })
    }

    /// Notes what something uses.
    ///
    /// # Errors
    /// What the database says.
    pub fn note(&self, record: &Record<'_>) -> Result<(), Problem> {
        let mut connection = self.lock();
        let change = connection.addition()?;
        record.write(&change)?;
        change.commit()?;
        Ok(())
    }

    /// The templates that anything was made of.
    ///
    /// # Errors
    /// What the database says.
    pub fn templates_in_use(&self) -> Result<Vec<(String, String)>, Problem> {
        let connection = self.lock();
        Ok(connection.query_map("SELECT tenant, template FROM owners GROUP BY tenant, template UNION SELECT tenant, template FROM jobs GROUP BY tenant, template", &[], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    /// At most `most` of what was doomed so long ago that nobody puts it back any more, or could not be removed then.
    ///
    /// # Errors
    /// What the database says.
    pub fn doomed(&self, most: u32) -> Result<Vec<Use>, Problem> {
        let over = clock::now_millis() - AFTERMATH;
        let query = "SELECT key, kind, detail FROM doomed WHERE since <= ?2 ORDER BY since LIMIT ?1";
        self.doomed_by(query, params![most, over])
    }

    /// What was doomed since a moment and could not be removed for good yet.
    ///
    /// # Errors
    /// What the database says.
    pub fn doomed_since(&self, since: i64) -> Result<Vec<Use>, Problem> {
        self.doomed_by("SELECT key, kind, detail FROM doomed WHERE since >= ?1", params![since])
    }

    fn doomed_by(&self, query: &str, values: Params<'_>) -> Result<Vec<Use>, Problem> {
        let read = |row: &Row| Ok((row.get(0)?, row.get::<i64>(1)?, row.get(2)?));
        let rows = self.lock().query_map(query, values, read)?;
        let known = |(key, kind, detail)| Some(Use { key: Digest(key), kind: Kind::of(kind)?, detail });
        Ok(rows.into_iter().filter_map(known).collect())
    }

    /// Whether anybody uses it, now that it is about to be removed.
    ///
    /// # Errors
    /// What the database says.
    pub fn is_used(&self, used: &Use) -> Result<bool, Problem> {
        let query = "SELECT EXISTS (SELECT 1 FROM uses WHERE key = ?1 AND kind = ?2)";
        Ok(self.lock().query_row(query, params![used.key.0, used.kind.number()], |row| row.get(0))?)
    }

    /// It is gone, for good.
    ///
    /// # Errors
    /// What the database says.
    pub fn undoom(&self, gone: &[Use]) -> Result<(), Problem> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        for used in gone {
            change.execute(
                "DELETE FROM doomed WHERE key = ?1 AND kind = ?2 AND detail = ?3",
                params![used.key.0, used.kind.number(), used.detail],
            )?;
        }
        change.commit()?;
        Ok(())
    }

    /// Who was erased since a moment, in milliseconds since 1970, and how often in all.
    ///
    /// # Errors
    /// What the database says.
    pub fn erased(&self, since: i64) -> Result<Vec<(ViewerId, u32)>, Problem> {
        let query = "SELECT id, erased FROM viewers WHERE erased > 0 AND changed >= ?1";
        Ok(self.lock().query_map(query, params![since], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    /// Every retention time that was set: tenant, template, days.
    ///
    /// # Errors
    /// What the database says.
    pub fn retentions(&self) -> Result<Vec<(String, String, u32)>, Problem> {
        let connection = self.lock();
        Ok(connection.query_map("SELECT tenant, template, days FROM retention", &[], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?)
    }

    /// Sets a template's retention time in days, or takes it back.
    ///
    /// # Errors
    /// What the database says.
    pub fn set_retention(&self, tenant: &str, template: &str, days: Option<u32>) -> Result<(), Problem> {
        let connection = self.lock();
        match days {
            Some(days) => connection.execute(
                "INSERT INTO retention VALUES (?1, ?2, ?3) ON CONFLICT (tenant, template) DO UPDATE SET days = excluded.days",
                params![tenant, template, days],
            )?,
            None => connection.execute(
                "DELETE FROM retention WHERE tenant = ?1 AND template = ?2",
                params![tenant, template],
            )?,
        };
        Ok(())
    }

    /// Forgets viewers of whom every link has expired long ago.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_viewers(&self, before: i64) -> Result<(), Problem> {
        self.lock().execute("DELETE FROM viewers WHERE changed < ?1", params![before])?;
        Ok(())
    }
}

/// Takes what rows of batches held of a viewer, and gives how many there were.
fn erase_rows(change: &Change<'_>, viewer: &ViewerId) -> Result<u64, Fault> {
    use crate::batches::{DONE, ERASED, FAILED};
    let query = "SELECT batch, number, state FROM batch_rows WHERE viewer = ?1";
    let read = |row: &Row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?, row.get::<i64>(2)?));
    let rows = change.query_map(query, params![viewer], read)?;
    for (batch, number, state) in &rows {
        change.execute(
            "UPDATE batch_rows SET state = ?3, viewer = NULL, sealed = x'', cells = NULL, file = NULL, link = NULL, detail = NULL \
             WHERE batch = ?1 AND number = ?2",
            params![batch, number, ERASED],
        )?;
        let counter = match *state {
            DONE => ", done = done - 1",
            FAILED => ", failed = failed - 1",
            _ => "",
        };
        change.execute(
            &format!("UPDATE batches SET erased = erased + 1{counter} WHERE seq = ?1"),
            params![batch],
        )?;
    }
    Ok(rows.len() as u64)
}

/// Takes away the uses of the owners that `which` names, and gives what nobody else uses.
fn doom(change: &Change<'_>, which: &str, values: Params<'_>, now: i64) -> Result<(u64, Vec<Use>), Fault> {
    let query = format!("SELECT id FROM owners WHERE {which} LIMIT {OWNERS_AT_ONCE}");
    let owners: Vec<i64> = change.query_map(&query, values, |row| row.get(0))?;
    let mut candidates = Vec::new();
    for owner in &owners {
        let read = |row: &Row| Ok((row.get::<[u8; 32]>(0)?, row.get::<i64>(1)?, row.get::<u32>(2)?));
        candidates.extend(change.query_map(
            "DELETE FROM uses WHERE owner = ?1 RETURNING key, kind, detail",
            params![owner],
            read,
        )?);
        change.execute("DELETE FROM owners WHERE id = ?1", params![owner])?;
    }
    candidates.sort_unstable();
    candidates.dedup();
    let mut doomed = Vec::new();
    for (key, kind, detail) in candidates {
        // The same bytes under the same name are used wherever they stand in a video.
        let query = "SELECT EXISTS (SELECT 1 FROM uses WHERE key = ?1 AND kind = ?2)";
        let used: bool = change.query_row(query, params![key, kind], |row| row.get(0))?;
        if let (false, Some(known)) = (used, Kind::of(kind)) {
            change.execute(
                "INSERT INTO doomed VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key, kind, detail) DO UPDATE SET since = excluded.since",
                params![key, kind, detail, now],
            )?;
            doomed.push(Use { key: Digest(key), kind: known, detail });
        }
    }
    Ok((owners.len() as u64, doomed))
}
