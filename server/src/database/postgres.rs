//! PostgreSQL: connections that are made when they are needed, lent for a step, and made anew when they are lost.
//!
//! Calls block. What is sent and received goes through one thread with a runtime of its own, so it does not matter from where a call
//! comes, and every call has an end.

use std::cell::{Cell as Slot, RefCell};
use std::collections::HashMap;
use std::error::Error as _;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use futures_util::future::try_join_all;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, Error, Statement};

use super::value::{Cell, Row, Value};
use super::{Fault, Params, dialect};

mod tls;

/// Connections at a time.
const MOST: usize = 8;
/// How long a step waits for a connection.
const TURN: Duration = Duration::from_secs(5);
/// How long a statement may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What each connection is told: a step waits five seconds for others and leaves none waiting for longer.
const SESSION: &str = "SET lock_timeout = '5s'; SET statement_timeout = '10s'; SET idle_in_transaction_session_timeout = '20s'; \
                       SET default_transaction_isolation = 'read committed'; SET client_min_messages = warning";
/// Names the lock that steps which go alone take; the letters `vign`, beside the schema.
const LOCK: i32 = i32::from_be_bytes(*b"vign");

/// Whether a step goes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    Yes,
    No,
}

/// Connections to one database.
pub struct Pool {
    config: Config,
    connector: tls::Connector,
    runtime: Handle,
    /// Ends the runtime's thread when dropped.
    _end: oneshot::Sender<()>,
    state: Mutex<State>,
    free: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    /// Those that are lent or being made.
    lent: usize,
}

struct Connection {
    client: Client,
    statements: RefCell<HashMap<String, Statement>>,
}

impl Pool {
    /// Connects once, so that what is wrong is told at once.
    ///
    /// # Errors
    /// A URL that is none, or why there is no connection; in words, without the password.
    pub fn open(url: &str) -> Result<Pool, String> {
        // The parser's own words may hold a part of the URL.
        let mut config: Config = url.parse().map_err(|_| {
            "database: this is no URL of PostgreSQL, such as postgres://user:password@host:5432/name?sslmode=require; signs that mean \
             something in a URL are percent-encoded"
                .to_owned()
        })?;
        if config.get_ssl_mode() == SslMode::Prefer {
            let local = is_local(&config);
            config.ssl_mode(if local { SslMode::Disable } else { SslMode::Require });
        }
        if config.get_application_name().is_none() {
            config.application_name("vignette");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(TURN);
        }
        config.keepalives_idle(Duration::from_secs(30)).tcp_user_timeout(PATIENCE);
        let connector = tls::Connector::new()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("database: no runtime: {}", error.kind()))?;
        let (end, ended) = oneshot::channel();
        let handle = runtime.handle().clone();
        thread::Builder::new()
            .name("database".into())
            // Ended by whoever drops the pool: either answer says so.
            .spawn(move || drop(runtime.block_on(ended)))
            .map_err(|error| format!("database: no thread: {}", error.kind()))?;
        let pool = Pool {
            config,
            connector,
            runtime: handle,
            _end: end,
            state: Mutex::default(),
            free: Condvar::new(),
        };
        let first = pool.connect().map_err(|why| format!("database: {} {why}", pool.shown()))?;
        pool.give_back(Some(first), 0);
        Ok(pool)
    }

    /// Where it is, without user and password.
    fn shown(&self) -> String {
        let ports = self.config.get_ports();
        let host = |(place, host): (usize, &Host)| match host {
            Host::Tcp(name) => {
                format!("{name}:{}", ports.get(place).or(ports.first()).copied().unwrap_or(5432))
            }
            Host::Unix(path) => path.display().to_string(),
        };
        let hosts: Vec<String> = self.config.get_hosts().iter().enumerate().map(host).collect();
        let name = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        format!("{}/{name}", hosts.join(","))
    }

    /// Lends a connection.
    ///
    /// # Errors
    /// When none came free in time, or none can be made.
    pub fn take(&self) -> Result<Lent<'_>, Fault> {
        let until = Instant::now() + TURN;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            while let Some(connection) = state.idle.pop() {
                if !connection.client.is_closed() {
                    state.lent += 1;
                    return Ok(Lent { pool: self, connection: Some(connection), broken: Slot::new(false) });
                }
            }
            if state.lent < MOST {
                state.lent += 1;
                break;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Fault::Away("no connection came free".into()));
            }
            state = self.free.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        match self.connect() {
            Ok(connection) => Ok(Lent { pool: self, connection: Some(connection), broken: Slot::new(false) }),
            Err(why) => {
                self.give_back(None, 1);
                Err(Fault::Away(why))
            }
        }
    }

    fn give_back(&self, connection: Option<Connection>, lent: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lent -= lent;
        state.idle.extend(connection);
        self.free.notify_one();
    }

    fn connect(&self) -> Result<Connection, String> {
        let made = self.wait(TURN, async {
            let (client, connection) = self.config.connect(self.connector.clone()).await?;
            // It ends with its client, and tells the client when it is lost.
            self.runtime.spawn(async move { drop(connection.await) });
            client.batch_execute(SESSION).await?;
            Ok(client)
        });
        match made {
            Some(Ok(client)) => Ok(Connection { client, statements: RefCell::default() }),
            Some(Err(error)) => Err(in_words(&error)),
            None => Err("does not answer in time".into()),
        }
    }

    /// Waits for `work`; `None` when it takes too long.
    fn wait<T>(
        &self,
        patience: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Option<Result<T, Error>> {
        let _entered = self.runtime.enter();
        block_on(tokio::time::timeout(patience, work)).ok()
    }
}

/// Whether all of its hosts are this machine.
fn is_local(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    })
}

/// Why there is no connection. The server's words here name user and database, never a password.
fn in_words(error: &Error) -> String {
    if let Some(told) = error.as_db_error() {
        return format!("refuses: {}", told.message());
    }
    match error.source() {
        Some(source) => format!("cannot be reached: {source}"),
        None => format!("cannot be reached: {error}"),
    }
}

fn fault(error: &Error) -> Fault {
    // The words of a server may hold values; its code (PostgreSQL documentation, appendix A) does not.
    let Some(code) = error.code().map(|state| state.code().to_owned()) else {
        return match error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>()) {
            true => Fault::Away("the connection is lost".into()),
            false => Fault::Failed("a value or an answer was not understood".into()),
        };
    };
    // Connection, transaction given up, resources, intervention, system; a standby that cannot write; others hold it for too long.
    let passes = ["08", "40", "53", "57", "58"].contains(&&code[..2])
        || ["25006", "25P03", "55P03"].contains(&code.as_str());
    if passes { Fault::Away(code) } else { Fault::Failed(code) }
}

/// A connection that was lent; given back when dropped, unless it is broken.
pub struct Lent<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
    broken: Slot<bool>,
}

impl Lent<'_> {
    fn run<T>(&self, work: impl AsyncFnOnce(&Connection) -> Result<T, Error>) -> Result<T, Fault> {
        let lost = || Fault::Away("the connection is lost".into());
        let connection = self.connection.as_ref().filter(|_| !self.broken.get()).ok_or_else(lost)?;
        match self.pool.wait(PATIENCE, work(connection)) {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => {
                // What it remembers of a statement may be what was wrong.
                connection.statements.borrow_mut().clear();
                self.broken.set(error.is_closed());
                Err(fault(&error))
            }
            None => {
                self.broken.set(true);
                Err(Fault::Away("the database does not answer in time".into()))
            }
        }
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// What PostgreSQL says; others that hold the lock for too long.
    pub fn begin(&self, alone: Alone) -> Result<(), Fault> {
        let lock = match alone {
            Alone::Yes => "pg_advisory_xact_lock",
            Alone::No => "pg_advisory_xact_lock_shared",
        };
        // Services in other schemas of the same database have nothing to do with this one.
        let begun =
            self.batch(&format!("BEGIN; SELECT {lock}({LOCK}, hashtext(coalesce(current_schema(), '')))"));
        if begun.is_err() && !self.broken.get() {
            // What began without its lock is given up; a connection that cannot is lost anyway.
            self.broken.set(self.batch("ROLLBACK").is_err());
        }
        begun
    }

    /// Runs statements without parameters.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub fn batch(&self, statements: &str) -> Result<(), Fault> {
        self.run(async |connection| connection.client.batch_execute(statements).await)
    }

    /// Runs a statement once for each of `rows`, all sent at once; gives how many rows were changed.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub fn execute(&self, statement: &str, rows: &[Params<'_>]) -> Result<usize, Fault> {
        let Some(first) = rows.first() else { return Ok(0) };
        let counts = self.run(async |connection| {
            let prepared = connection.prepared(statement, first).await?;
            let one = |row| connection.client.execute_raw(&prepared, values_of(row));
            try_join_all(rows.iter().copied().map(one)).await
        })?;
        Ok(counts.iter().map(|count| usize::try_from(*count).unwrap_or(usize::MAX)).sum())
    }

    /// Runs a statement; gives the rows of its result.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub fn query(&self, statement: &str, values: Params<'_>) -> Result<Vec<Row>, Fault> {
        self.run(async |connection| {
            let prepared = connection.prepared(statement, values).await?;
            let values = values_of(values);
            let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
            let rows = connection.client.query(&prepared, &values).await?;
            rows.iter().map(cells).collect()
        })
    }
}

fn values_of<'a>(values: Params<'a>) -> Vec<Value<'a>> {
    values.iter().map(|value| value.to_value()).collect()
}

impl Connection {
    async fn prepared(&self, statement: &str, values: Params<'_>) -> Result<Statement, Error> {
        let known = self.statements.borrow().get(statement).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let types = values.iter().map(|value| match value.to_value() {
            Value::Int(_) => Type::INT8,
            Value::Text(_) => Type::TEXT,
            Value::Blob(_) => Type::BYTEA,
        });
        let types: Vec<Type> = types.collect();
        let prepared = self.client.prepare_typed(&dialect::postgres(statement), &types).await?;
        self.statements.borrow_mut().insert(statement.to_owned(), prepared.clone());
        Ok(prepared)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let whole =
            self.connection.take().filter(|connection| !self.broken.get() && !connection.client.is_closed());
        self.pool.give_back(whole, 1);
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Int(number) => number.to_sql(&Type::INT8, out),
            Value::Text(text) => text.to_sql(&Type::TEXT, out),
            Value::Blob(bytes) => bytes.to_sql(&Type::BYTEA, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::BYTEA].contains(kind)
    }

    to_sql_checked!();
}

fn cells(row: &tokio_postgres::Row) -> Result<Row, Error> {
    let cell = |(place, column): (usize, &tokio_postgres::Column)| {
        let kind = column.type_();
        let cell = if *kind == Type::BOOL {
            row.try_get::<_, Option<bool>>(place)?.map(|truth| Cell::Int(i64::from(truth)))
        } else if *kind == Type::INT4 {
            row.try_get::<_, Option<i32>>(place)?.map(|number| Cell::Int(i64::from(number)))
        } else if *kind == Type::TEXT {
            row.try_get::<_, Option<String>>(place)?.map(Cell::Text)
        } else if *kind == Type::BYTEA {
            row.try_get::<_, Option<Vec<u8>>>(place)?.map(Cell::Blob)
        } else {
            row.try_get::<_, Option<i64>>(place)?.map(Cell::Int)
        };
        Ok(cell.unwrap_or(Cell::Null))
    };
    Ok(Row(row.columns().iter().enumerate().map(cell).collect::<Result<_, Error>>()?))
}

/// Waits for a future on this thread, whatever else this thread does.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Parked(Thread);
    impl Wake for Parked {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_url_is_told_without_its_password() {
        for url in [
            "postgres://me:geheim@[::1",
            "postgres://me:geheim@host/x?nonsense=1",
            "mysql://me:geheim@host/x",
        ] {
            let told = Pool::open(url).err().unwrap();
            assert!(told.starts_with("database: ") && !told.contains("geheim"), "{told}");
        }
        let told = Pool::open("postgres://me:geheim@127.0.0.1:1/x").err().unwrap();
        assert!(told.starts_with("database: 127.0.0.1:1/x cannot be reached: "), "{told}");
        assert!(!told.contains("geheim"), "{told}");
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_open() {
        for (url, local) in [
            ("postgres://localhost/x", true),
            ("postgres://127.0.0.1:5433/x", true),
            ("postgres://[::1]/x", true),
            ("postgres:///x?host=/var/run/postgresql", true),
            ("postgres://db.example.com/x", false),
            ("postgres://localhost,db.example.com/x", false),
            ("postgres://10.0.0.1/x", false),
        ] {
            assert_eq!(is_local(&url.parse().unwrap()), local, "{url}");
        }
    }
}
