//! Headless Chromium by its DevTools protocol: one WebSocket (RFC 6455) to a page, and expressions evaluated in it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// A browser of its own, with a profile of its own, that ends with this value.
pub struct Page {
    child: Child,
    _profile: tempfile::TempDir,
    socket: BufReader<TcpStream>,
    number: u64,
}

impl Page {
    /// Opens `url`.
    pub fn open(url: &str) -> Page {
        let profile = tempfile::tempdir().unwrap();
        let log = fs::File::create(profile.path().join("log")).unwrap();
        let mut command = Command::new("chromium");
        for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(proxy);
        }
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--mute-audio", "--no-proxy-server"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
            .args(["--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
            .arg(url)
            .stdout(Stdio::null())
            .stderr(log);
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("chromium: {error}; run scripts/setup.sh --tests"));
        let socket = loop {
            if let Some(status) = child.try_wait().unwrap() {
                let log = fs::read_to_string(profile.path().join("log")).unwrap_or_default();
                panic!("chromium ended with {status}:\n{log}");
            }
            let port = fs::read_to_string(profile.path().join("profile/DevToolsActivePort")).ok();
            let port = port.and_then(|text| text.split_once('\n')?.0.parse().ok());
            if let Some(socket) = port.and_then(connect) {
                break socket;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        Page { child, _profile: profile, socket, number: 0 }
    }

    /// The value of an expression, which must be JSON.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        self.number += 1;
        let request = json!({
            "id": self.number, "method": "Runtime.evaluate",
            "params": { "expression": expression, "returnByValue": true },
        });
        send(self.socket.get_mut(), request.to_string().as_bytes());
        loop {
            let message: Value = serde_json::from_slice(&receive(&mut self.socket)).unwrap();
            if message["id"] == self.number {
                assert!(message["result"]["exceptionDetails"].is_null(), "{message}");
                return message["result"]["result"]["value"].clone();
            }
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // It may have ended on its own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A WebSocket to the browser's first page, as soon as there is one.
fn connect(port: u16) -> Option<BufReader<TcpStream>> {
    let pages = super::service::ask_to_length(port, "/json/list").ok()?;
    let pages: Value = serde_json::from_slice(&pages).ok()?;
    let page = pages.as_array()?.iter().find(|page| page["type"] == "page")?;
    let path = super::service::path_of(page["webSocketDebuggerUrl"].as_str()?);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    // The key need not be random where nobody is to be convinced.
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    assert!(line.contains(" 101 "), "{line}");
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line).ok()?;
    }
    Some(reader)
}

/// A text frame, masked by noughts (section 5.2).
fn send(stream: &mut TcpStream, text: &[u8]) {
    let mut frame = vec![0x81];
    match text.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(text);
    stream.write_all(&frame).unwrap();
}

/// The next message.
fn receive(stream: &mut BufReader<TcpStream>) -> Vec<u8> {
    let mut message = Vec::new();
    loop {
        let mut head = [0; 2];
        stream.read_exact(&mut head).unwrap();
        let length = match head[1] & 0x7f {
            126 => {
                let mut bytes = [0; 2];
                stream.read_exact(&mut bytes).unwrap();
                u64::from(u16::from_be_bytes(bytes))
            }
            127 => {
                let mut bytes = [0; 8];
                stream.read_exact(&mut bytes).unwrap();
                u64::from_be_bytes(bytes)
            }
            length => u64::from(length),
        };
        stream.take(length).read_to_end(&mut message).unwrap();
        if head[0] & 0x80 != 0 {
            return message;
        }
    }
}
