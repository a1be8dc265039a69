//! What must outlast the process: keys, links, template versions, jobs and webhooks, in one [`Database`].
//!
//! Nothing personal stands here in the open: what a viewer's data may be part of is sealed, and is named by keyed
//! digests. Every call blocks, so it is made from threads that may.

use std::collections::HashSet;

use crate::clock;
use crate::database::{Database, Fault, Held, OptionalExtension, Row, Source, params};
use crate::group::Group;
use crate::problem::Problem;
use crate::quota::Quota;
use crate::secrets::random_name;
use crate::uses::{Record, Use, ViewerId};

/// What is written in the database, and how.
pub struct Records {
    pub(crate) database: Database,
    /// This process among those that share the database, by a name of its own at every start.
    pub(crate) me: String,
    links: Group<NewLink>,
}

/// A link that waits to be written.
struct NewLink {
    tenant: String,
    template: String,
    viewer: Option<ViewerId>,
    uses: Vec<Use>,
    /// Its name, what it says, and when it expires, where it is kept.
    kept: Option<([u8; 32], Vec<u8>, i64)>,
}

/// Steps that bring a database from one version to the next, as SQLite reads them; a step is never changed.
const STEPS: [&str; 7] = ["
CREATE TABLE keys (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, hash BLOB NOT NULL UNIQUE, scopes TEXT NOT NULL,
    created INTEGER NOT NULL, revoked INTEGER);
CREATE TABLE links (id BLOB PRIMARY KEY, tenant TEXT NOT NULL, sealed BLOB NOT NULL, expires INTEGER NOT NULL);
CREATE INDEX links_expire ON links (expires);
CREATE TABLE versions (tenant TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL,
    created INTEGER NOT NULL, PRIMARY KEY (tenant, name, version));
CREATE TABLE published (tenant TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (tenant, name));
CREATE TABLE jobs (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, template TEXT NOT NULL,
    version TEXT NOT NULL, state TEXT NOT NULL, priority INTEGER NOT NULL, created INTEGER NOT NULL, started INTEGER,
    finished INTEGER, deadline INTEGER, not_before INTEGER NOT NULL, attempts INTEGER NOT NULL, sealed BLOB NOT NULL, file TEXT,
    bytes INTEGER, frames INTEGER NOT NULL, done INTEGER NOT NULL, code TEXT, sealed_detail BLOB, idem BLOB, idem_body BLOB);
CREATE UNIQUE INDEX jobs_idem ON jobs (tenant, idem) WHERE idem IS NOT NULL;
CREATE INDEX jobs_open ON jobs (state, priority, seq) WHERE state IN ('queued', 'rendering');
CREATE INDEX jobs_of_tenant ON jobs (tenant, seq);
CREATE TABLE deliveries (id TEXT PRIMARY KEY, job TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, sealed BLOB NOT NULL, attempts INTEGER NOT NULL,
    next INTEGER, state TEXT NOT NULL, last TEXT, changed INTEGER NOT NULL);
CREATE INDEX deliveries_due ON deliveries (next) WHERE next IS NOT NULL;
", "
CREATE TABLE viewers (id BLOB PRIMARY KEY, erased INTEGER NOT NULL, links INTEGER NOT NULL, changed INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE owners (id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, template TEXT NOT NULL, viewer BLOB NOT NULL, day INTEGER NOT NULL,
    UNIQUE (tenant, template, day, viewer));
CREATE INDEX owners_viewer ON owners (viewer);
CREATE TABLE uses (key BLOB NOT NULL, kind INTEGER NOT NULL, detail INTEGER NOT NULL, owner INTEGER NOT NULL,
    PRIMARY KEY (key, kind, detail, owner)) WITHOUT ROWID;
CREATE INDEX uses_owner ON uses (owner);
CREATE TABLE doomed (key BLOB NOT NULL, kind INTEGER NOT NULL, detail INTEGER NOT NULL, since INTEGER NOT NULL,
    PRIMARY KEY (key, kind, detail)) WITHOUT ROWID;
CREATE TABLE retention (tenant TEXT NOT NULL, template TEXT NOT NULL, days INTEGER NOT NULL, PRIMARY KEY (tenant, template)) WITHOUT ROWID;
ALTER TABLE jobs ADD COLUMN viewer BLOB;
CREATE INDEX jobs_viewer ON jobs (viewer) WHERE viewer IS NOT NULL;
ALTER TABLE links ADD COLUMN viewer BLOB;
ALTER TABLE links ADD COLUMN template TEXT;
ALTER TABLE links ADD COLUMN created INTEGER;
CREATE INDEX links_viewer ON links (viewer) WHERE viewer IS NOT NULL;
", "
CREATE TABLE batches (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, template TEXT NOT NULL,
    version TEXT NOT NULL, state TEXT NOT NULL, priority INTEGER NOT NULL, served INTEGER NOT NULL, created INTEGER NOT NULL, begun INTEGER,
    finished INTEGER, start INTEGER NOT NULL, total INTEGER NOT NULL, done INTEGER NOT NULL, failed INTEGER NOT NULL,
    erased INTEGER NOT NULL, sealed BLOB NOT NULL, forecast BLOB, code TEXT);
CREATE INDEX batches_open ON batches (state) WHERE finished IS NULL;
CREATE INDEX batches_of_tenant ON batches (tenant, seq);
CREATE TABLE batch_rows (batch INTEGER NOT NULL, number INTEGER NOT NULL, state INTEGER NOT NULL, viewer BLOB, not_before INTEGER NOT NULL,
    attempts INTEGER NOT NULL, sealed BLOB NOT NULL, cells BLOB, file TEXT, link BLOB, detail BLOB, PRIMARY KEY (batch, number)) WITHOUT ROWID;
CREATE INDEX batch_rows_open ON batch_rows (batch, state, number) WHERE state IN (0, 1);
CREATE INDEX batch_rows_viewer ON batch_rows (viewer) WHERE viewer IS NOT NULL;
CREATE INDEX batch_rows_file ON batch_rows (file) WHERE file IS NOT NULL;
", "
CREATE TABLE signing_keys (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, created INTEGER NOT NULL, ends INTEGER);
CREATE INDEX signing_keys_of_tenant ON signing_keys (tenant);
", "
ALTER TABLE keys ADD COLUMN expires INTEGER;
ALTER TABLE keys ADD COLUMN renders_per_day INTEGER;
ALTER TABLE keys ADD COLUMN seconds_per_day INTEGER;
CREATE TABLE quota_used (key TEXT NOT NULL, day INTEGER NOT NULL, renders INTEGER NOT NULL, millis INTEGER NOT NULL,
    PRIMARY KEY (key, day)) WITHOUT ROWID;
", "
ALTER TABLE keys ADD COLUMN links_per_day INTEGER;
", "
CREATE TABLE processes (id TEXT PRIMARY KEY, beat INTEGER NOT NULL) WITHOUT ROWID;
ALTER TABLE jobs ADD COLUMN worker TEXT;
ALTER TABLE deliveries ADD COLUMN worker TEXT;
ALTER TABLE batches ADD COLUMN worker TEXT;
ALTER TABLE batch_rows ADD COLUMN worker TEXT;
CREATE INDEX viewers_erased ON viewers (changed) WHERE erased > 0;
"];

/// Longer than any pause before something is tried again, in milliseconds. What is due later than that was put off by a clock that has
/// been set back since, and is due now.
pub(crate) const LONGEST_PAUSE: i64 = 3 * 86_400_000;

/// A key that was presented.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    /// Its public name.
    pub id: String,
    /// Whose it is.
    pub tenant: String,
    /// What it may do, separated by spaces.
    pub scopes: String,
    /// What it may have made in a day.
    pub quota: Quota,
}

/// A job as it is kept.
#[derive(Clone, Debug)]
pub struct JobRecord {
    /// Grows from job to job.
    pub seq: i64,
    /// Its public name.
    pub id: String,
    /// Whose it is.
    pub tenant: String,
    /// The template.
    pub template: String,
    /// The template's version.
    pub version: String,
    /// queued, rendering, done, failed, cancelled, expired.
    pub state: String,
    /// Larger is sooner.
    pub priority: i64,
    /// When it was accepted, in milliseconds since 1970, as all moments here.
    pub created: i64,
    /// When it was last begun.
    pub started: Option<i64>,
    /// When it ended.
    pub finished: Option<i64>,
    /// When it is not worth beginning any more.
    pub deadline: Option<i64>,
    /// How often it was begun.
    pub attempts: i64,
    /// The request, sealed.
    pub sealed: Vec<u8>,
    /// The finished file's name.
    pub file: Option<String>,
    /// Its length.
    pub bytes: Option<i64>,
    /// Frames of the whole video.
    pub frames: i64,
    /// Frames that are done.
    pub done: i64,
    /// Why it failed: a stable code.
    pub code: Option<String>,
    /// Why it failed, in words, sealed.
    pub sealed_detail: Option<Vec<u8>>,
}

const JOB: &str = "seq, id, tenant, template, version, state, priority, created, started, finished, deadline, attempts, sealed, file, \
                   bytes, frames, done, code, sealed_detail";

fn job(row: &Row) -> Result<JobRecord, Fault> {
    Ok(JobRecord {
        seq: row.get(0)?,
        id: row.get(1)?,
        tenant: row.get(2)?,
        template: row.get(3)?,
        version: row.get(4)?,
        state: row.get(5)?,
        priority: row.get(6)?,
        created: row.get(7)?,
        started: row.get(8)?,
        finished: row.get(9)?,
        deadline: row.get(10)?,
        attempts: row.get(11)?,
        sealed: row.get(12)?,
        file: row.get(13)?,
        bytes: row.get(14)?,
        frames: row.get(15)?,
        done: row.get(16)?,
        code: row.get(17)?,
        sealed_detail: row.get(18)?,
    })
}

/// A job to be accepted.
pub struct NewJob<'a> {
    /// Its public name.
    pub id: &'a str,
    /// Whose it is.
    pub tenant: &'a str,
    /// The template.
    pub template: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Larger is sooner.
    pub priority: i64,
    /// When it is not worth beginning any more.
    pub deadline: Option<i64>,
    /// The request, sealed.
    pub sealed: &'a [u8],
    /// Frames of the whole video.
    pub frames: u32,
    /// The caller's idempotency key and the request's body, each by a keyed digest.
    pub idem: Option<([u8; 32], [u8; 32])>,
    /// Whom the video is for, and what is made for it.
    pub record: &'a Record<'a>,
}

/// What a list of jobs is narrowed by.
#[derive(Debug, Default)]
pub struct JobFilter {
    /// Only those in this state.
    pub state: Option<String>,
    /// Only those of this template.
    pub template: Option<String>,
    /// Only those for this viewer.
    pub viewer: Option<ViewerId>,
    /// Only those made then or later, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Only those made before then.
    pub until: Option<i64>,
}

/// A link whose token does not fit into a URL.
pub struct KeptLink<'a> {
    /// Its name, by a keyed digest.
    pub id: &'a [u8; 32],
    /// What it says, sealed.
    pub sealed: &'a [u8],
    /// When it expires, in seconds since 1970.
    pub expires: i64,
}

/// What became of a job that was offered.
pub enum Accepted {
    /// It is in the queue.
    New(JobRecord),
    /// The same request came before.
    Known(JobRecord),
    /// Another request came before under the same idempotency key.
    Conflict,
    /// The queue is full.
    Full,
}

/// A webhook that is to be sent.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message's name, the same at every attempt.
    pub id: String,
    /// The job that it tells of.
    pub job: String,
    /// Whose it is.
    pub tenant: String,
    /// Where to, sealed.
    pub sealed: Vec<u8>,
    /// How often it was tried.
    pub attempts: i64,
}

/// How a webhook stands, as its job tells.
#[derive(Clone, Debug)]
pub struct DeliveryState {
    /// pending, delivered, failed.
    pub state: String,
    /// How often it was tried.
    pub attempts: i64,
    /// What came of the last attempt, as a code.
    pub last: Option<String>,
}

impl Records {
    /// Opens the database, makes it when it is not there, and brings it to this program's version.
    ///
    /// # Errors
    /// What the database says; one of a later program. In words, without a password.
    pub fn open(source: &Source) -> Result<Records, String> {
        Ok(Records { database: Database::open(source, &STEPS)?, me: random_name()?, links: Group::default() })
    }

    pub(crate) fn lock(&self) -> Held<'_> {
        self.database.lock()
    }

    /// Whether it answers.
    pub fn is_well(&self) -> bool {
        self.lock().query_row("SELECT 1", &[], |row| row.get::<i64>(0)).is_ok()
    }

    /// Adds a key by the digest of its secret.
    ///
    /// # Errors
    /// What the database says.
    pub fn add_key(
        &self,
        id: &str,
        tenant: &str,
        hash: &[u8; 32],
        scopes: &str,
        quota: Quota,
    ) -> Result<(), Problem> {
        self.lock().execute(
            "INSERT INTO keys (id, tenant, hash, scopes, created, renders_per_day, seconds_per_day, links_per_day) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![id, tenant, hash, scopes, clock::now_millis(), quota.renders, quota.seconds, quota.links],
        )?;
        Ok(())
    }

    /// Ends a key. Whether there was one.
    ///
    /// # Errors
    /// What the database says.
    pub fn revoke_key(&self, id: &str) -> Result<bool, Problem> {
        let change = "UPDATE keys SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL";
        Ok(self.lock().execute(change, params![id, clock::now_millis()])? > 0)
    }

    /// Adds a key that may do what the key `old` may, which ends in `overlap` milliseconds. Whether there was one.
    ///
    /// # Errors
    /// What the database says; then nothing changed.
    pub fn renew_key(&self, old: &str, id: &str, hash: &[u8; 32], overlap: i64) -> Result<bool, Problem> {
        let now = clock::now_millis();
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let added = change.execute(
            "INSERT INTO keys (id, tenant, hash, scopes, created, renders_per_day, seconds_per_day, links_per_day) SELECT ?2, tenant, ?3, \
             scopes, ?4, renders_per_day, seconds_per_day, links_per_day FROM keys WHERE id = ?1 AND revoked IS NULL AND (expires IS NULL OR expires > ?4)",
            params![old, id, hash, now],
        )?;
        change.execute(
            "UPDATE keys SET expires = CASE WHEN expires < ?2 THEN expires ELSE ?2 END WHERE id = ?1",
            params![old, now + overlap],
        )?;
        change.commit()?;
        Ok(added > 0)
    }

    /// The key whose secret has this digest.
    ///
    /// # Errors
    /// What the database says.
    pub fn key(&self, hash: &[u8; 32]) -> Result<Option<KeyRecord>, Problem> {
        let query = "SELECT id, tenant, scopes, renders_per_day, seconds_per_day, links_per_day FROM keys WHERE hash = ?1 AND revoked IS NULL AND \
                     (expires IS NULL OR expires > ?2)";
        let read = |row: &Row| {
            let quota = Quota { renders: row.get(3)?, seconds: row.get(4)?, links: row.get(5)? };
            Ok(KeyRecord { id: row.get(0)?, tenant: row.get(1)?, scopes: row.get(2)?, quota })
        };
        let values = params![hash, clock::now_millis()];
        Ok(self.lock().query_row(query, values, read).optional()?)
    }

    /// Whether any key was ever made.
    ///
    /// # Errors
    /// What the database says.
    pub fn has_keys(&self) -> Result<bool, Problem> {
        Ok(self.lock().query_row("SELECT EXISTS (SELECT 1 FROM keys)", &[], |row| row.get(0))?)
    }

    /// Notes a link, and keeps it here under its id when it is too long for a URL. In a file, links that come at the same time share a
    /// step; PostgreSQL itself waits once for the steps of several connections.
    ///
    /// # Errors
    /// What the database says; then there is no such link.
    pub fn add_link(&self, record: &Record<'_>, kept: Option<&KeptLink<'_>>) -> Result<(), Problem> {
        let Record { tenant, template, viewer, uses } = record;
        let link = NewLink {
            tenant: (*tenant).to_owned(),
            template: (*template).to_owned(),
            viewer: *viewer,
            uses: uses.to_vec(),
            kept: kept.map(|kept| (*kept.id, kept.sealed.to_vec(), kept.expires)),
        };
        match self.database.is_shared() {
            true => Ok(self.write_links(&[link])?),
            false => Ok(self.links.add(link, |links| self.write_links(links))?),
        }
    }

    fn write_links(&self, links: &[NewLink]) -> Result<(), Fault> {
        let mut connection = self.lock();
        let change = connection.addition()?;
        for NewLink { tenant, template, viewer, uses, kept } in links {
            Record { tenant, template, viewer: *viewer, uses }.write(&change)?;
            let now = clock::now_millis();
            if let Some(viewer) = viewer {
                change.execute(
                    "INSERT INTO viewers VALUES (?1, 0, 1, ?2) ON CONFLICT (id) DO UPDATE SET links = viewers.links + 1, changed = ?2",
                    params![viewer, now],
                )?;
            }
            if let Some((id, sealed, expires)) = kept {
                change.execute(
                    "INSERT INTO links (id, tenant, sealed, expires, viewer, template, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![id, tenant, sealed, expires, viewer, template, now],
                )?;
            }
        }
        change.commit()
    }

    /// A link that was kept.
    ///
    /// # Errors
    /// What the database says.
    pub fn link(&self, id: &[u8; 32]) -> Result<Option<Vec<u8>>, Problem> {
        let query = "SELECT sealed FROM links WHERE id = ?1";
        Ok(self.lock().query_row(query, params![id], |row| row.get(0)).optional()?)
    }

    /// The published version of an uploaded template.
    ///
    /// # Errors
    /// What the database says.
    pub fn published(&self, tenant: &str, name: &str) -> Result<Option<i64>, Problem> {
        let query = "SELECT version FROM published WHERE tenant = ?1 AND name = ?2";
        Ok(self.lock().query_row(query, params![tenant, name], |row| row.get(0)).optional()?)
    }

    /// Whether a version was uploaded.
    ///
    /// # Errors
    /// What the database says.
    pub fn has_version(&self, tenant: &str, name: &str, version: i64) -> Result<bool, Problem> {
        let query = "SELECT EXISTS (SELECT 1 FROM versions WHERE tenant = ?1 AND name = ?2 AND version = ?3)";
        Ok(self.lock().query_row(query, params![tenant, name, version], |row| row.get(0))?)
    }

    /// The version of a template that has this digest.
    ///
    /// # Errors
    /// What the database says.
    pub fn version_of(&self, tenant: &str, name: &str, digest: &str) -> Result<Option<i64>, Problem> {
        let query = "SELECT version FROM versions WHERE tenant = ?1 AND name = ?2 AND digest = ?3";
        let found = self.lock().query_row(query, params![tenant, name, digest], |row| row.get(0));
        Ok(found.optional()?)
    }

    /// Adds a version: `place` puts its files where its number says, before it is known. The first version of a template is published.
    ///
    /// # Errors
    /// What the database or `place` says; then there is no such version.
    pub fn add_version(
        &self,
        tenant: &str,
        name: &str,
        digest: &str,
        place: impl FnOnce(i64) -> Result<(), Problem>,
    ) -> Result<i64, Problem> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let last = "SELECT COALESCE(MAX(version), 0) FROM versions WHERE tenant = ?1 AND name = ?2";
        let version: i64 = change.query_row(last, params![tenant, name], |row| row.get::<i64>(0))? + 1;
        change.execute(
            "INSERT INTO versions (tenant, name, version, digest, created) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![tenant, name, version, digest, clock::now_millis()],
        )?;
        change.execute(
            "INSERT INTO published VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![tenant, name, version],
        )?;
        place(version)?;
        change.commit()?;
        Ok(version)
    }

    /// Publishes a version. Whether there is one.
    ///
    /// # Errors
    /// What the database says.
    pub fn publish(&self, tenant: &str, name: &str, version: i64) -> Result<bool, Problem> {
        let change = "INSERT INTO published SELECT tenant, name, version FROM versions WHERE tenant = ?1 AND name = ?2 AND version = ?3 \
                      ON CONFLICT (tenant, name) DO UPDATE SET version = excluded.version";
        Ok(self.lock().execute(change, params![tenant, name, version])? > 0)
    }

    /// A template's versions with digest and creation, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn versions(&self, tenant: &str, name: &str) -> Result<Vec<(i64, String, i64)>, Problem> {
        let connection = self.lock();
        Ok(connection.query_map("SELECT version, digest, created FROM versions WHERE tenant = ?1 AND name = ?2 ORDER BY version DESC LIMIT 1000", params![tenant, name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?)
    }

    /// A tenant's uploaded templates with their published versions.
    ///
    /// # Errors
    /// What the database says.
    pub fn templates(&self, tenant: &str) -> Result<Vec<(String, i64)>, Problem> {
        let connection = self.lock();
        Ok(connection.query_map(
            "SELECT name, version FROM published WHERE tenant = ?1 ORDER BY name LIMIT 1000",
            params![tenant],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?)
    }

    /// Every tenant with each name that it uploaded.
    ///
    /// # Errors
    /// What the database says.
    pub fn uploaded(&self) -> Result<HashSet<(String, String)>, Problem> {
        let query = "SELECT tenant, name FROM published";
        let rows = self.lock().query_map(query, &[], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.into_iter().collect())
    }

    /// Offers a job to a queue of at most `most`.
    ///
    /// # Errors
    /// What the database says; then it was not accepted.
    pub fn accept(&self, new: &NewJob<'_>, most: u64) -> Result<Accepted, Problem> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        if let Some((idem, body)) = new.idem {
            let query = format!("SELECT {JOB}, idem_body FROM jobs WHERE tenant = ?1 AND idem = ?2");
            let read = |row: &Row| Ok((job(row)?, row.get::<Vec<u8>>(19)?));
            if let Some((known, before)) =
                change.query_row(&query, params![new.tenant, idem], read).optional()?
            {
                return Ok(if before == body { Accepted::Known(known) } else { Accepted::Conflict });
            }
        }
        let open = "SELECT COUNT(*) FROM jobs WHERE state IN ('queued', 'rendering')";
        if change.query_row(open, &[], |row| row.get::<i64>(0))? >= i64::try_from(most).unwrap_or(i64::MAX) {
            return Ok(Accepted::Full);
        }
        let (idem, body) = new.idem.unzip();
        change.execute(
            "INSERT INTO jobs (id, tenant, template, version, state, priority, created, deadline, not_before, attempts, sealed, frames, \
             done, idem, idem_body, viewer) VALUES (?1, ?2, ?3, ?4, 'queued', ?5, ?6, ?7, 0, 0, ?8, ?9, 0, ?10, ?11, ?12)",
            params![
                new.id, new.tenant, new.template, new.version, new.priority, clock::now_millis(), new.deadline, new.sealed,
                new.frames, idem, body, new.record.viewer
            ],
        )?;
        new.record.write(&change)?;
        let made =
            change.query_row(&format!("SELECT {JOB} FROM jobs WHERE id = ?1"), params![new.id], job)?;
        change.commit()?;
        Ok(Accepted::New(made))
    }

    /// A job, if it is this tenant's.
    ///
    /// # Errors
    /// What the database says.
    pub fn job(&self, tenant: &str, id: &str) -> Result<Option<JobRecord>, Problem> {
        let query = format!("SELECT {JOB} FROM jobs WHERE id = ?1 AND tenant = ?2");
        Ok(self.lock().query_row(&query, params![id, tenant], job).optional()?)
    }

    /// A tenant's jobs that `filter` takes, newest first, before `cursor`.
    ///
    /// # Errors
    /// What the database says.
    pub fn jobs(
        &self,
        tenant: &str,
        filter: &JobFilter,
        cursor: Option<i64>,
        most: u32,
    ) -> Result<Vec<JobRecord>, Problem> {
        let query = format!(
            "SELECT {JOB} FROM jobs WHERE tenant = ?1 AND seq < ?2 AND (?3 IS NULL OR state = ?3) AND (?4 IS NULL OR template = ?4) \
             AND (?6 IS NULL OR viewer = ?6) AND created >= ?7 AND created < ?8 ORDER BY seq DESC LIMIT ?5"
        );
        let connection = self.lock();
        let JobFilter { state, template, viewer, since, until } = filter;
        let (since, until) = (since.unwrap_or(i64::MIN), until.unwrap_or(i64::MAX));
        let values = params![tenant, cursor.unwrap_or(i64::MAX), state, template, most, viewer, since, until];
        Ok(connection.query_map(&query, values, job)?)
    }

    /// Takes the next job and marks it as being rendered. Those whose deadline has passed expire on the way.
    ///
    /// # Errors
    /// What the database says.
    pub fn begin_job(&self) -> Result<Option<JobRecord>, Problem> {
        let now = clock::now_millis();
        let mut connection = self.lock();
        let change = connection.addition()?;
        change.execute(
            "UPDATE jobs SET state = 'expired', finished = ?1, code = 'expired', sealed = x'' WHERE seq IN \
             (SELECT seq FROM jobs WHERE state = 'queued' AND deadline < ?1 FOR UPDATE SKIP LOCKED)",
            params![now],
        )?;
        let query = format!(
            "SELECT {JOB} FROM jobs WHERE state = 'queued' AND not_before NOT BETWEEN ?1 + 1 AND ?1 + ?2 ORDER BY priority DESC, seq \
             LIMIT 1 FOR UPDATE SKIP LOCKED"
        );
        let next = change.query_row(&query, params![now, LONGEST_PAUSE], job).optional()?;
        if let Some(next) = &next {
            change.execute(
                "UPDATE jobs SET state = 'rendering', started = ?2, attempts = attempts + 1, done = 0, worker = ?3 WHERE seq = ?1",
                params![next.seq, now, self.me],
            )?;
        }
        change.commit()?;
        Ok(next)
    }

    /// Puts one job back, to be begun in `pause` milliseconds at the earliest.
    ///
    /// # Errors
    /// What the database says.
    pub fn put_back(&self, id: &str, pause: i64) -> Result<(), Problem> {
        let change = "UPDATE jobs SET state = 'queued', not_before = ?2 WHERE id = ?1 AND state = 'rendering' AND worker = ?3";
        self.lock().execute(change, params![id, clock::now_millis() + pause, self.me])?;
        Ok(())
    }

    /// Notes how far a job has come.
    ///
    /// # Errors
    /// What the database says.
    pub fn progress(&self, id: &str, done: u32) -> Result<(), Problem> {
        let change = "UPDATE jobs SET done = ?2 WHERE id = ?1 AND state = 'rendering' AND worker = ?3";
        self.lock().execute(change, params![id, done, self.me])?;
        Ok(())
    }

    /// Ends a job that is being rendered here, and with it lays the webhook ready, in one step. Whether it still was.
    ///
    /// # Errors
    /// What the database says; then nothing changed.
    pub fn end_job(&self, id: &str, end: &End<'_>, hook: Option<(&str, &[u8])>) -> Result<bool, Problem> {
        let now = clock::now_millis();
        let mut connection = self.lock();
        let change = connection.transaction()?;
        let changed = match end {
            End::Done { file, bytes } => change.execute(
                "UPDATE jobs SET state = 'done', finished = ?2, file = ?3, bytes = ?4, done = frames, sealed = x'' \
                 WHERE id = ?1 AND state = 'rendering' AND worker = ?5",
                params![id, now, file, i64::try_from(*bytes).unwrap_or(i64::MAX), self.me],
            )?,
            End::Failed { code, sealed_detail } => change.execute(
                "UPDATE jobs SET state = 'failed', finished = ?2, code = ?3, sealed_detail = ?4, sealed = x'' \
                 WHERE id = ?1 AND state = 'rendering' AND worker = ?5",
                params![id, now, code, sealed_detail, self.me],
            )?,
        };
        if changed > 0
            && let Some((message, sealed)) = hook
        {
            change.execute(
                "INSERT INTO deliveries (id, job, tenant, sealed, attempts, next, state, changed) \
                 SELECT ?1, id, tenant, ?2, 0, ?3, 'pending', ?3 FROM jobs WHERE id = ?4 ON CONFLICT DO NOTHING",
                params![message, sealed, now, id],
            )?;
        }
        change.commit()?;
        Ok(changed > 0)
    }

    /// Cancels a job that has not ended. Whether it had not.
    ///
    /// # Errors
    /// What the database says.
    pub fn cancel_job(&self, tenant: &str, id: &str) -> Result<bool, Problem> {
        let change = "UPDATE jobs SET state = 'cancelled', finished = ?3, code = 'cancelled', sealed = x'' \
                      WHERE id = ?1 AND tenant = ?2 AND state IN ('queued', 'rendering')";
        Ok(self.lock().execute(change, params![id, tenant, clock::now_millis()])? > 0)
    }

    /// Jobs that are being rendered here.
    ///
    /// # Errors
    /// What the database says.
    pub fn under_way(&self) -> Result<u64, Problem> {
        let query = "SELECT COUNT(*) FROM jobs WHERE state = 'rendering' AND worker = ?1";
        let count: i64 = self.lock().query_row(query, params![self.me], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Jobs that wait, and that are being rendered, here or elsewhere.
    ///
    /// # Errors
    /// What the database says.
    pub fn queue(&self) -> Result<(u64, u64), Problem> {
        let query = "SELECT COUNT(*) FILTER (WHERE state = 'queued'), COUNT(*) FILTER (WHERE state = 'rendering') FROM jobs \
                     WHERE state IN ('queued', 'rendering')";
        let (waiting, begun): (i64, i64) =
            self.lock().query_row(query, &[], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((u64::try_from(waiting).unwrap_or(0), u64::try_from(begun).unwrap_or(0)))
    }

    /// Webhooks that are due. Where others share the database, each is this process's for `patience` milliseconds.
    ///
    /// # Errors
    /// What the database says.
    pub fn due(&self, most: u32, patience: i64) -> Result<Vec<Delivery>, Problem> {
        let read = |row: &Row| {
            Ok(Delivery {
                id: row.get(0)?,
                job: row.get(1)?,
                tenant: row.get(2)?,
                sealed: row.get(3)?,
                attempts: row.get(4)?,
            })
        };
        let now = clock::now_millis();
        let query = "SELECT id, job, tenant, sealed, attempts FROM deliveries WHERE next NOT BETWEEN ?1 + 1 AND ?1 + ?3 ORDER BY next \
                     LIMIT ?2 FOR UPDATE SKIP LOCKED";
        let mut connection = self.lock();
        if !self.database.is_shared() {
            return Ok(connection.query_map(query, params![now, most, LONGEST_PAUSE], read)?);
        }
        let change = connection.addition()?;
        let due = change.query_map(query, params![now, most, LONGEST_PAUSE], read)?;
        for delivery in &due {
            let claim = "UPDATE deliveries SET next = ?2, worker = ?3 WHERE id = ?1";
            change.execute(claim, params![delivery.id, now + patience, self.me])?;
        }
        change.commit()?;
        Ok(due)
    }

    /// Notes an attempt: when the next one is due, `None` for never.
    ///
    /// # Errors
    /// What the database says.
    pub fn attempted(&self, id: &str, state: &str, last: &str, next: Option<i64>) -> Result<(), Problem> {
        // Where it went is not needed any more once it went there.
        let change = "UPDATE deliveries SET attempts = attempts + 1, state = ?2, last = ?3, next = ?4, changed = ?5, worker = NULL, \
                      sealed = CASE WHEN ?4 IS NULL THEN x'' ELSE sealed END WHERE id = ?1";
        self.lock().execute(change, params![id, state, last, next, clock::now_millis()])?;
        Ok(())
    }

    /// How a job's webhook stands.
    ///
    /// # Errors
    /// What the database says.
    pub fn delivery_of(&self, job: &str) -> Result<Option<DeliveryState>, Problem> {
        let query = "SELECT state, attempts, last FROM deliveries WHERE job = ?1";
        let read =
            |row: &Row| Ok(DeliveryState { state: row.get(0)?, attempts: row.get(1)?, last: row.get(2)? });
        Ok(self.lock().query_row(query, params![job], read).optional()?)
    }

    /// Removes links that expired, and what is known of webhooks that ended before a moment.
    ///
    /// # Errors
    /// What the database says.
    pub fn sweep(&self, before: i64) -> Result<(), Problem> {
        let mut connection = self.lock();
        let change = connection.transaction()?;
        change.execute("DELETE FROM links WHERE expires < ?1", params![clock::now()])?;
        change.execute("DELETE FROM deliveries WHERE next IS NULL AND changed < ?1", params![before])?;
        change.commit()?;
        Ok(())
    }

    /// The files of jobs that ended before a moment, and of nothing else.
    ///
    /// # Errors
    /// What the database says.
    pub fn old_files(&self, before: i64) -> Result<Vec<String>, Problem> {
        let query = "SELECT DISTINCT file FROM jobs WHERE finished < ?1 AND file IS NOT NULL AND file NOT IN \
             (SELECT file FROM jobs WHERE file IS NOT NULL AND finished >= ?1) AND file NOT IN \
             (SELECT file FROM batch_rows WHERE file IS NOT NULL)";
        Ok(self.lock().query_map(query, params![before], |row| row.get(0))?)
    }

    /// Removes what is known of jobs that ended before a moment.
    ///
    /// # Errors
    /// What the database says.
    pub fn forget_jobs(&self, before: i64) -> Result<(), Problem> {
        self.lock().execute("DELETE FROM jobs WHERE finished < ?1", params![before])?;
        Ok(())
    }
}

/// How a job ends.
pub enum End<'a> {
    /// With a file.
    Done {
        /// Its name.
        file: &'a str,
        /// Its length.
        bytes: u64,
    },
    /// Without one.
    Failed {
        /// Why, as a code.
        code: &'a str,
        /// Why, in words, sealed.
        sealed_detail: &'a [u8],
    },
}
