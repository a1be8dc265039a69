//! A server on loopback that answers as S3 does, as far as a store needs it, and misbehaves when told to.
//!
//! It knows PUT, GET, HEAD and DELETE of objects and `ListObjectsV2` with delimiter and pages of seven (Amazon
//! S3 API reference). It does not check signatures, and knows no ranges and no conditions.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use vignette_renderer::store::Objects;

/// How the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// Every answer is 500.
    Fails,
    /// What writes is answered by 403.
    ReadOnly,
    /// No answer comes.
    Hangs,
    /// Answers end in the middle of the body.
    CutsShort,
}

pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    mood: Mutex<Mood>,
    requests: AtomicUsize,
    objects: Mutex<BTreeMap<String, Object>>,
    clock: AtomicUsize,
}

#[derive(Clone)]
struct Object {
    bytes: Vec<u8>,
    /// Seconds after the start of 2030: each write has its own.
    written: usize,
}

struct Request {
    method: String,
    path: String,
    query: String,
    body: Vec<u8>,
}

const PAGE: usize = 7;

impl Server {
    pub fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            mood: Mutex::new(Mood::Well),
            requests: AtomicUsize::new(0),
            objects: Mutex::default(),
            clock: AtomicUsize::new(0),
        });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = serving.clone();
                thread::spawn(move || shared.serve(stream));
            }
        });
        Server { address, shared }
    }

    /// A store at `url` on this server.
    pub fn store(&self, url: &str, timeout: Duration) -> Objects {
        let settings = AmazonS3Builder::new()
            .with_endpoint(format!("http://{}", self.address))
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_access_key_id("id")
            .with_secret_access_key("secret");
        Objects::s3(url, settings, timeout).unwrap()
    }

    pub fn set(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Names of all objects, with the bucket.
    pub fn names(&self) -> Vec<String> {
        self.shared.objects.lock().unwrap().keys().cloned().collect()
    }

    /// Changes the bytes of the object called `name`.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.shared.objects.lock().unwrap().get_mut(name).unwrap().bytes);
    }

    /// Puts an object beside those that the store put.
    pub fn add(&self, name: &str, bytes: &[u8]) {
        let object = Object { bytes: bytes.to_vec(), written: 0 };
        self.shared.objects.lock().unwrap().insert(name.to_owned(), object);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        while let Ok(Some(request)) = read_request(&mut reader) {
            self.requests.fetch_add(1, Ordering::SeqCst);
            let mood = *self.mood.lock().unwrap();
            let writes = matches!(request.method.as_str(), "PUT" | "DELETE" | "POST");
            let (status, headers, body) = match mood {
                Mood::Hangs => {
                    // The connection is held until the other side gives up.
                    let _ = reader.read(&mut [0]);
                    return;
                }
                Mood::Fails => ("500 Internal Server Error", String::new(), b"<Error/>".to_vec()),
                Mood::ReadOnly if writes => {
                    let body = b"<Error><Code>AccessDenied</Code></Error>".to_vec();
                    ("403 Forbidden", String::new(), body)
                }
                Mood::Well | Mood::ReadOnly | Mood::CutsShort => self.answer(&request),
            };
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n");
            let shown = match (request.method.as_str(), mood) {
                ("HEAD", _) => 0,
                ("GET", Mood::CutsShort) => length / 2,
                _ => length,
            };
            // In one piece, or the kernel waits for more before it sends the second.
            if writer.write_all(&[head.as_bytes(), &body[..shown]].concat()).is_err() {
                return;
            }
            if mood == Mood::CutsShort {
                return;
            }
        }
    }

    fn answer(&self, request: &Request) -> (&'static str, String, Vec<u8>) {
        let mut objects = self.objects.lock().unwrap();
        let missing = || ("404 Not Found", String::new(), b"<Error><Code>NoSuchKey</Code></Error>".to_vec());
        match request.method.as_str() {
            "PUT" => {
                let written = self.clock.fetch_add(1, Ordering::SeqCst);
                objects.insert(request.path.clone(), Object { bytes: request.body.clone(), written });
                ("200 OK", format!("ETag: \"{written}\"\r\n"), Vec::new())
            }
            "DELETE" => {
                objects.remove(&request.path);
                ("204 No Content", String::new(), Vec::new())
            }
            "GET" if request.query.contains("list-type=2") => {
                ("200 OK", "Content-Type: application/xml\r\n".to_owned(), list(request, &objects))
            }
            "GET" | "HEAD" => match objects.get(&request.path) {
                Some(Object { bytes, written }) => {
                    let (minutes, seconds) = (written / 60, written % 60);
                    let date =
                        format!("Tue, 01 Jan 2030 {:02}:{:02}:{seconds:02} GMT", minutes / 60, minutes % 60);
                    ("200 OK", format!("ETag: \"{written}\"\r\nLast-Modified: {date}\r\n"), bytes.clone())
                }
                None => missing(),
            },
            _ => ("405 Method Not Allowed", String::new(), Vec::new()),
        }
    }
}

/// One page of `ListObjectsV2`.
fn list(request: &Request, objects: &BTreeMap<String, Object>) -> Vec<u8> {
    let parameter = |name: &str| {
        let mut pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map_or(String::new(), |(_, value)| decoded(value))
    };
    let bucket = request.path.trim_end_matches('/');
    let prefix = format!("{bucket}/{}", parameter("prefix"));
    let after = parameter("continuation-token");
    let mut folders = BTreeSet::new();
    let mut contents = String::new();
    let mut token = String::new();
    let mut count = 0;
    for (path, object) in objects.iter().filter(|(path, _)| path.starts_with(&prefix) && **path > after) {
        let rest = &path[prefix.len()..];
        let folder = rest.split_once('/').map(|(folder, _)| format!("{prefix}{folder}/"));
        if folder.as_ref().is_some_and(|folder| folders.contains(folder) || after.starts_with(folder)) {
            continue;
        }
        if count == PAGE {
            break;
        }
        count += 1;
        token = path.clone();
        match folder {
            Some(folder) => {
                folders.insert(folder);
            }
            None => {
                let (minutes, seconds) = (object.written / 60, object.written % 60);
                contents.push_str(&format!(
                    "<Contents><Key>{}</Key><Size>{}</Size><ETag>\"{}\"</ETag>\
                     <LastModified>2030-01-01T{:02}:{:02}:{seconds:02}.000Z</LastModified></Contents>",
                    &path[bucket.len() + 1..],
                    object.bytes.len(),
                    object.written,
                    minutes / 60,
                    minutes % 60,
                ));
            }
        }
    }
    let folders: String = folders
        .iter()
        .map(|folder| {
            format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", &folder[bucket.len() + 1..])
        })
        .collect();
    let next = match count {
        PAGE => format!("<NextContinuationToken>{token}</NextContinuationToken>"),
        _ => String::new(),
    };
    format!("<ListBucketResult>{contents}{folders}{next}</ListBucketResult>").into_bytes()
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (decoded(path), query.to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Request { method, path, query, body }))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}
