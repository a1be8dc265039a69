//! An object store for tests: moto, which `scripts/setup.sh --tests` installs.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::root;

/// A server; it ends with this value, and at the latest with this process.
pub struct Server {
    child: Child,
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pub port: u16,
}

impl Server {
    /// Starts one with an empty bucket `films`.
    pub fn start() -> Server {
        let mut command = Command::new(root().join(".cache/s3/bin/python"));
        command.arg(root().join("tests/common/s3.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("moto is missing; scripts/setup.sh --tests installs it");
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        answers.read_line(&mut port).unwrap();
        let port = port.trim().parse().expect("moto did not start; what it wrote stands above");
        Server { words: child.stdin.take(), answers, child, port }
    }

    /// What a program that speaks to it needs to know.
    pub fn variables(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_ALLOW_HTTP", "true".into()),
        ]
    }

    /// The names of all objects.
    pub fn objects(&mut self) -> Vec<String> {
        writeln!(self.words.as_mut().unwrap(), "list").unwrap();
        let mut names = String::new();
        self.answers.read_line(&mut names).unwrap();
        serde_json::from_str(&names).unwrap()
    }

    /// Does not answer any more until it is told to go on, though connections are taken.
    pub fn hang(&self, hangs: bool) {
        let signal = if hangs { "-STOP" } else { "-CONT" };
        assert!(
            Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap().success()
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.words.take());
        // One that hangs does not see its input end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
