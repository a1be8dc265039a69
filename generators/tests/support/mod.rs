//! A server over real HTTP on loopback that answers as a test wants it to.

#![allow(dead_code, reason = "each test uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub line: String,
    pub headers: Vec<(String, String)>,
    /// What is no UTF-8 in it is replaced.
    pub body: String,
    pub bytes: Vec<u8>,
    pub at: Instant,
}

impl Asked {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("what is sent is JSON")
    }
}

/// What the server does with a request.
pub enum Reply {
    /// A whole answer: status, headers, body.
    Whole(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// An answer that promises all of the body and ends in its middle.
    Half(Vec<u8>),
    /// An answer without a stated length, of so many bytes.
    Endless(&'static str, usize),
    /// An answer of which a byte comes every 100 ms.
    Trickle(Vec<u8>),
    /// An answer in chunks (RFC 9112, 7.1), each after so many milliseconds; unless it is whole, it ends without its last one.
    Chunks { kind: &'static str, chunks: Vec<(u64, Vec<u8>)>, whole: bool },
    /// Nothing, until the caller has gone or the server is.
    Silence,
    /// The connection is closed at once.
    Hangup,
}

pub fn json(body: serde_json::Value) -> Reply {
    Reply::Whole(200, vec![("content-type", "application/json".into())], body.to_string().into_bytes())
}

pub fn status(status: u16, headers: &[(&'static str, &str)]) -> Reply {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Reply::Whole(
        status,
        headers,
        b"{\"error\":{\"code\":\"some_code\",\"message\":\"about Maria\"}}".to_vec(),
    )
}

/// A chat completion with these words as its content.
pub fn completion(content: &str) -> serde_json::Value {
    serde_json::json!({
        "id": "c-1", "object": "chat.completion", "model": "fake-2026-01",
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": content } }],
        "usage": { "prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70 },
    })
}

/// A chat completion with these lines.
pub fn lines(lines: &[&str]) -> Reply {
    json(completion(&serde_json::json!({ "lines": lines }).to_string()))
}

pub struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().unwrap();
        let (asked, stop) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::<AtomicBool>::default());
        let answer = Arc::new(answer);
        let (log, ended) = (Arc::clone(&asked), Arc::clone(&stop));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (answer, log, ended) = (Arc::clone(&answer), Arc::clone(&log), Arc::clone(&ended));
                std::thread::spawn(move || {
                    // A caller that goes away in the middle is what some tests are about.
                    let _ = serve(stream, &*answer, &log, &ended);
                });
            }
        });
        Server { address, asked, stop }
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    stream: TcpStream,
    answer: &dyn Fn(&Asked) -> Reply,
    log: &Mutex<Vec<Asked>>,
    ended: &AtomicBool,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    if line.is_empty() {
        return Ok(());
    }
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        if name == "content-length" {
            length = value.parse().unwrap_or(0);
        }
        headers.push((name, value));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let asked = Asked {
        line: line.trim().to_owned(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        bytes: body,
        at: Instant::now(),
    };
    log.lock().unwrap().push(asked.clone());
    let mut out = &stream;
    let head = |status: u16, headers: &[(&str, String)], length: Option<usize>| {
        let mut head = format!("HTTP/1.1 {status} Whatever\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(length) = length {
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        head + "\r\n"
    };
    let typed = [("content-type", "application/json".to_owned())];
    match answer(&asked) {
        Reply::Whole(status, headers, body) => {
            out.write_all(head(status, &headers, Some(body.len())).as_bytes())?;
            out.write_all(&body)
        }
        Reply::Half(body) => {
            out.write_all(head(200, &typed, Some(body.len())).as_bytes())?;
            out.write_all(&body[..body.len() / 2])
        }
        Reply::Endless(kind, bytes) => {
            out.write_all(head(200, &[("content-type", kind.to_owned())], None).as_bytes())?;
            let block = vec![b' '; 64 << 10];
            (0..bytes / block.len()).try_for_each(|_| out.write_all(&block))
        }
        Reply::Trickle(body) => {
            out.write_all(head(200, &typed, Some(body.len())).as_bytes())?;
            for byte in body {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                out.write_all(&[byte])?;
                std::thread::sleep(Duration::from_millis(100));
            }
            Ok(())
        }
        Reply::Chunks { kind, chunks, whole } => {
            let headers = [("content-type", kind.to_owned()), ("transfer-encoding", "chunked".to_owned())];
            out.write_all(head(200, &headers, None).as_bytes())?;
            for (wait, chunk) in chunks {
                let until = Instant::now() + Duration::from_millis(wait);
                while Instant::now() < until && !ended.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                out.write_all(format!("{:x}\r\n", chunk.len()).as_bytes())?;
                out.write_all(&chunk)?;
                out.write_all(b"\r\n")?;
            }
            if whole { out.write_all(b"0\r\n\r\n") } else { Ok(()) }
        }
        Reply::Silence => {
            while !ended.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        }
        Reply::Hangup => Ok(()),
    }
}
