//! The database: SQLite in a file, or PostgreSQL by its URL, behind one face.
//!
//! ```text
//! Database ── lock ──► Held ── transaction ──► Change ── commit
//!                        │        addition        │
//!                        └── execute, query_row, query_map
//! ```
//!
//! SQLite has one connection, so steps go one after the other. On PostgreSQL the same is true, over all processes that share it, of what
//! [`Held::transaction`] begins: each takes one lock of the whole database (`pg_advisory_xact_lock`), so that what was read is still so
//! when it is written. Steps that only add or only claim ([`Held::addition`]) share that lock and go beside one another.

mod dialect;
mod postgres;
#[cfg(test)]
pub(crate) mod testing;
mod value;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, params_from_iter};

pub use self::value::{Cell, FromCell, Nullable, Row, ToValue, Value};
pub use crate::database_params as params;
use crate::problem::Problem;

/// Where the records are.
#[derive(Clone)]
pub enum Source {
    /// In a file of SQLite.
    File(PathBuf),
    /// In PostgreSQL, by its URL, which may hold a password.
    Url(String),
}

/// Why a statement has no result. Says nothing of any value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no such row.
    #[error("there is no such row")]
    Empty,
    /// It is away, full or held by somebody else: that passes, or its operator sees to it.
    #[error("the database does not answer: {0}")]
    Away(String),
    /// It does not understand, or a rule of it is broken.
    #[error("the database failed: {0}")]
    Failed(String),
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Away(code) => {
                crate::log::error("database", &code);
                Problem::busy()
            }
            Fault::Failed(code) => Problem::internal(&format!("the database failed: {code}")),
            Fault::Empty => Problem::internal("the database has no such row"),
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        if matches!(error, rusqlite::Error::QueryReturnedNoRows) {
            return Fault::Empty;
        }
        // The words of SQLite may hold values; its code does not.
        let code = error.sqlite_error_code();
        let told = code.map_or_else(|| "none".to_owned(), |code| format!("{code:?}"));
        match code {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly,
            ) => Fault::Away(told),
            _ => Fault::Failed(told),
        }
    }
}

/// Makes a row that there is not none.
pub trait OptionalExtension<T> {
    /// `None` for [`Fault::Empty`].
    ///
    /// # Errors
    /// Every other fault.
    fn optional(self) -> Result<Option<T>, Fault>;
}

impl<T> OptionalExtension<T> for Result<T, Fault> {
    fn optional(self) -> Result<Option<T>, Fault> {
        match self {
            Ok(value) => Ok(Some(value)),
            Err(Fault::Empty) => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

/// The parameters of a statement.
pub type Params<'a> = &'a [&'a dyn ToValue];

/// A database.
pub struct Database(Kind);

enum Kind {
    Sqlite(Mutex<Connection>),
    Postgres(Box<postgres::Pool>),
}

impl Database {
    /// Opens it, makes it when it is not there, and brings it to this program's version by `steps`, which are written for SQLite.
    ///
    /// # Errors
    /// A database that cannot be reached, or of a later program. In words, without a password.
    pub fn open(source: &Source, steps: &[&str]) -> Result<Database, String> {
        match source {
            Source::File(path) => Ok(Database(Kind::Sqlite(Mutex::new(
                open_file(path, steps).map_err(|why| format!("{}: {why}", path.display()))?,
            )))),
            Source::Url(url) => {
                let database = Database(Kind::Postgres(Box::new(postgres::Pool::open(url)?)));
                database.bring_up(steps)?;
                Ok(database)
            }
        }
    }

    /// Whether a PostgreSQL answers under this URL to whom it names.
    ///
    /// # Errors
    /// What is wrong with the URL, or why it does not, in words without a password.
    pub fn check(url: &str) -> Result<(), String> {
        postgres::Pool::open(url).map(drop)
    }

    /// Whether other processes may work with it at the same time.
    pub fn is_shared(&self) -> bool {
        matches!(self.0, Kind::Postgres(_))
    }

    /// Takes a connection; waits while none is free. One that cannot be had tells so at its first statement.
    pub fn lock(&self) -> Held<'_> {
        Held(match &self.0 {
            // A transaction that was left behind by a panic was rolled back, so the connection is as good as before.
            Kind::Sqlite(connection) => {
                Side::Sqlite(connection.lock().unwrap_or_else(PoisonError::into_inner))
            }
            Kind::Postgres(pool) => pool.take().map_or_else(Side::Away, Side::Postgres),
        })
    }

    /// Brings a PostgreSQL to this program's version, one process at a time.
    fn bring_up(&self, steps: &[&str]) -> Result<(), String> {
        let tell = |fault: Fault| fault.to_string();
        for number in 1.. {
            let mut held = self.lock();
            let change = held.transaction().map_err(tell)?;
            change
                .batch("CREATE TABLE IF NOT EXISTS vignette_schema (version BIGINT NOT NULL)")
                .map_err(tell)?;
            let version =
                change.query_row("SELECT COALESCE(MAX(version), 0) FROM vignette_schema", &[], |row| {
                    row.get(0)
                });
            let version: i64 = version.map_err(tell)?;
            if version > steps.len() as i64 {
                return Err("the database was written by a later version of this program".to_owned());
            }
            let Some(step) = usize::try_from(version).ok().and_then(|version| steps.get(version)) else {
                break;
            };
            change
                .batch(&dialect::postgres_schema(step))
                .map_err(|fault| format!("step {number}: {fault}"))?;
            change.execute("INSERT INTO vignette_schema VALUES (?1)", params![version + 1]).map_err(tell)?;
            change.commit().map_err(tell)?;
        }
        Ok(())
    }
}

fn open_file(path: &Path, steps: &[&str]) -> Result<Connection, String> {
    let tell = |error: rusqlite::Error| error.to_string();
    let mut connection = Connection::open(path).map_err(tell)?;
    connection.set_prepared_statement_cache_capacity(128);
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000; PRAGMA secure_delete = ON;")
        .map_err(tell)?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(tell)?;
    if version > steps.len() as i64 {
        return Err("written by a later version of this program".to_owned());
    }
    for (number, step) in (1..).zip(steps).skip(version as usize) {
        let change = connection.transaction().map_err(tell)?;
        change.execute_batch(step).map_err(tell)?;
        change.pragma_update(None, "user_version", number).map_err(tell)?;
        change.commit().map_err(tell)?;
    }
    Ok(connection)
}

/// A connection for a while. Each statement is a step of its own, unless a transaction is begun.
pub struct Held<'a>(Side<'a>);

enum Side<'a> {
    Sqlite(MutexGuard<'a, Connection>),
    Postgres(postgres::Lent<'a>),
    Away(Fault),
}

impl Held<'_> {
    /// Begins a step that may read before it writes: nobody else writes such a step meanwhile.
    ///
    /// # Errors
    /// A database that does not answer, or that others hold for too long.
    pub fn transaction(&mut self) -> Result<Change<'_>, Fault> {
        self.begin(postgres::Alone::Yes)
    }

    /// Begins a step that only adds, or only claims rows that it locks: others may do so at the same time.
    ///
    /// # Errors
    /// As [`Held::transaction`].
    pub fn addition(&mut self) -> Result<Change<'_>, Fault> {
        self.begin(postgres::Alone::No)
    }

    fn begin(&mut self, alone: postgres::Alone) -> Result<Change<'_>, Fault> {
        match &self.0 {
            Side::Sqlite(connection) => connection.execute_batch("BEGIN IMMEDIATE")?,
            Side::Postgres(lent) => lent.begin(alone)?,
            Side::Away(fault) => return Err(fault.clone()),
        }
        Ok(Change { held: self, over: false })
    }

    /// Runs a statement; gives how many rows it changed.
    ///
    /// # Errors
    /// What the database says.
    pub fn execute(&self, statement: &str, values: Params<'_>) -> Result<usize, Fault> {
        match &self.0 {
            Side::Sqlite(connection) => {
                let mut query = connection.prepare_cached(&dialect::sqlite(statement))?;
                Ok(query.execute(params_from_iter(values.iter().map(|value| value.to_value())))?)
            }
            Side::Postgres(lent) => lent.execute(statement, &[values]),
            Side::Away(fault) => Err(fault.clone()),
        }
    }

    /// Runs a statement once for each of `rows`, which costs one way to the database for all of them; gives how many rows were changed.
    ///
    /// # Errors
    /// What the database says.
    pub fn execute_many(&self, statement: &str, rows: &[Params<'_>]) -> Result<usize, Fault> {
        match &self.0 {
            Side::Postgres(lent) => lent.execute(statement, rows),
            _ => rows.iter().map(|values| self.execute(statement, values)).sum(),
        }
    }

    /// All rows of a statement's result.
    ///
    /// # Errors
    /// What the database or `read` says.
    pub fn query_map<T>(
        &self,
        statement: &str,
        values: Params<'_>,
        read: impl FnMut(&Row) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        self.query(statement, values)?.iter().map(read).collect()
    }

    /// The first row of a statement's result.
    ///
    /// # Errors
    /// [`Fault::Empty`] when there is none; what the database or `read` says.
    pub fn query_row<T>(
        &self,
        statement: &str,
        values: Params<'_>,
        read: impl FnOnce(&Row) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        read(self.query(statement, values)?.first().ok_or(Fault::Empty)?)
    }

    fn query(&self, statement: &str, values: Params<'_>) -> Result<Vec<Row>, Fault> {
        match &self.0 {
            Side::Sqlite(connection) => {
                let mut query = connection.prepare_cached(&dialect::sqlite(statement))?;
                let columns = query.column_count();
                let mut found = query.query(params_from_iter(values.iter().map(|value| value.to_value())))?;
                let mut rows = Vec::new();
                while let Some(row) = found.next()? {
                    rows.push(Row((0..columns)
                        .map(|place| Ok(cell(row.get_ref(place)?)))
                        .collect::<Result<_, Fault>>()?));
                }
                Ok(rows)
            }
            Side::Postgres(lent) => lent.query(statement, values),
            Side::Away(fault) => Err(fault.clone()),
        }
    }

    /// Runs statements without parameters, as the database reads them.
    fn batch(&self, statements: &str) -> Result<(), Fault> {
        match &self.0 {
            Side::Sqlite(connection) => Ok(connection.execute_batch(statements)?),
            Side::Postgres(lent) => lent.batch(statements),
            Side::Away(fault) => Err(fault.clone()),
        }
    }
}

fn cell(value: rusqlite::types::ValueRef<'_>) -> Cell {
    use rusqlite::types::ValueRef;
    match value {
        ValueRef::Integer(number) => Cell::Int(number),
        ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec()),
        // No column holds a fraction.
        ValueRef::Null | ValueRef::Real(_) => Cell::Null,
    }
}

/// A step that is done as a whole or not at all: not, unless it is committed.
pub struct Change<'a> {
    held: &'a Held<'a>,
    over: bool,
}

impl Change<'_> {
    /// Has all of it done.
    ///
    /// # Errors
    /// What the database says. When it went away just then, nobody knows whether it was done; whoever does it again finds out.
    pub fn commit(mut self) -> Result<(), Fault> {
        self.held.batch("COMMIT")?;
        self.over = true;
        Ok(())
    }
}

impl<'a> Deref for Change<'a> {
    type Target = Held<'a>;

    fn deref(&self) -> &Held<'a> {
        self.held
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if !self.over {
            // A database that is away, or gave the step up by itself, has nothing to take back.
            let _ = self.held.batch("ROLLBACK");
        }
    }
}
