//! Pictures that must stay as they are, exactly.
//!
//! A golden picture is `tests/golden/GROUP/NAME.png`. On a mismatch, `target/golden/GROUP/NAME.png` shows
//! expected, difference and actual side by side. `VIGNETTE_ACCEPT=1 cargo test` takes what is drawn now.

use std::fs;
use std::path::{Path, PathBuf};

use tiny_skia::{Color, Pixmap, PixmapPaint, Transform};

/// Compares pictures of one group and reports all mismatches at once.
#[must_use = "call finish, which fails the test"]
pub struct Golden {
    group: &'static str,
    accept: bool,
    mismatches: Vec<String>,
}

impl Golden {
    /// A comparison with the pictures in `tests/golden/{group}`.
    pub fn new(group: &'static str) -> Self {
        Golden { group, accept: std::env::var_os("VIGNETTE_ACCEPT").is_some(), mismatches: Vec::new() }
    }

    /// Compares `actual` with the golden picture `name`.
    pub fn check(&mut self, name: &str, actual: &Pixmap) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden")
            .join(self.group)
            .join(format!("{name}.png"));
        let expected = fs::read(&path).ok().and_then(|bytes| Pixmap::decode_png(&bytes).ok());
        if expected.as_ref() == Some(actual) {
            return;
        }
        if self.accept {
            write(&path, actual);
            return;
        }
        let report = report_path(self.group, name);
        let what = match &expected {
            None => "there is no golden picture".to_owned(),
            Some(expected) if (expected.width(), expected.height()) != (actual.width(), actual.height()) => {
                format!(
                    "{}x{} instead of {}x{}",
                    actual.width(),
                    actual.height(),
                    expected.width(),
                    expected.height()
                )
            }
            Some(expected) => {
                let differing = differences(expected, actual);
                let worst = differing.iter().max().copied().unwrap_or(0);
                format!(
                    "{} pixels differ, by {worst} at most",
                    differing.iter().filter(|difference| **difference > 0).count()
                )
            }
        };
        write(&report, &side_by_side(expected.as_ref(), actual));
        self.mismatches.push(format!("{name}: {what}; see {}", report.display()));
    }

    /// Fails when any picture differed.
    pub fn finish(self) {
        assert!(
            self.mismatches.is_empty(),
            "{} of the golden pictures in {} differ (VIGNETTE_ACCEPT=1 takes the new ones):\n  {}",
            self.mismatches.len(),
            self.group,
            self.mismatches.join("\n  ")
        );
    }
}

fn report_path(group: &str, name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    target.join("golden").join(group).join(format!("{name}.png"))
}

fn write(path: &Path, picture: &Pixmap) {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).expect("the folder of pictures can be made");
    }
    fs::write(path, picture.encode_png().expect("a pixmap encodes")).expect("the picture can be written");
}

/// The largest difference of any channel, for each pixel.
fn differences(a: &Pixmap, b: &Pixmap) -> Vec<u8> {
    let pixels = a.data().chunks_exact(4).zip(b.data().chunks_exact(4));
    pixels.map(|(a, b)| a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)).collect()
}

/// Expected, difference (any difference at least a quarter bright), actual.
fn side_by_side(expected: Option<&Pixmap>, actual: &Pixmap) -> Pixmap {
    let blank = Pixmap::new(actual.width(), actual.height()).expect("as large as another pixmap");
    let expected = expected.unwrap_or(&blank);
    let (width, height) = (actual.width().max(expected.width()), actual.height().max(expected.height()));
    let mut sheet = Pixmap::new(width * 3 + 8, height).expect("three small pictures fit");
    sheet.fill(Color::from_rgba8(128, 128, 128, 255));
    let mut put = |picture: &Pixmap, x: u32| {
        let paint = PixmapPaint::default();
        sheet.draw_pixmap(x as i32, 0, picture.as_ref(), &paint, Transform::identity(), None);
    };
    put(expected, 0);
    put(actual, (width + 4) * 2);
    if (expected.width(), expected.height()) == (actual.width(), actual.height()) {
        let mut difference = blank.clone();
        let pixels = difference.data_mut().chunks_exact_mut(4);
        for (pixel, by) in pixels.zip(differences(expected, actual)) {
            let red = if by == 0 { 0 } else { by.saturating_add(64) };
            pixel.copy_from_slice(&[red, 0, 0, 255]);
        }
        put(&difference, width + 4);
    }
    sheet
}
