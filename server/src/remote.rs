//! Files that templates or viewers' data name by `https:` address. Off unless the host is allowed.
//!
//! The host must be one of those that are configured, at the first address and after every redirect; its name is resolved here, all
//! its addresses must be public, and the connection goes to one of those. What comes is bounded in time and bytes, and must say that
//! it is a picture, a video or a sound; what it really is, and how many pixels it has, a process of its own looks at.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Response, Url};

use crate::config::Config;
use crate::hooks::{Unreachable, checked_client};

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 3;
/// How long a file stays in memory.
const FRESH: Duration = Duration::from_secs(600);
/// Bytes of all files in memory.
const KEPT_BYTES: usize = 128 << 20;

/// Fetches files. Shared by all threads; each call blocks its own.
pub struct Fetcher {
    hosts: Vec<String>,
    private_hosts: Vec<String>,
    most_bytes: usize,
    patience: Duration,
    most_rows_bytes: usize,
    rows_patience: Duration,
    kept: Mutex<Kept>,
}

/// What an answer may be.
struct Wanted {
    /// The first words of media types; any when there are none.
    kinds: &'static [&'static str],
    /// What is told of another one.
    otherwise: &'static str,
    most_bytes: usize,
    patience: Duration,
}

/// What came from an address.
struct Fetched {
    bytes: Vec<u8>,
    /// Its media type, in small letters.
    kind: String,
}

#[derive(Default)]
struct Kept {
    files: HashMap<String, (Instant, Arc<[u8]>)>,
    bytes: usize,
}

impl Fetcher {
    /// A fetcher for the hosts that are allowed; `None` when none is.
    pub fn new(config: &Config) -> Option<Fetcher> {
        let limits = &config.limits;
        (!config.asset_hosts.is_empty()).then(|| Fetcher {
            hosts: config.asset_hosts.clone(),
            private_hosts: config.private_asset_hosts.clone(),
            most_bytes: limits.asset_bytes,
            patience: Duration::from_secs(limits.asset_seconds),
            most_rows_bytes: limits.batch_bytes,
            rows_patience: Duration::from_secs(limits.body_seconds),
            kept: Mutex::default(),
        })
    }

    /// The bytes at an address, kept for a while.
    ///
    /// # Errors
    /// Why there are none, in words that name neither the address nor what is there.
    pub fn fetch(&self, address: &str) -> Result<Vec<u8>, String> {
        let now = Instant::now();
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = &mut *kept;
            kept.files.retain(|_, (at, _)| now.duration_since(*at) < FRESH);
            kept.bytes = kept.files.values().map(|(_, bytes)| bytes.len()).sum();
            if let Some((_, bytes)) = kept.files.get(address) {
                return Ok(bytes.to_vec());
            }
        }
        // A runtime of its own, as the thread that asks has none.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|_| "this machine has no room to fetch it".to_owned())?;
        let wanted = Wanted {
            kinds: &["image", "video", "audio"],
            otherwise: "it is no picture, video or sound",
            most_bytes: self.most_bytes,
            patience: self.patience,
        };
        let bytes = runtime.block_on(self.get(address, &wanted))?.bytes;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + bytes.len() > KEPT_BYTES {
            *kept = Kept::default();
        }
        kept.bytes += bytes.len();
        kept.files.insert(address.to_owned(), (now, bytes.as_slice().into()));
        Ok(bytes)
    }

    /// The rows of an audience at an address, with their media type in small letters; nothing of it is kept.
    ///
    /// # Errors
    /// Why there are none, in words that name neither the address nor what is there.
    pub async fn audience(&self, address: &str) -> Result<(Vec<u8>, String), String> {
        let wanted = Wanted {
            kinds: &[],
            otherwise: "it is no audience",
            most_bytes: self.most_rows_bytes,
            patience: self.rows_patience,
        };
        self.get(address, &wanted).await.map(|fetched| (fetched.bytes, fetched.kind))
    }

    async fn get(&self, address: &str, wanted: &Wanted) -> Result<Fetched, String> {
        let whole = tokio::time::timeout(wanted.patience, self.follow(address, wanted)).await;
        whole.map_err(|_| "it took too long".to_owned())?
    }

    async fn follow(&self, address: &str, wanted: &Wanted) -> Result<Fetched, String> {
        let mut url = self.check(address)?;
        for _ in 0..=MOST_REDIRECTS {
            let host = url.host_str().unwrap_or_default();
            let trusted = self.private_hosts.iter().any(|known| known == host);
            let client = checked_client(&url, trusted, wanted.patience).await.map_err(|why| match why {
                Unreachable::Url => "it has no host".to_owned(),
                Unreachable::Name => "its host's name leads nowhere".to_owned(),
                Unreachable::Address => "its host has an address that is not public".to_owned(),
                Unreachable::Client => "this machine cannot fetch it".to_owned(),
            })?;
            let answer =
                client.get(url.clone()).send().await.map_err(|_| "its host was not reached".to_owned())?;
            if !answer.status().is_redirection() {
                return read(answer, wanted).await;
            }
            let next = answer.headers().get(LOCATION).and_then(|next| next.to_str().ok());
            let next = next.and_then(|next| url.join(next).ok()).ok_or("it leads nowhere")?;
            url = self.check(next.as_str())?;
        }
        Err("it leads elsewhere too often".to_owned())
    }

    /// Whether an address may be asked, as far as it tells by itself.
    fn check(&self, address: &str) -> Result<Url, String> {
        let refused = |why: &str| Err(why.to_owned());
        if address.len() > 2048 {
            return refused("the address is longer than 2048 signs");
        }
        let Ok(url) = Url::parse(address) else { return refused("it is no address") };
        let host = url.host_str().unwrap_or_default();
        if !self.hosts.iter().any(|known| known == host) {
            return refused("files are not fetched from its host; put the file into the package, or send it");
        }
        let trusted = self.private_hosts.iter().any(|known| known == host);
        if url.scheme() != "https" && !(url.scheme() == "http" && trusted) {
            return refused("files are fetched by https alone");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("an address has no user and password");
        }
        if url.port_or_known_default() != Some(443) && !trusted {
            return refused("files are fetched from port 443 alone");
        }
        Ok(url)
    }
}

async fn read(mut answer: Response, wanted: &Wanted) -> Result<Fetched, String> {
    if answer.status().as_u16() != 200 {
        return Err(format!("its host answered {}", answer.status().as_u16()));
    }
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    let first = kind.split('/').next().unwrap_or_default();
    if !wanted.kinds.is_empty() && !wanted.kinds.contains(&first) {
        return Err(wanted.otherwise.to_owned());
    }
    let most = wanted.most_bytes;
    let too_large = || format!("it has more than {most} bytes");
    if answer.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|_| "it broke off".to_owned())? {
        if bytes.len() + part.len() > most {
            return Err(too_large());
        }
        bytes.extend_from_slice(&part);
    }
    Ok(Fetched { bytes, kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Read, Write};
    use std::net::TcpListener;

    fn fetcher(hosts: &[&str], private: &[&str]) -> Fetcher {
        let list = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut config =
            Config { asset_hosts: list(hosts), private_asset_hosts: list(private), ..Config::default() };
        config.limits.asset_bytes = 1000;
        config.limits.asset_seconds = 1;
        Fetcher::new(&config).unwrap()
    }

    #[test]
    fn addresses_are_checked() {
        let fetcher = fetcher(&["files.example.com", "127.0.0.1", "10.0.0.1", "localhost", "[::1]"], &[]);
        for address in [
            "https://other.example.com/a.png",
            "https://files.example.com.evil.test/a.png",
            "https://files.example.com@evil.test/a.png",
            "https://user:x@files.example.com/a.png",
            "http://files.example.com/a.png",
            "https://files.example.com:8443/a.png",
            "ftp://files.example.com/a.png",
            "nonsense",
        ] {
            assert!(fetcher.check(address).is_err(), "{address}");
        }
        assert!(fetcher.check("https://files.example.com/a.png").is_ok());
        // Allowed by name, but not by where the name leads.
        for address in ["https://127.0.0.1/a", "https://10.0.0.1/a", "https://localhost/a", "https://[::1]/a"]
        {
            let why = fetcher.fetch(address).unwrap_err();
            assert!(why.contains("not public") || why.contains("leads nowhere"), "{address}: {why}");
        }
        assert!(Fetcher::new(&Config::default()).is_none(), "off unless a host is allowed");
    }

    /// Answers each connection by its path.
    fn serve() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut buffer = [0; 2048];
                let count = stream.read(&mut buffer).unwrap_or(0);
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                let path = text.split(' ').nth(1).unwrap_or_default();
                let mut picture = Vec::new();
                let pixels = image::RgbImage::new(5, 10);
                pixels.write_to(&mut Cursor::new(&mut picture), image::ImageFormat::Png).unwrap();
                let (status, kind, body) = match path {
                    "/good" => (200, "image/png", picture),
                    "/html" => (200, "text/html", picture),
                    "/long" => (200, "image/png", vec![0; 1001]),
                    "/missing" => (404, "image/png", picture),
                    "/hang" => {
                        std::thread::spawn(move || {
                            // Held open until the other side has had enough.
                            let _ = stream.read(&mut [0; 1]);
                        });
                        continue;
                    }
                    _ => (302, "image/png", Vec::new()),
                };
                let location = match path {
                    "/again" => "/good".to_owned(),
                    "/loop" => "/loop".to_owned(),
                    "/inside" => format!("http://localhost:{port}/good"),
                    _ => "https://169.254.169.254/latest".to_owned(),
                };
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nlocation: {location}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(&[head.into_bytes(), body].concat());
            }
        });
        port
    }

    #[test]
    fn what_comes_is_bounded_and_redirects_are_checked() {
        let port = serve();
        let fetcher = fetcher(&["127.0.0.1", "169.254.169.254"], &["127.0.0.1"]);
        let fetch = |path: &str| fetcher.fetch(&format!("http://127.0.0.1:{port}{path}"));
        let good = fetch("/good").unwrap();
        assert_eq!(fetch("/again").unwrap(), good);
        for (path, why) in [
            ("/html", "no picture"),
            ("/long", "more than 1000 bytes"),
            ("/missing", "answered 404"),
            ("/loop", "too often"),
            ("/hang", "too long"),
            ("/inside", "not fetched from its host"),
            ("/metadata", "not public"),
        ] {
            let told = fetch(path).unwrap_err();
            assert!(told.contains(why), "{path}: {told}");
        }
    }
}
