use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tiny_skia::{Pixmap, Rect};
use vignette_templates::blob::Digest;
use vignette_templates::video::{
    Align, Color, FontSource, Paint, Pill, Stroke, TextBlock, TextFit, VerticalAlign,
};

use super::glyphs::{Raster, Variant};
use super::{FontError, FontLibrary, MAX_CHARS, TextError, TextLayout, catalog, layout};

fn library() -> FontLibrary {
    FontLibrary::system().expect("the fonts are installed")
}

fn block(text: &str) -> TextBlock {
    TextBlock {
        text: text.to_owned(),
        fonts: Vec::new(),
        size: 40.0,
        weight: 400,
        italic: false,
        fill: Paint::Solid(Color { r: 0, g: 0, b: 0, a: 255 }),
        stroke: None,
        letter_spacing: 0.0,
        line_height: None,
        align: Align::Start,
        vertical: VerticalAlign::Top,
        fit: TextFit::None,
        pill: None,
        marked: None,
    }
}

fn family(name: &str) -> Vec<FontSource> {
    vec![FontSource::Family(name.to_owned())]
}

fn lay_out(block: &TextBlock, width: Option<f32>, height: Option<f32>) -> TextLayout {
    layout(&library(), block, width, height, "en").expect("the block can be laid out")
}

fn draw(text: &TextLayout, scale: f32) -> Pixmap {
    let mut pixmap = Pixmap::new(400, 300).expect("a small picture");
    text.draw(&mut pixmap.as_mut(), 100.0, 100.0, scale, None);
    pixmap
}

/// The smallest rectangle around what is not clear, as left, top, right, bottom.
fn inked(pixmap: &Pixmap) -> Option<[u32; 4]> {
    let width = pixmap.width();
    let pixels = pixmap.pixels().iter().enumerate().filter(|(_, pixel)| pixel.alpha() > 0);
    pixels.map(|(at, _)| (at as u32 % width, at as u32 / width)).fold(None, |bounds, (x, y)| {
        let [l, t, r, b] = bounds.unwrap_or([x, y, x + 1, y + 1]);
        Some([l.min(x), t.min(y), r.max(x + 1), b.max(y + 1)])
    })
}

fn asset(path: &str) -> (Digest, Arc<[u8]>) {
    let bytes: Arc<[u8]> = fs::read(path).expect("the fonts are installed").into();
    (Digest::of(&bytes), bytes)
}

fn noto(file: &str) -> (Digest, Arc<[u8]>) {
    asset(&format!("{}/{file}", catalog::NOTO))
}

/// Numbers below what is asked for, the same ones in every run (xorshift).
fn numbers(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    }
}

#[test]
fn every_script_has_a_font() {
    let texts = [
        ("latin", "Zoë Ærøskøbing"),
        ("greek", "Γιώργος"),
        ("cyrillic", "Дмитрий Їжак"),
        ("arabic", "مرحبا محمد 123"),
        ("hebrew", "שלום דוד"),
        ("devanagari", "नमस्ते प्रिया"),
        ("bengali", "শুভ সকাল"),
        ("gurmukhi", "ਸਤ ਸ੍ਰੀ ਅਕਾਲ"),
        ("gujarati", "નમસ્તે"),
        ("odia", "ନମସ୍କାର"),
        ("tamil", "வணக்கம்"),
        ("telugu", "నమస్కారం"),
        ("kannada", "ನಮಸ್ಕಾರ"),
        ("malayalam", "നമസ്കാരം"),
        ("sinhala", "ආයුබෝවන්"),
        ("thai", "สวัสดี สมชาย"),
        ("lao", "ສະບາຍດີ"),
        ("khmer", "សួស្តី"),
        ("myanmar", "မင်္ဂလာပါ"),
        ("tibetan", "བཀྲ་ཤིས་བདེ་ལེགས"),
        ("georgian", "გამარჯობა"),
        ("armenian", "Բարեւ"),
        ("ethiopic", "ሰላም"),
        ("japanese", "こんにちは 田中、カタカナ。"),
        ("korean", "안녕하세요"),
        ("chinese", "欢迎 歡迎"),
        ("mongolian", "ᠮᠣᠩᠭᠣᠯ"),
        ("cherokee", "ᏣᎳᎩ"),
        ("emoji", "👋🏽🎉 👨‍👩‍👧‍👦 🇩🇰 ❤️ 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿"),
        ("signs", "→ ✓ ★ ½ € ₹ ∑ ♫ …"),
    ];
    // Languages that fallback treats apart must find the fonts as well.
    for locale in [
        "en", "ar", "fa", "ur", "he", "yi", "hi", "mr", "am", "ja", "ko", "zh-CN", "zh-TW", "zh-HK", "dz",
        "x",
    ] {
        for (name, text) in texts {
            let text = layout(&library(), &block(text), None, None, locale).expect(name);
            assert!(text.missing.is_empty(), "{name} in {locale}: {:?}", text.missing);
            assert!(text.width > 10.0 && text.ink.width() > 10.0, "{name} in {locale}: {text:?}");
        }
    }
}

#[test]
fn han_characters_take_the_form_of_the_language() {
    let font = |text: &str, locale: &str| {
        let text = layout(&library(), &block(text), None, None, locale).expect("laid out");
        (text.runs[0].face.index, text.runs[0].glyphs[0].id)
    };
    let japanese = font("直骨", "ja");
    assert_ne!(japanese, font("直骨", "zh-CN"));
    assert_ne!(japanese, font("直骨", "ko"));
    assert_ne!(font("直骨", "zh-CN"), font("直骨", "zh-TW"));
    assert_eq!(font("直骨です", "en"), japanese, "kana tell that the text is Japanese");
}

#[test]
fn missing_characters_are_named_and_drawn() {
    let text = lay_out(&block("a\u{378}b\u{378}\u{10fffd}\u{200b}\u{7}"), None, None);
    assert_eq!(text.missing, ['\u{378}', '\u{10fffd}']);
    let alone = lay_out(&block("\u{378}"), None, None);
    assert!(inked(&draw(&alone, 1.0)).is_some(), "a missing character leaves no gap");
}

#[test]
fn nothing_is_drawn_outside_the_ink_bounds() {
    let stroke = Some(Stroke { color: Color { r: 255, g: 0, b: 0, a: 255 }, width: 7.0 });
    let pill = Some(Pill { color: Color { r: 0, g: 0, b: 255, a: 255 }, padding: [9.0, 4.0], radius: 20.0 });
    let rows = [
        ("plain", block("Åjgf")),
        ("static", TextBlock { fonts: family("Noto Sans"), ..block("Åjgf") }),
        ("italic made from upright", TextBlock { italic: true, ..block("שלום") }),
        ("bold made from regular", TextBlock { weight: 900, ..block("ᏣᎳ") }),
        ("stroke", TextBlock { stroke, ..block("Åjgf") }),
        ("pill", TextBlock { pill, ..block("jg") }),
        ("both", TextBlock { pill, stroke, ..block("نص") }),
        ("emoji", block("🎉👋🏽")),
        ("marks", block("Ấ̃̈ q̣̈")),
        ("empty", TextBlock { pill, stroke, ..block("") }),
        ("blank", block("  \n ")),
    ];
    for (name, block) in rows {
        let text = lay_out(&block, None, None);
        for scale in [1.0, 0.37, 1.6, 2.0] {
            let bounds = text.ink_bounds(scale);
            match inked(&draw(&text, scale)) {
                None => assert!(matches!(name, "empty" | "blank"), "{name} at {scale} draws nothing"),
                Some([l, t, r, b]) => assert!(
                    l as f32 >= 100.0 + bounds.left()
                        && t as f32 >= 100.0 + bounds.top()
                        && r as f32 <= 100.0 + bounds.right()
                        && b as f32 <= 100.0 + bounds.bottom(),
                    "{name} at {scale}: {:?} is outside {bounds:?}",
                    [l as i32 - 100, t as i32 - 100, r as i32 - 100, b as i32 - 100]
                ),
            }
        }
    }
}

#[test]
fn ink_bounds_are_not_much_larger_than_the_ink() {
    let text = lay_out(&block("Maria"), None, None);
    let bounds = text.ink_bounds(1.0);
    let [l, t, r, b] = inked(&draw(&text, 1.0)).expect("drawn");
    let ink = Rect::from_ltrb(l as f32, t as f32, r as f32, b as f32).expect("in order");
    assert!(
        bounds.width() - ink.width() <= 5.0 && bounds.height() - ink.height() <= 5.0,
        "{bounds:?} for {ink:?}"
    );
}

#[test]
fn text_fits_its_box() {
    let long = "Good to see you, Bartholomew Featherstonehaugh of Ærøskøbing";
    let arabic = "تتجدد خطتك في ٣ مارس ويمكنك تغييرها من الإعدادات في أي وقت";
    let word = "Donaudampfschifffahrtsgesellschaftskapitän";
    let shrink = |max_lines, min_size| TextFit::Shrink { max_lines, min_size };
    let ellipsis = |max_lines| TextFit::Ellipsis { max_lines };
    // name, text, fit, box, lines at most, shortened
    let rows = [
        ("one line shrinks", long, shrink(1, 4.0), (300.0, None), 1, false),
        ("two lines shrink", long, shrink(2, 4.0), (300.0, None), 2, false),
        ("the height counts", long, shrink(3, 4.0), (300.0, Some(40.0)), 3, false),
        ("words are kept whole", word, shrink(3, 4.0), (300.0, None), 1, false),
        ("too long to shrink", long, shrink(1, 30.0), (300.0, None), 1, true),
        ("arabic shrinks", arabic, shrink(2, 4.0), (200.0, None), 2, false),
        ("one line is cut", long, ellipsis(1), (300.0, None), 1, true),
        ("two lines are cut", long, ellipsis(2), (300.0, None), 2, true),
        ("arabic is cut", arabic, ellipsis(1), (200.0, None), 1, true),
        ("one word is cut", word, ellipsis(1), (300.0, None), 1, true),
        ("the height cuts", long, ellipsis(9), (300.0, Some(100.0)), 2, true),
        ("lines of the author are cut", "one\ntwo\nthree", ellipsis(2), (300.0, None), 2, true),
        ("what fits is left alone", "Maria", ellipsis(1), (300.0, None), 1, false),
        ("a long word breaks", word, TextFit::Wrap, (300.0, None), 9, false),
    ];
    for (name, text, fit, (width, height), lines, shortened) in rows {
        let text = lay_out(&TextBlock { fit, ..block(text) }, Some(width), height);
        assert!(text.width <= width + 0.1, "{name}: {text:?}");
        assert!(height.is_none_or(|height| text.height <= height + 0.1), "{name}: {text:?}");
        assert!(text.line_count <= lines, "{name}: {text:?}");
        assert_eq!(text.shortened, shortened, "{name}: {text:?}");
        let warned = shortened && matches!(fit, TextFit::Shrink { .. });
        assert_eq!(text.overflow, warned, "{name}: {text:?}");
    }
}

#[test]
fn shrinking_takes_the_largest_size_that_fits() {
    let fit = TextFit::Shrink { max_lines: 1, min_size: 4.0 };
    let text = lay_out(&TextBlock { fit, ..block("Bartholomew Featherstonehaugh") }, Some(300.0), None);
    let larger = lay_out(
        &TextBlock { size: text.size_used + 0.5, ..block("Bartholomew Featherstonehaugh") },
        None,
        None,
    );
    assert!(text.width > 290.0 && larger.width > 300.0, "{text:?}, {larger:?}");
    let short = lay_out(&TextBlock { fit, ..block("Maria") }, Some(300.0), None);
    assert_eq!(short.size_used, 40.0, "text that fits keeps its size");
    let over = lay_out(&block("Bartholomew Featherstonehaugh"), Some(300.0), None);
    assert!(over.overflow && over.width > 300.0, "{over:?}");
}

#[test]
fn lines_stand_where_they_are_aligned() {
    // text, alignment, where the ink stands in the free width
    let rows = [
        ("Maria", Align::Start, 0.0),
        ("Maria", Align::End, 1.0),
        ("Maria", Align::Center, 0.5),
        ("Maria", Align::Right, 1.0),
        ("דוד", Align::Start, 1.0),
        ("דוד", Align::End, 0.0),
        ("דוד", Align::Left, 0.0),
        ("דוד ", Align::Center, 0.5),
    ];
    for (text, align, place) in rows {
        for fit in [TextFit::None, TextFit::Wrap, TextFit::Shrink { max_lines: 1, min_size: 8.0 }] {
            let laid_out = lay_out(&TextBlock { align, fit, ..block(text) }, Some(600.0), None);
            let middle = laid_out.ink.left() + laid_out.ink.width() / 2.0;
            let expected = (600.0 - laid_out.width) * place + laid_out.width / 2.0;
            assert!(
                (middle - expected).abs() < 4.0,
                "{text} {align:?} {fit:?}: {middle} instead of {expected}"
            );
        }
    }
    let spaced = TextBlock { align: Align::Center, letter_spacing: 40.0, ..block("HOH") };
    let spaced = lay_out(&spaced, Some(600.0), None);
    let middle = spaced.ink.left() + spaced.ink.width() / 2.0;
    assert!((middle - 300.0).abs() < 1.5, "space behind the last letter does not count: {middle}");
    let digits = layout(&library(), &block("123"), Some(600.0), None, "ar").expect("laid out");
    assert!(digits.ink.left() > 500.0, "digits alone start where the viewer's language starts");
}

#[test]
fn joined_letters_are_not_torn() {
    let width =
        |text: &str, letter_spacing| lay_out(&TextBlock { letter_spacing, ..block(text) }, None, None).width;
    assert!(width("abc", 10.0) - width("abc", 0.0) > 19.0);
    let (spaced, natural) = (width("محمد", 10.0), width("محمد", 0.0));
    assert!((spaced - natural).abs() <= 10.0, "{spaced} instead of {natural}");
}

#[test]
fn weights_change_the_ink() {
    let ink = |fonts: Vec<FontSource>, weight| {
        let text = lay_out(&TextBlock { fonts, weight, ..block("Hamburg") }, None, None);
        draw(&text, 1.0).pixels().iter().map(|pixel| u64::from(pixel.alpha())).sum::<u64>()
    };
    for name in ["Inter", "Noto Sans", "Noto Sans CJK JP"] {
        let (regular, bold) = (ink(family(name), 400), ink(family(name), 700));
        assert!(bold > regular * 11 / 10, "{name}: {regular} and {bold}");
    }
    assert!(ink(family("Inter"), 300) < ink(family("Inter"), 350), "every weight of a variable font differs");
}

#[test]
fn both_rasterisers_agree() {
    let text = lay_out(&TextBlock { fonts: family("Noto Sans Hebrew"), ..block("שלום") }, None, None);
    let run = &text.runs[0];
    assert!(run.face.simple, "fontdue is used for this font");
    let variant = Variant { coords: Arc::from([]), embolden: false, slant: false };
    let library = library();
    for glyph in &run.glyphs {
        let [fontdue, outline] = [true, false].map(|fontdue| {
            let raster = Raster { em: 48.0, subpixel: [0, 0], stroke: 0.0, fontdue };
            let coverage = library.glyphs().coverage(&run.face, glyph.id, &variant, raster);
            let sum: f32 = coverage.data.iter().map(|byte| f32::from(*byte) / 255.0).sum();
            (coverage.left, coverage.top, sum)
        });
        assert!((fontdue.0 - outline.0).abs() <= 1 && (fontdue.1 - outline.1).abs() <= 1);
        assert!((fontdue.2 / outline.2 - 1.0).abs() < 0.03, "{fontdue:?} and {outline:?}");
    }
}

#[test]
fn threads_draw_the_same() {
    let blocks: Vec<_> = ["Zoë 👋🏽", "مرحبا محمد", "田中 สมชาย", "नमस्ते"].map(block).into();
    let draw_all =
        || -> Vec<Pixmap> { blocks.iter().map(|block| draw(&lay_out(block, None, None), 1.0)).collect() };
    let alone = draw_all();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(draw_all)).collect();
        for thread in threads {
            assert!(thread.join().expect("no panic") == alone);
        }
    });
}

#[test]
fn hostile_text_is_laid_out_or_refused_in_time() {
    let repeat = |text: &str, count: usize| text.repeat(count);
    let texts = [
        ("64 KiB of one word", repeat("a", 65536)),
        ("as long as allowed", repeat("ab ", MAX_CHARS / 3)),
        ("one word as long as allowed", repeat("a", MAX_CHARS)),
        ("control characters", (0..32).chain(127..160).filter_map(char::from_u32).collect()),
        ("separator and hebrew", repeat("\u{1c}שלום\u{1c}\u{1d}דוד", 50)),
        ("lone marks", repeat("\u{301}\u{5b4}\u{64b}\u{e38}", 4000)),
        ("joiners", repeat("\u{200d}", 10_000)),
        ("joined emoji", repeat("👨\u{200d}", 5000)),
        ("variation selectors", repeat("\u{fe0f}", 10_000)),
        ("tags", repeat("🏴\u{e0067}\u{e0062}", 3000)),
        ("overrides", repeat("\u{202e}\u{202d}a\u{2067}ب", 2000)),
        ("isolates never closed", repeat("\u{2068}aب", 5000)),
        ("line feeds", repeat("\n", MAX_CHARS)),
        ("spaces", repeat(" \u{3000}\t", 5000)),
        ("flags", repeat("🇩🇰🇩", 5000)),
        ("thai without breaks", repeat("สวัสดี", 3000)),
        ("hangul jamo", repeat("\u{1100}\u{1161}\u{11a8}", 5000)),
        ("indic", repeat("क्ष्", 4000)),
        ("private use", repeat("\u{f123}\u{10fffd}", 5000)),
        ("noncharacters", repeat("\u{fdd0}\u{ffff}\u{fffd}", 5000)),
        ("scripts by turns", repeat("aبक字ก", 3000)),
    ];
    let fits = [
        TextFit::None,
        TextFit::Wrap,
        TextFit::Shrink { max_lines: 3, min_size: 10.0 },
        TextFit::Ellipsis { max_lines: 2 },
    ];
    for (name, text) in texts {
        for fit in fits {
            let begun = Instant::now();
            let laid_out =
                layout(&library(), &TextBlock { fit, ..block(&text) }, Some(300.0), Some(200.0), "en");
            match laid_out {
                Ok(laid_out) => drop(draw(&laid_out, 1.0)),
                Err(error) => assert!(matches!(error, TextError::TooLong { .. }), "{name}: {error}"),
            }
            let taken = begun.elapsed();
            assert!(taken < Duration::from_secs(10), "{name} {fit:?} took {taken:?}");
        }
    }
}

#[test]
fn numbers_out_of_range_are_refused() {
    let fits = TextFit::Shrink { max_lines: 1, min_size: f32::NAN };
    let rows = [
        ("size", TextBlock { size: f32::NAN, ..block("a") }),
        ("size", TextBlock { size: 0.0, ..block("a") }),
        ("size", TextBlock { size: 1e9, ..block("a") }),
        ("letter_spacing", TextBlock { letter_spacing: f32::INFINITY, ..block("a") }),
        ("line_height", TextBlock { line_height: Some(-1.0), ..block("a") }),
        ("min_size", TextBlock { fit: fits, ..block("a") }),
    ];
    for (field, block) in rows {
        let error = layout(&library(), &block, Some(100.0), None, "en").expect_err(field).to_string();
        assert!(error.starts_with(field), "{error}");
    }
    assert!(layout(&library(), &block("a"), Some(f32::NAN), None, "en").is_err());
    // Whatever is asked for when drawing, there is no panic.
    let text = lay_out(&block("Maria"), None, None);
    let mut pixmap = Pixmap::new(50, 50).expect("a small picture");
    for (x, scale) in
        [(f32::NAN, 1.0), (1e30, 1.0), (-1e9, 1.0), (0.0, 1e6), (0.0, 1e-9), (0.0, -1.0), (3e6, 400.0)]
    {
        text.draw(&mut pixmap.as_mut(), x, 10.0, scale, None);
    }
}

#[test]
fn large_and_small_scales_draw_the_same_shape() {
    let text = lay_out(&block("Ma"), None, None);
    let alpha = |scale: f32| -> f32 {
        let mut pixmap = Pixmap::new(1400, 900).expect("a picture");
        text.draw(&mut pixmap.as_mut(), 10.0, 10.0, scale, None);
        pixmap.pixels().iter().map(|pixel| f32::from(pixel.alpha())).sum::<f32>() / (scale * scale)
    };
    let natural = alpha(1.0);
    for scale in [0.5, 3.3, 12.0] {
        let scaled = alpha(scale);
        assert!((scaled / natural - 1.0).abs() < 0.05, "at {scale}: {scaled} instead of {natural}");
    }
}

#[test]
fn templates_bring_their_own_fonts() {
    let (digest, bytes) = noto("NotoSerif-Bold.ttf");
    let own = library().with_assets([(digest, bytes)].into_iter()).expect("a font");
    let block = TextBlock { fonts: vec![FontSource::Asset(digest)], ..block("Maria 田") };
    let text = layout(&own, &block, None, None, "en").expect("laid out");
    assert!(text.fonts().contains(&digest) && text.fonts().len() == 2, "the CJK font stands in for 田");
    assert!(text.missing.is_empty());
    let error = layout(&library(), &block, None, None, "en").expect_err("not handed over");
    assert!(matches!(error, TextError::UnknownAsset(unknown) if unknown == digest));
    let (inter, bytes) = asset(&format!("{}/Inter-roman.var.ttf", catalog::INTER));
    let own_inter = library().with_assets([(inter, bytes)].into_iter()).expect("a font");
    let width = |weight| {
        let block = TextBlock { fonts: vec![FontSource::Asset(inter)], weight, ..self::block("Hamburg") };
        layout(&own_inter, &block, None, None, "en").expect("laid out").width
    };
    assert!(width(800) > width(300) + 5.0, "the axes of a template's variable font are used");
    let unknown = TextBlock { fonts: family("No Such Font"), ..block.clone() };
    assert!(matches!(layout(&own, &unknown, None, None, "en"), Err(TextError::UnknownFamily(_))));
    assert_ne!(own.identity(), library().identity());
    assert_eq!(
        own.identity(),
        library().with_assets([noto("NotoSerif-Bold.ttf")].into_iter()).expect("a font").identity()
    );
    assert!(own.has_family("inter") && own.families().any(|name| name == "Noto Sans"));
}

#[test]
fn broken_fonts_are_errors() {
    let (_, whole) = noto("NotoSansHebrew-Regular.ttf");
    let mut wrong_units = whole.to_vec();
    let head = wrong_units.windows(4).position(|tag| tag == b"head").expect("a font has a header");
    let at = u32::from_be_bytes(wrong_units[head + 8..head + 12].try_into().expect("four bytes")) as usize;
    wrong_units[at + 18..at + 20].copy_from_slice(&[0, 0]);
    let rows = [
        ("nothing", Vec::new()),
        ("text", b"this is no font".to_vec()),
        ("web font", b"wOF2\0\0\0\0".to_vec()),
        ("half a font", whole[..whole.len() / 2].to_vec()),
        ("all but a byte", whole[..whole.len() - 4].to_vec()),
        ("no units", wrong_units),
    ];
    for (name, bytes) in rows {
        let digest = Digest::of(&bytes);
        let error = library().with_assets([(digest, bytes.into())].into_iter()).expect_err(name);
        assert!(matches!(error, FontError::Unreadable { .. }), "{name}: {error}");
    }
    let large: Arc<[u8]> = vec![0; super::MAX_FONT_BYTES + 1].into();
    let error = library().with_assets([(Digest::of(b"large"), large)].into_iter()).expect_err("too large");
    assert!(matches!(error, FontError::TooLarge { .. }));
}

#[test]
fn damaged_fonts_do_not_panic() {
    let mut random = numbers(0x2545_f491_4f6c_dd1d);
    for file in ["NotoSansHebrew-Regular.ttf", "NotoSansThaana-Regular.ttf"] {
        let (_, whole) = noto(file);
        for round in 0..40 {
            let mut bytes = whole.to_vec();
            for _ in 0..=round {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
            let digest = Digest::of(&bytes);
            let Ok(own) = library().with_assets([(digest, bytes.into())].into_iter()) else { continue };
            let block = TextBlock {
                fonts: vec![FontSource::Asset(digest)], ..block("שָׁלוֹם ދިވެހި 12")
            };
            if let Ok(text) = layout(&own, &block, Some(300.0), None, "he") {
                draw(&text, 1.0);
                draw(&text, 1.3);
            }
        }
    }
}

#[test]
fn random_text_is_laid_out() {
    const PIECES: [&str; 40] = [
        "a", "fi", "Å", "\u{301}", " ", "\n", "\u{a0}", "\u{ad}", "-", "…", "م", "لا", "\u{64b}", "ש",
        "\u{5b0}", "१", "क्", "ि", "ก", "ำ", "字", "。", "ア", "각", "\u{1100}", "👨", "\u{200d}", "👩🏽", "🇩",
        "\u{fe0f}", "\u{20e3}", "1", "\u{200f}", "\u{2067}", "\u{2069}", "\u{1c}", "\u{2028}", "\u{378}",
        "\u{fffc}", "ᠮ",
    ];
    let mut random = numbers(0x9e37_79b9_7f4a_7c15);
    let aligns = [Align::Start, Align::Center, Align::End, Align::Justify];
    for round in 0..400 {
        let text: String = (0..=random(40)).map(|_| PIECES[random(PIECES.len())]).collect();
        let fit = match random(4) {
            0 => TextFit::None,
            1 => TextFit::Wrap,
            2 => TextFit::Shrink { max_lines: 1 + random(3) as u32, min_size: 5.0 },
            _ => TextFit::Ellipsis { max_lines: 1 + random(3) as u32 },
        };
        let block = TextBlock {
            fit,
            align: aligns[random(4)],
            italic: random(2) == 0,
            weight: 100 * (1 + random(9) as u16),
            letter_spacing: [0.0, -3.0, 5.0][random(3)],
            ..block(&text)
        };
        let size = [None, Some(0.0), Some(20.0), Some(200.0)];
        let (width, height) = (size[random(4)], size[random(4)]);
        let text = layout(&library(), &block, width, height, ["en", "ar", "ja"][random(3)]);
        let text = text.unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert!(text.ink_bounds(1.0).left().is_finite() && text.width.is_finite() && text.height >= 0.0);
        draw(&text, 1.0);
    }
}
