//! `vignette batch` with a provider over HTTP that limits how often it is asked: nothing is asked twice, no budget is passed, in one run
//! or in several, and what is told on the way is true.

mod common;
#[path = "../generators/tests/support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{succeed, vignette};
use serde_json::Value;
use support::{Asked, Server, lines, status};
use tempfile::TempDir;

const TEMPLATE: &str = "vignette: 1
name: greeting
canvas: { width: 64, height: 64, fps: 25 }
data:
  required: [first_name]
  properties: { first_name: { type: string, x-pii: true } }
generate:
  hook:
    text:
      prompt: \"One warm sentence for {{first_name}}\"
      facts: [\"{{first_name}}\"]
      max_chars: 60
      fallback: \"Good to see you\"
      send_personal: true
scenes: [{ duration: 4f, layers: [{ text: \"{{hook}}\", style: { size: 6px } }] }]
";

/// The rows of the audience, and how many of them are different people.
const ROWS: usize = 1000;
const PEOPLE: usize = 120;

/// A name of letters alone: a number would have to be in the prompt.
fn name(person: usize) -> String {
    let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
    format!("Zo{}{}{}", letter(person / 26), letter(person), letter(person / 26))
}

struct Campaign {
    folder: TempDir,
    server: Server,
    answered: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Campaign {
    /// A server that lets through so many requests in each half second, and answers the rest, and every tenth in any case, with 429.
    fn new(rate: u32, settings: &str) -> Campaign {
        let folder = tempfile::tempdir().unwrap();
        let window = Mutex::new((Instant::now(), 0, 0u32));
        let answered = Arc::<Mutex<BTreeMap<String, u32>>>::default();
        let log = Arc::clone(&answered);
        let server = Server::start(move |asked| {
            let mut window = window.lock().unwrap();
            if window.0.elapsed() > Duration::from_millis(500) {
                (window.0, window.1) = (Instant::now(), 0);
            }
            window.1 += 1;
            window.2 += 1;
            // However slow this machine is just now, somebody is told to wait.
            if window.1 > rate || window.2.is_multiple_of(10) {
                return status(429, &[("retry-after", "0.5")]);
            }
            let name = name_in(asked);
            *log.lock().unwrap().entry(name.clone()).or_default() += 1;
            lines(&[&format!("Welcome back, {name}!")])
        });
        fs::write(folder.path().join("template.yaml"), TEMPLATE).unwrap();
        let rows: String = (0..ROWS).map(|row| format!("{}\n", name(row * 7 % PEOPLE))).collect();
        fs::write(folder.path().join("people.csv"), format!("first_name\n{rows}")).unwrap();
        let text = format!(
            "deadline = \"600s\"\n[text]\nuse = [\"house\"]\n[providers.house]\nkind = \"openai-chat\"\nurl = \"{}\"\n\
             model = \"m\"\ndeadline = \"600s\"\nretries = 10\n{settings}\n",
            server.url()
        );
        fs::write(folder.path().join("generators.toml"), text).unwrap();
        Campaign { folder, server, answered }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = vignette();
        command.arg("batch").arg(self.folder.path()).arg("--audience").arg(self.path("people.csv"));
        command.arg("-o").arg(self.path("out")).arg("--generators").arg(self.path("generators.toml"));
        command.args(["--progress", "json"]).args(more).env("VIGNETTE_STORE", self.path("store"));
        command
    }

    fn start(&self, more: &[&str]) -> Child {
        self.command(more).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn arrived(&self) -> u64 {
        self.server.asked().len() as u64
    }

    /// The column of results.csv.
    fn warnings(&self) -> Vec<String> {
        let mut reader = csv::Reader::from_path(self.path("out/results.csv")).unwrap();
        let heads = reader.headers().unwrap().clone();
        let at = |name: &str| heads.iter().position(|head| head == name).unwrap();
        let (done, warnings) = (at("status"), at("warnings"));
        let rows = reader.records().map(|row| row.unwrap());
        rows.inspect(|row| assert_eq!(&row[done], "done", "{row:?}"))
            .map(|row| row[warnings].to_owned())
            .collect()
    }
}

fn name_in(asked: &Asked) -> String {
    let body = asked.json();
    let told = body["messages"][1]["content"].as_str().unwrap_or_default();
    told.split('"').nth(1).unwrap_or_default().to_owned()
}

/// What an event says of the provider.
fn usage(event: &Value) -> &Value {
    &event["generators"][0]["usage"]
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn a_thousand_rows_with_a_provider_that_limits_them() {
    let budget = 300;
    let campaign = Campaign::new(20, &format!("budget = {{ requests = {budget}, tokens = 1000000 }}"));
    let mut child = campaign.start(&[]);
    let mut before: Option<[u64; 5]> = None;
    let (mut told, mut last) = (BTreeSet::new(), Value::Null);
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        for person in 0..PEOPLE {
            assert!(!line.contains(&name(person)), "{line}");
        }
        let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if event["event"] == "generators" && before.is_none() {
            assert_eq!(usage(&event)["budget"]["requests"], budget, "told before anything is asked: {event}");
        }
        if !matches!(event["event"].as_str(), Some("progress" | "done")) {
            continue;
        }
        let usage = usage(&event);
        let now = [
            number(&event["done"]),
            number(&usage["answered"]),
            number(&usage["failed"]),
            number(usage["used"].get("requests").unwrap_or(&Value::from(0))),
            number(usage["used"].get("tokens").unwrap_or(&Value::from(0))),
        ];
        let before = before.replace(now).unwrap_or_default();
        assert!(now.iter().zip(before).all(|(now, before)| *now >= before), "{now:?} after {before:?}");
        assert_eq!(now[1] + now[2], now[3], "what ended was booked: {event}");
        // The server counts a request when it arrives, which is before it is told that it has ended.
        assert!(now[3] <= campaign.arrived() && now[3] <= budget, "{event}");
        told.insert(now[3]);
        last = event;
    }
    assert!(child.wait().unwrap().success());
    assert_eq!((&last["event"], &last["done"]), (&"done".into(), &ROWS.into()));
    // The server takes seconds to let all of them through, and four events come a second.
    assert!(told.len() > 3, "what is asked is told on the way: {told:?}");
    // Each person was asked about once, and at the end all that arrived is told.
    let answered = campaign.answered.lock().unwrap().clone();
    assert_eq!(answered.len(), PEOPLE, "{answered:?}");
    assert!(answered.values().all(|times| *times == 1), "{answered:?}");
    assert_eq!(number(&usage(&last)["used"]["requests"]), campaign.arrived());
    assert!(campaign.arrived() > PEOPLE as u64, "none was told to wait");
    assert!(campaign.warnings().iter().all(String::is_empty));
    assert_eq!(fs::read_dir(campaign.path("out")).unwrap().count(), ROWS + 2);
}

/// A budget is that of the batch, whatever ends its process.
#[test]
fn a_budget_holds_over_all_runs_of_a_batch() {
    let budget = 60;
    let campaign = Campaign::new(1000, &format!("budget = {{ requests = {budget} }}"));
    // Killed as soon as something was asked, twice.
    for (run, most) in [(0, 8), (1, 30)] {
        let mut child = campaign.start(if run == 0 { &[] } else { &["--resume"] });
        // What the program says is read, so that it does not wait for that.
        let told = child.stderr.take().unwrap();
        let reader = std::thread::spawn(move || BufReader::new(told).lines().count());
        while campaign.arrived() < most && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        reader.join().unwrap();
    }
    let arrived = campaign.arrived();
    assert!((30..=budget).contains(&arrived), "{arrived}");
    let text = fs::read_to_string(campaign.path("out/.vignette-batch.jsonl")).unwrap();
    assert!(!text.contains("Welcome"), "{text}");
    let mut child = campaign.start(&["--resume"]);
    let last = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok).last().unwrap();
    assert!(child.wait().unwrap().success(), "{last}");
    let last: Value = serde_json::from_str(&last).unwrap();
    let used = number(&usage(&last)["used"]["requests"]);
    // What was under way when the process was killed is booked as if it had arrived.
    assert!(campaign.arrived() <= used && used <= budget, "{} arrived, {used} booked", campaign.arrived());
    assert!(used >= budget - 8, "{used}");
    let warnings = campaign.warnings();
    let fell_back = warnings.iter().filter(|warnings| warnings.contains("budget of 60 requests")).count();
    assert!(fell_back > 0 && fell_back < ROWS, "{fell_back}");
    // One more run has nothing left to ask, and nothing to do.
    let arrived = campaign.arrived();
    succeed(&mut campaign.command(&["--resume"]));
    assert_eq!(campaign.arrived(), arrived);
}
