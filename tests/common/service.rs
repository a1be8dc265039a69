//! The service as a process of its own, and a plain HTTP client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// `vignette serve` on a free port of the loopback address; killed when dropped.
pub struct Service {
    child: Child,
    pub port: u16,
    pub log: PathBuf,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The problem's code, of an answer that is a problem document.
    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Service {
    /// Starts it with the templates in `gallery`; `config` is what its TOML file holds.
    pub fn start(data: &Path, gallery: &Path, config: &str) -> Service {
        Service::start_by(Command::new(env!("CARGO_BIN_EXE_vignette")), data, gallery, config)
    }

    /// The same by another command, to which the arguments are added.
    pub fn start_by(mut command: Command, data: &Path, gallery: &Path, config: &str) -> Service {
        let file = data.join("config.toml");
        std::fs::create_dir_all(data).unwrap();
        std::fs::write(&file, config).unwrap();
        let log = data.join("log.jsonl");
        let log_file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        command
            .args(["serve", "--bind", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .arg("--templates")
            .arg(gallery)
            .arg("--config")
            .arg(&file)
            .env_remove("VIGNETTE_STORE")
            .stdout(Stdio::piped())
            .stderr(log_file);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| {
            panic!("the service did not start: {line}{}", std::fs::read_to_string(&log).unwrap_or_default())
        });
        Service { child, port, log }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as kill -9 does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and waits until it has; whether it ended well.
    pub fn terminate(mut self) -> bool {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().success()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        ask(self.port, method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// A figure of `/metrics`.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    /// Bytes of memory that it holds (`VmRSS` of proc_pid_status(5)).
    pub fn memory(&self) -> i64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<i64>().unwrap() << 10
    }

    /// A link's path for these data.
    pub fn link(&self, template: &str, data: Value) -> String {
        let made = self.post("/v1/links", &serde_json::json!({ "template": template, "data": data }));
        assert_eq!(made.status, 201, "{}", made.text());
        path_of(made.json()["url"].as_str().unwrap())
    }

    /// Waits until a render has ended, and gives it.
    pub fn ended(&self, id: &str) -> Value {
        loop {
            let job = self.get(&format!("/v1/renders/{id}")).json();
            if !matches!(job["state"].as_str(), Some("queued" | "rendering")) {
                return job;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended on its own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A URL without its scheme and host.
pub fn path_of(url: &str) -> String {
    let rest = url.split_once("://").unwrap().1;
    rest[rest.find('/').unwrap()..].to_owned()
}

/// One request on a connection of its own.
pub fn ask(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    // A service that has heard enough answers and closes.
    let _ = stream.write_all(body);
    answer(stream, method == "HEAD")
}

/// Reads an answer to the end of its connection.
pub fn answer(stream: TcpStream, without_body: bool) -> std::io::Result<Answer> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let broken = || std::io::Error::other("no answer");
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let header =
        |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let mut body = Vec::new();
    if without_body {
    } else if header("transfer-encoding") == Some("chunked") {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let length = usize::from_str_radix(line.trim(), 16).map_err(|_| broken())?;
            let mut chunk = vec![0; length + 2];
            reader.read_exact(&mut chunk)?;
            body.extend_from_slice(&chunk[..length]);
            if length == 0 {
                break;
            }
        }
    } else {
        let length = header("content-length").and_then(|length| length.parse::<u64>().ok());
        reader.take(length.unwrap_or(u64::MAX)).read_to_end(&mut body)?;
        if length.is_some_and(|length| length != body.len() as u64) {
            return Err(std::io::Error::other("the body is cut short"));
        }
    }
    Ok(Answer { status, headers, body })
}

/// The body of a page of a server that keeps its connections open.
pub fn ask_to_length(port: u16, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")?;
    Ok(answer(stream, false)?.body)
}

/// Receives webhooks on a free port, and keeps their bodies.
pub struct Receiver {
    pub port: u16,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Receiver {
    /// One that answers with this status.
    pub fn new(status: u16) -> Receiver {
        Receiver::with("", move |_| (status, Duration::ZERO))
    }

    /// One whose `headers` go with each answer, whose status and delay are told by the number of the request.
    pub fn with(headers: &str, how: impl Fn(usize) -> (u16, Duration) + Send + 'static) -> Receiver {
        let headers = headers.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let keep = heard.clone();
        std::thread::spawn(move || {
            for (number, mut stream) in listener.incoming().flatten().enumerate() {
                let mut bytes = Vec::new();
                let mut buffer = [0; 4096];
                let whole = loop {
                    let count = stream.read(&mut buffer).unwrap_or(0);
                    bytes.extend_from_slice(&buffer[..count]);
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else {
                        if count == 0 {
                            break None;
                        }
                        continue;
                    };
                    let head = head.to_ascii_lowercase();
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                    if count == 0
                        || length.is_some_and(|length| body.len() >= length.trim().parse().unwrap_or(0))
                    {
                        break Some((head.clone(), body.to_owned()));
                    }
                };
                if let Some((head, body)) = whole {
                    let id =
                        head.lines().find_map(|line| line.strip_prefix("webhook-id: ")).unwrap_or_default();
                    assert!(head.contains("webhook-signature: v1,"), "{head}");
                    let body = serde_json::from_str(&body).unwrap_or(Value::Null);
                    keep.lock().unwrap().push((id.to_owned(), body));
                }
                let (status, delay) = how(number);
                std::thread::sleep(delay);
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} X\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n"
                );
            }
        });
        Receiver { port, heard }
    }

    pub fn heard(&self) -> Vec<(String, Value)> {
        self.heard.lock().unwrap().clone()
    }
}
