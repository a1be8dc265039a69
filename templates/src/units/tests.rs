use super::*;

const fn rgba(r: u8, g: u8, b: u8, a: u8) -> Color {
    Color { r, g, b, a }
}

#[test]
fn colors() {
    let rows = [
        ("#abc", rgba(0xaa, 0xbb, 0xcc, 255)),
        ("#abcd", rgba(0xaa, 0xbb, 0xcc, 0xdd)),
        ("#7c3aed", rgba(0x7c, 0x3a, 0xed, 255)),
        ("#7C3AED80", rgba(0x7c, 0x3a, 0xed, 0x80)),
        (" white ", rgba(255, 255, 255, 255)),
        ("RebeccaPurple", rgba(0x66, 0x33, 0x99, 255)),
        ("yellowgreen", rgba(0x9a, 0xcd, 0x32, 255)),
        ("aliceblue", rgba(0xf0, 0xf8, 0xff, 255)),
        ("transparent", rgba(0, 0, 0, 0)),
        ("rgb(124, 58, 237)", rgba(124, 58, 237, 255)),
        ("rgba(124,58,237,0.5)", rgba(124, 58, 237, 128)),
        ("rgb(124 58 237 / 50%)", rgba(124, 58, 237, 128)),
        ("rgb(100% 0% 50%)", rgba(255, 0, 128, 255)),
        ("rgb(300, -5, 0)", rgba(255, 0, 0, 255)),
        ("hsl(120, 100%, 25%)", rgba(0, 128, 0, 255)),
        ("hsl(0 100% 50%)", rgba(255, 0, 0, 255)),
        ("hsl(240deg 100% 50% / 0.2)", rgba(0, 0, 255, 51)),
        ("hsl(-0.5turn 100% 50%)", rgba(0, 255, 255, 255)),
        ("hsla(0, 0%, 50%, 1)", rgba(128, 128, 128, 255)),
    ];
    for (text, color) in rows {
        assert_eq!(parse_color(text), Ok(color), "{text}");
    }
    for text in [
        "",
        "#",
        "#12",
        "#12345",
        "#ggg",
        "#1234567890",
        "rgb(1,2)",
        "rgb(1,2,3",
        "rgb(1 2 3 4)",
        "lab(1 2 3)",
        "#é12",
    ] {
        assert!(parse_color(text).is_err(), "{text}");
    }
    assert_eq!(
        parse_color("blurple").unwrap_err(),
        "expected a colour, found \"blurple\"; write #rrggbb, rgb(…) or a CSS name; did you mean purple?"
    );
    assert_eq!(
        parse_color("wombat").unwrap_err(),
        "expected a colour, found \"wombat\"; write #rrggbb, rgb(…) or a CSS name"
    );
    assert!(parse_color("7c3aed").unwrap_err().ends_with("did you mean #7c3aed?"));
    assert!(NAMED_COLORS.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted for the search");
}

#[test]
fn lengths() {
    use LengthUnit::*;
    let rows = [
        ("96px", 96.0, Px),
        ("12", 12.0, Px),
        ("-4.5 px", -4.5, Px),
        ("8%", 8.0, Percent),
        ("9vmin", 9.0, Vmin),
        ("50vw", 50.0, Vw),
        ("1e1vh", 10.0, Vh),
        ("2em", 2.0, Em),
        (".02EM", 0.02, Em),
        ("1000000", 1e6, Px),
    ];
    for (text, value, unit) in rows {
        assert_eq!(parse_length(text), Ok(Length { value, unit }), "{text}");
    }
    for text in [
        "",
        "px",
        "Maria",
        "nan",
        "inf",
        "infpx",
        "1e999",
        "1000001",
        "-1e7%",
        "12 apples",
        "12 px px",
        "0x10",
        "--1",
    ] {
        assert!(parse_length(text).is_err(), "{text}");
    }
    assert_eq!(
        parse_length("Maria").unwrap_err(),
        "expected a length, found \"Maria\"; write e.g. 96px, 8%, 9vmin, 50vw, 10vh or 0.5em"
    );
}

#[test]
fn durations() {
    let ticks = |ticks| Duration::Time(Time::from_ticks(ticks));
    let second = Time::TICKS_PER_SECOND;
    let rows = [
        ("3s", ticks(3 * second)),
        ("450ms", ticks(second * 45 / 100)),
        ("0.1s", ticks(second / 10)),
        ("-300 ms", ticks(-second * 3 / 10)),
        ("+.5s", ticks(second / 2)),
        ("12f", Duration::Frames(12)),
        ("-1F", Duration::Frames(-1)),
        ("12.0f", Duration::Frames(12)),
        ("1:30", ticks(90 * second)),
        ("0:02.5", ticks(second * 5 / 2)),
        ("-0:01", ticks(-second)),
        ("1:02:03", ticks(3723 * second)),
        ("0", ticks(0)),
        // A third of a millisecond is not a whole number of ticks: rounded to the nearest, away from the float's error.
        ("0.333333333333s", ticks(235_200_000)),
        // As an expression computes it: 42,350 samples at 22,050 Hz.
        ("1.9206349206349207s", ticks(1_355_200_000)),
        ("1000000s", ticks(1_000_000 * second)),
    ];
    for (text, duration) in rows {
        assert_eq!(parse_duration(text), Ok(duration), "{text}");
    }
    let wrong = [
        "",
        "3",
        "s",
        "-",
        "3 m",
        "NaN s",
        "infs",
        "1e3s",
        "1.5f",
        "1:5",
        "1:90",
        "1:2:3",
        "1:60:00",
        ":30",
        "1:",
        "1::30",
        "1:2:3:4",
        "1000001s",
        "99999999999999999999s",
        "200000000f",
        "٣s",
        "3s 4s",
        "1.2.3s",
        "--3s",
    ];
    for text in wrong {
        assert!(parse_duration(text).is_err(), "{text}");
    }
    assert_eq!(
        parse_duration("3").unwrap_err(),
        "expected a duration with a unit, found \"3\"; write e.g. 3s, 450ms, 12f (frames) or 1:30"
    );
    assert!(parse_duration("99999999999999999999s").unwrap_err().contains("at most 1000000s"));
}

#[test]
fn easings() {
    let rows = [
        ("linear", Easing::Linear),
        ("ease-in-out", Easing::CubicBezier([0.42, 0.0, 0.58, 1.0])),
        ("out-cubic", Easing::CubicBezier([0.33, 1.0, 0.68, 1.0])),
        ("in-out-back", Easing::CubicBezier([0.68, -0.6, 0.32, 1.6])),
        ("cubic-bezier(.2, 0, 0, 1.5)", Easing::CubicBezier([0.2, 0.0, 0.0, 1.5])),
        ("steps(4)", Easing::Steps(4)),
        ("steps(4, end)", Easing::Steps(4)),
    ];
    for (text, easing) in rows {
        assert_eq!(parse_easing(text), Ok(easing), "{text}");
    }
    for family in ["sine", "quad", "cubic", "quart", "quint", "expo", "circ", "back"] {
        for way in ["in", "out", "in-out"] {
            assert!(parse_easing(&format!("{way}-{family}")).is_ok(), "{way}-{family}");
        }
    }
    for text in [
        "",
        "cubic-bezier(2,0,0,1)",
        "cubic-bezier(0,0,0)",
        "cubic-bezier(0,0,0,1,1)",
        "cubic-bezier(0,99,0,1)",
        "steps(0)",
        "steps(-1)",
        "steps(1.5)",
        "steps(4, start)",
        "spring(1)",
        "cubic-bezier(nan,0,0,1)",
    ] {
        assert!(parse_easing(text).is_err(), "{text}");
    }
    assert!(parse_easing("ease-out-cubic").unwrap_err().ends_with("did you mean out-cubic?"));
    assert!(parse_easing("out-cubik").unwrap_err().ends_with("did you mean out-cubic?"));
    // The contract of `Easing::CubicBezier`.
    assert!(EASINGS.iter().all(|(_, c)| (0.0..=1.0).contains(&c[0]) && (0.0..=1.0).contains(&c[2])));
}

#[test]
fn frame_rates() {
    let rows = [
        ("24", 24, 1),
        ("25", 25, 1),
        ("60.0", 60, 1),
        ("30000/1001", 30000, 1001),
        ("30000 / 1001", 30000, 1001),
        ("60/2", 30, 1),
        ("29.97", 30000, 1001),
        ("23.976", 24000, 1001),
        ("59.94", 60000, 1001),
        ("12.5", 25, 2),
    ];
    for (text, num, den) in rows {
        assert_eq!(parse_frame_rate(text).ok(), FrameRate::new(num, den), "{text}");
    }
    for text in
        ["", "0", "-25", "0/1", "1/0", "241", "0.5", "30000/", "a/b", "1/2/3", "1e2", "nan", "99999999999999"]
    {
        assert!(parse_frame_rate(text).is_err(), "{text}");
    }
}

#[test]
fn plain_values() {
    assert_eq!(parse_number(" -1.5e2 "), Ok(-150.0));
    assert_eq!(parse_number("5."), Ok(5.0));
    for text in ["", ".", "-", "NaN", "inf", "-Infinity", "1,5", "1 2", "1e", "1e400"] {
        assert!(parse_number(text).is_err(), "{text}");
    }
    assert_eq!(parse_bool("True"), Ok(true));
    assert_eq!(parse_bool("no"), Ok(false));
    assert!(parse_bool("").is_err() && parse_bool("maybe").is_err());
    assert_eq!(parse_fraction("40%"), Ok(0.4));
    assert_eq!(parse_fraction("1"), Ok(1.0));
    assert!(
        parse_fraction("1.1").is_err() && parse_fraction("-1%").is_err() && parse_fraction("101%").is_err()
    );
    assert_eq!(parse_gain_db("-12dB"), Ok(-12.0));
    assert_eq!(parse_gain_db("3 DB"), Ok(3.0));
    assert_eq!(parse_gain_db("0"), Ok(0.0));
    assert!(
        parse_gain_db("90dB").is_err() && parse_gain_db("-inf").is_err() && parse_gain_db("2 px").is_err()
    );
    assert_eq!(parse_angle("0.25turn"), Ok(90.0));
    assert_eq!(parse_angle("-45"), Ok(-45.0));
    assert!((parse_angle("3.14159265rad").unwrap() - 180.0).abs() < 1e-6);
    assert!(parse_angle("1e9turn").is_err() && parse_angle("north").is_err());
    assert_eq!(parse_anchor("center"), Ok([0.5, 0.5]));
    assert_eq!(parse_anchor("bottom-right"), Ok([1.0, 1.0]));
    assert_eq!(parse_anchor("25% 75%"), Ok([0.25, 0.75]));
    assert!(parse_anchor("150% 0%").is_err() && parse_anchor("1 1 1").is_err());
    assert!(parse_anchor("botom").unwrap_err().ends_with("did you mean bottom?"));
}

#[test]
fn path_data() {
    let right = [
        "M0 0 L10 10",
        "m0,0l10-10z",
        "M 10,20 30,40 50 60 Z m1 1",
        "M.5.5.5.5",
        "M0 0 C1 2 3 4 5 6S1 2 3 4Q1 2 3 4T5 6H7V8",
        "M0 0a1 1 0 0110 10",
        "M0 0A5 5 30 1 0 1e1 -1E-1,5 5 0 0,1 2 2",
        "\n M0\t0 z ",
        "M0 0h-1-2+3",
    ];
    for data in right {
        assert_eq!(check_path_data(data), Ok(()), "{data}");
    }
    let wrong = [
        "",
        "   ",
        "L0 0",
        "M",
        "M0",
        "M0 0 L",
        "M0 0 L1",
        "M0 0,",
        "M0,,0",
        "M0 0 X1 1",
        "M0 0 a1 1 0 2 1 1 1",
        "M0 0 C1 2 3 4 5",
        "Mnan 0",
        "M1e9 0",
        "M1e999 0",
        "M0 0 Z 5",
        "M0 0 L1 1,",
        "M0 0 é",
        "Minf inf",
    ];
    for data in wrong {
        assert!(check_path_data(data).is_err(), "{data}");
    }
    assert_eq!(
        check_path_data("M0 0 L1").unwrap_err(),
        "expected a number at byte 7 of the path data, found the end; write SVG path data, e.g. M0 0 L10 0 L10 10 Z"
    );
    let long = format!("M0 0{}", " 1 1".repeat(20_000));
    assert!(check_path_data(&long).unwrap_err().contains("80004 bytes"));
}

/// A small deterministic generator, so that a failure repeats (xorshift, Marsaglia 2003).
fn pseudo_random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn nothing_panics_and_nothing_is_unbounded() {
    let seeds = [
        "#7c3aed80",
        "rgb(1 2 3 / 50%)",
        "hsl(120deg,100%,50%)",
        "96.5px",
        "1:02:03.5",
        "-450ms",
        "12f",
        "30000/1001",
        "cubic-bezier(.1,.2,.3,.4)",
        "steps(4)",
        "M0 0a1 1 0 0110 10z",
        "-12dB",
        "25% 75%",
        "1e308",
        "0.000000000001s",
        "é→👋🏽",
        "999999999999",
        "\u{0}",
        "",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..8_000 {
        let mut bytes = seeds[pseudo_random(&mut state) as usize % seeds.len()].as_bytes().to_vec();
        for _ in 0..pseudo_random(&mut state) % 6 {
            let at = pseudo_random(&mut state) as usize % (bytes.len() + 1);
            match pseudo_random(&mut state) % 3 {
                0 => bytes.insert(at, pseudo_random(&mut state) as u8),
                1 => bytes
                    .extend_from_slice(seeds[pseudo_random(&mut state) as usize % seeds.len()].as_bytes()),
                _ if at < bytes.len() => drop(bytes.remove(at)),
                _ => {}
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        check_all(&text);
    }
    for piece in ["1", "(", ",", "#", "rgb(", ":", "é", " ", "M0 0"] {
        check_all(&piece.repeat(1_000_000));
    }
}

fn check_all(text: &str) {
    if let Ok(length) = parse_length(text) {
        assert!(length.value.abs() <= MAX_LENGTH, "{text}");
    }
    if let Ok(number) = parse_number(text) {
        assert!(number.is_finite(), "{text}");
    }
    if let Ok(fraction) = parse_fraction(text) {
        assert!((0.0..=1.0).contains(&fraction), "{text}");
    }
    if let Ok(Easing::CubicBezier(curve)) = parse_easing(text) {
        assert!(curve.iter().all(|value| value.is_finite()), "{text}");
    }
    if let Ok(rate) = parse_frame_rate(text) {
        assert!((1.0..=240.0).contains(&rate.as_f64()), "{text}");
    }
    for message in [
        parse_color(text).err(),
        parse_duration(text).err(),
        parse_angle(text).err(),
        parse_gain_db(text).err(),
        parse_bool(text).err(),
        parse_anchor(text).err(),
        check_path_data(text).err(),
    ]
    .into_iter()
    .flatten()
    {
        // Forty characters may each be escaped to ten.
        assert!(message.len() < 800, "{message}");
    }
}
