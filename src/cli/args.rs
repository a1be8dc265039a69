//! What may be typed.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use vignette::renderer::encode::VideoProfile;
use vignette::templates::units::{self, Duration};
use vignette::templates::video::Video;

use super::batch::BatchArguments;
use super::copy::CopyAction;
use super::forecast::ForecastArguments;
use super::generators::GeneratorOptions;

/// Renders videos made for one viewer each.
#[derive(Parser)]
#[command(name = "vignette", version, about, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Writes a small template package that renders as it is
    New {
        /// The folder to make
        dir: PathBuf,
    },
    /// Prints every fault of a template, and of a viewer's data where given
    Check {
        /// The template: a folder with template.yaml, or the file itself
        template: PathBuf,
        /// The viewer's data: a JSON object, a CSV, JSON Lines or Parquet file, or - for standard input
        #[arg(long, value_name = "FILE")]
        data: Option<PathBuf>,
        /// Which row of a CSV, JSON Lines or Parquet file, from 1
        #[arg(long, value_name = "N", requires = "data")]
        row: Option<usize>,
        /// Sets one value of the data, read as the type that the template gives it
        #[arg(long, value_name = "KEY=VALUE", value_parser = parse_set)]
        set: Vec<(String, String)>,
        /// Another folder in which files that the data name are looked for
        #[arg(long, value_name = "DIR")]
        assets: Vec<PathBuf>,
        #[command(flatten)]
        generators: GeneratorOptions,
    },
    /// Prints the JSON Schema of the template language, or of a template's viewer data
    Schema {
        /// The template whose data schema is printed
        template: Option<PathBuf>,
    },
    /// Prints the filled video as JSON: what will be drawn and heard
    Fill {
        #[command(flatten)]
        source: Source,
        /// Prints instead what each generator would be told of the viewer; none is asked
        #[arg(long)]
        explain: bool,
    },
    /// Renders one frame to a PNG file
    Still {
        #[command(flatten)]
        source: Source,
        /// When: 1.5s, 450ms, 12f or 1:30
        // A negative moment is refused in our own words, not taken for an option.
        #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
        at: Moment,
        /// The PNG file to write
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Renders the video to a file, or to a folder of HLS
    Render {
        #[command(flatten)]
        source: Source,
        /// The file to write: name.mp4; for HLS folder/master.m3u8, or a folder with --format hls
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
        /// What is written; follows from the file's name when left out
        #[arg(long, value_enum)]
        format: Option<Format>,
        /// The sizes of an HLS presentation by their shorter sides, e.g. 1080,720,540; those that the canvas is large enough for
        /// when left out
        #[arg(long, value_name = "SIDES", value_delimiter = ',')]
        ladder: Vec<u32>,
        /// How progress is shown
        #[arg(long, value_enum, default_value_t = ProgressStyle::Auto)]
        progress: ProgressStyle,
        /// Constant rate factor of x264: 1 is best, 50 smallest
        // 0 is lossless, which the High profile does not know; x264enc refuses 51.
        #[arg(long, value_name = "CRF", default_value_t = VideoProfile::DEFAULT_QUALITY,
              value_parser = clap::value_parser!(u8).range(1..=50))]
        quality: u8,
        /// Segments that are rendered at a time; one for each core when left out
        #[arg(long, value_name = "N", value_parser = parse_workers)]
        workers: Option<usize>,
        /// Also writes the captions to this WebVTT file
        #[arg(long, value_name = "FILE")]
        captions: Option<PathBuf>,
        #[command(flatten)]
        store: StoreOptions,
    },
    /// Renders a video for every row of an audience
    Batch(BatchArguments),
    /// Shows generated words to a person before viewers see them
    Copy {
        #[command(subcommand)]
        action: CopyAction,
    },
    /// Says what a batch would come to, before anything is rendered
    Forecast(ForecastArguments),
    /// Shows the segments of a viewer's video: which are personal, and which are there already
    Plan {
        #[command(flatten)]
        source: Source,
        /// Constant rate factor of x264: 1 is best, 50 smallest
        #[arg(long, value_name = "CRF", default_value_t = VideoProfile::DEFAULT_QUALITY,
              value_parser = clap::value_parser!(u8).range(1..=50))]
        quality: u8,
        /// Prints JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        store: StoreOptions,
    },
    /// Looks after the store of encoded segments
    Store {
        #[command(subcommand)]
        action: StoreAction,
        #[command(flatten)]
        store: StoreOptions,
    },
}

/// Where encoded segments are kept.
#[derive(Args)]
pub(super) struct StoreOptions {
    /// The store: a folder, or a URL (s3://bucket/prefix); by default a folder in the user's cache
    #[arg(long, value_name = "PATH|URL", env = "VIGNETTE_STORE", global = true)]
    pub store: Option<String>,
    /// What the store may take on this machine, e.g. 500MB or 20GB
    #[arg(long, value_name = "SIZE", env = "VIGNETTE_STORE_SIZE", global = true)]
    pub store_size: Option<Size>,
    /// Finds and keeps nothing
    #[arg(long, global = true)]
    pub no_store: bool,
}

#[derive(Subcommand)]
pub(super) enum StoreAction {
    /// Tells how many entries there are, and how large they are
    Stats {
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
    /// Removes what was not used for longest
    Prune {
        /// What may stay; nothing when left out
        #[arg(long, value_name = "SIZE")]
        keep: Option<Size>,
    },
    /// Reads every entry and removes the damaged ones, with exit status 1 if there were any
    Verify,
}

/// A number of bytes, as typed: 500MB, 20 GB, 1GiB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let number: f64 = text[..split].parse().map_err(|_| "expected a size such as 500MB or 20GB")?;
        let unit = match text[split..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "tb" => 1e12,
            "kib" => 1024.0,
            "mib" => f64::from(1 << 20),
            "gib" => f64::from(1 << 30),
            "tib" => f64::from(1 << 30) * 1024.0,
            other => return Err(format!("unknown unit `{other}`; write B, kB, MB, GB, KiB, MiB or GiB")),
        };
        Ok(Size((number * unit) as u64))
    }
}

/// A template and one viewer.
#[derive(Args)]
pub(super) struct Source {
    /// The template: a folder with template.yaml, or the file itself
    pub template: PathBuf,
    /// The viewer's data: a JSON object, a CSV, JSON Lines or Parquet file, or - for standard input
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Which row of a CSV, JSON Lines or Parquet file, from 1
    #[arg(long, value_name = "N", requires = "data")]
    pub row: Option<usize>,
    /// Sets one value of the data, read as the type that the template gives it
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_set)]
    pub set: Vec<(String, String)>,
    /// Another size that the template knows
    #[arg(long, value_name = "NAME")]
    pub rendition: Option<String>,
    /// Another folder in which files that the data name are looked for
    #[arg(long, value_name = "DIR")]
    pub assets: Vec<PathBuf>,
    /// Makes characters that no font has an error instead of a warning
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub generators: GeneratorOptions,
}

/// What a video is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One file with its index first
    Mp4,
    /// One file of fragments, which plays while it is still being sent
    Fmp4,
    /// A folder: playlists, and media in fragments that viewers share
    Hls,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressStyle {
    /// A bar on a terminal, nothing elsewhere
    Auto,
    /// JSON lines on standard error
    Json,
    /// Nothing
    None,
}

/// A moment of a video, as typed.
#[derive(Clone)]
pub(super) struct Moment(Duration);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = units::parse_duration(text)?;
        let negative = match duration {
            Duration::Time(time) => time.ticks() < 0,
            Duration::Frames(frames) => frames < 0,
        };
        if negative { Err("a moment cannot be before the start".into()) } else { Ok(Moment(duration)) }
    }
}

impl Moment {
    /// The frame that shows at this moment.
    pub(super) fn frame(&self, video: &Video) -> u32 {
        let frame = match self.0 {
            Duration::Frames(frames) => frames.max(0) as u64,
            Duration::Time(time) => {
                // The last frame that began at or before this moment.
                let rate = video.canvas.frame_rate;
                let near = rate.frames_in(time);
                if rate.time_of(near) > time { near.saturating_sub(1) } else { near }
            }
        };
        u32::try_from(frame).unwrap_or(u32::MAX)
    }
}

/// Key and value as typed; only the template knows the value's type.
pub(super) fn parse_set(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    if key.is_empty() {
        return Err("expected KEY=VALUE, the key is empty".into());
    }
    Ok((key.to_owned(), value.to_owned()))
}

pub(super) fn parse_workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a number of at least 1".into()),
        Ok(count) => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("500MB", 500_000_000), ("1.5 GB", 1_500_000_000), ("2GiB", 2 << 30), ("7", 7)]
        {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "MB", "-1GB", "5 parsecs"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn set_is_a_key_and_a_value() {
        for (text, value) in [("a=1", "1"), ("a=Maria", "Maria"), ("a=x=y", "x=y"), ("a=", "")] {
            assert_eq!(parse_set(text), Ok(("a".to_owned(), value.to_owned())), "{text}");
        }
        assert!(parse_set("a").is_err());
        assert!(parse_set("=1").is_err());
    }
}
