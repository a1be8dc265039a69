//! PostgreSQL for tests: one server for each process that runs tests, a schema for each database that is asked for.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A server; it ends with this value, and at the latest with this process.
pub struct Server {
    _child: Child,
    words: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub port: u16,
}

impl Server {
    /// Starts one with these settings.
    pub fn start(settings: &[&str]) -> Server {
        Server::start_with(settings, None)
    }

    /// The same with `server.crt` and `server.key` from this folder.
    pub fn start_with(settings: &[&str], tls: Option<&Path>) -> Server {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/postgres.sh");
        // A member of the workspace stands one folder below.
        let script = script.replace("/server/tests/", "/tests/");
        let mut command = Command::new(script);
        command
            .args(settings)
            .envs(tls.map(|folder| ("VIGNETTE_TLS", folder)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        answers.read_line(&mut port).unwrap();
        let port = port.trim().parse().expect("PostgreSQL did not start; what it wrote stands above");
        Server { words: child.stdin.take().unwrap(), answers, _child: child, port }
    }

    /// Has it do something; see `postgres.sh`.
    pub fn tell(&mut self, word: &str) {
        writeln!(self.words, "{word}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), word);
    }

    /// The URL of a database that nobody else was told of.
    pub fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.sql(&format!("CREATE SCHEMA {name}"));
        format!("postgres://vignette@127.0.0.1:{}/postgres?options=-c%20search_path%3D{name}", self.port)
    }

    /// Runs a statement as an operator does.
    pub fn sql(&self, statement: &str) {
        sql(&format!("postgres://vignette@127.0.0.1:{}/postgres", self.port), statement);
    }
}

/// Runs a statement on the database of that URL as an operator does.
pub fn sql(url: &str, statement: &str) {
    let programs = std::env::var("VIGNETTE_POSTGRES").unwrap_or("/usr/lib/postgresql/15/bin".into());
    let mut command = Command::new(format!("{programs}/psql"));
    let output =
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement, "-d", url]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The server that all tests of this process share.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start(&[]))
}
