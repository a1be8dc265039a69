//! Captions as WebVTT (W3C WebVTT: The Web Video Text Tracks Format).

use std::fmt::Write;

use vignette_templates::time::Time;
use vignette_templates::video::Cue;

/// The captions as a WebVTT file.
pub fn to_webvtt(cues: &[Cue]) -> String {
    let mut file = String::from("WEBVTT\n");
    for cue in cues {
        // Blank lines end a cue, and `-->` may not stand in its text (section 4.1).
        let lines: Vec<String> =
            cue.text.lines().map(escape).filter(|line| !line.trim().is_empty()).collect();
        // Writing to a string cannot fail.
        let _ = write!(file, "\n{} --> {}\n{}\n", stamp(cue.start), stamp(cue.end), lines.join("\n"));
    }
    file
}

fn escape(line: &str) -> String {
    line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn stamp(time: Time) -> String {
    let millis = (time.ticks().max(0) + Time::TICKS_PER_SECOND / 2000) / (Time::TICKS_PER_SECOND / 1000);
    let (seconds, millis) = (millis / 1000, millis % 1000);
    format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_out_of_its_cue() {
        let cue = Cue {
            start: Time::from_seconds(3599),
            end: Time::from_seconds(3661),
            text: "Tom & <b>Jerry</b>\n\n00:00 --> 00:01".into(),
        };
        assert_eq!(
            to_webvtt(&[cue]),
            "WEBVTT\n\n00:59:59.000 --> 01:01:01.000\nTom &amp; &lt;b&gt;Jerry&lt;/b&gt;\n00:00 --&gt; 00:01\n"
        );
        assert_eq!(to_webvtt(&[]), "WEBVTT\n");
    }
}
