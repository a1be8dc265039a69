//! Databases for tests.

use super::Source;
use crate::records::Records;

#[path = "../../../tests/common/postgres.rs"]
pub mod postgres;

/// Runs `test` on a new SQLite and on a new PostgreSQL. It is handed what opens the database, each time as another process does.
pub fn on_both(test: impl Fn(&dyn Fn() -> Records)) {
    let folder = tempfile::tempdir().unwrap();
    for source in [Source::File(folder.path().join("x.db")), Source::Url(postgres::shared().database())] {
        test(&|| Records::open(&source).unwrap());
    }
}

/// Runs `test` on a new PostgreSQL.
pub fn on_postgres(test: impl Fn(&dyn Fn() -> Records)) {
    let source = Source::Url(postgres::shared().database());
    test(&|| Records::open(&source).unwrap());
}
