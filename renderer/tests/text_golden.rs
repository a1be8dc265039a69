//! Text in many scripts and styles, drawn exactly as before.

#[path = "common/golden.rs"]
mod golden;

use golden::Golden;
use tiny_skia::Pixmap;
use vignette_renderer::text::{FontLibrary, TextLayout, layout};
use vignette_templates::video::{
    Align, Color, FontSource, Paint, Pill, Stop, Stroke, TextBlock, TextFit, VerticalAlign,
};

const INK: Color = Color { r: 24, g: 28, b: 40, a: 255 };
const PAPER: Color = Color { r: 247, g: 244, b: 236, a: 255 };
const RED: Color = Color { r: 214, g: 58, b: 47, a: 255 };
const BLUE: Color = Color { r: 40, g: 84, b: 214, a: 255 };
const WHITE: Color = Color { r: 255, g: 255, b: 255, a: 255 };

/// A text in a box with a margin of 16 pixels around it.
struct Case {
    name: &'static str,
    block: TextBlock,
    locale: &'static str,
    size: (u32, u32),
    background: Color,
}

fn block(text: &str) -> TextBlock {
    TextBlock {
        text: text.to_owned(),
        fonts: Vec::new(),
        size: 40.0,
        weight: 400,
        italic: false,
        fill: Paint::Solid(INK),
        stroke: None,
        letter_spacing: 0.0,
        line_height: None,
        align: Align::Start,
        vertical: VerticalAlign::Middle,
        fit: TextFit::None,
        pill: None,
        marked: None,
    }
}

fn case(name: &'static str, locale: &'static str, block: TextBlock) -> Case {
    Case { name, block, locale, size: (360, 96), background: PAPER }
}

fn family(name: &str) -> Vec<FontSource> {
    vec![FontSource::Family(name.to_owned())]
}

const PARAGRAPH: &str =
    "Your plan renews on 3 March. Change it in the settings at any time; we keep your modules.";
const ARABIC: &str = "تتجدد خطتك في ٣ مارس ويمكنك تغييرها من الإعدادات في أي وقت";

fn cases() -> Vec<Case> {
    let rainbow = vec![
        Stop { offset: 0.0, color: RED },
        Stop { offset: 0.5, color: Color { r: 240, g: 160, b: 30, a: 255 } },
        Stop { offset: 1.0, color: BLUE },
    ];
    let tall = |case: Case| Case { size: (360, 150), ..case };
    vec![
        case("latin", "en", block("Maria")),
        case(
            "latin_small",
            "en",
            TextBlock { size: 16.0, ..block("Zoë Ærøskøbing, Łódź & Þórr — 1234567890") },
        ),
        case("latin_bold", "da", TextBlock { weight: 700, ..block("Zoë Ærøskøbing") }),
        case("latin_italic", "en", TextBlock { italic: true, weight: 550, ..block("Maria, quickly") }),
        case("latin_static", "en", TextBlock { fonts: family("Noto Sans"), ..block("Hamburgefonstiv") }),
        case(
            "latin_serif_bold",
            "en",
            TextBlock { fonts: family("noto serif"), weight: 800, ..block("Hamburgefont") },
        ),
        case("greek_cyrillic", "el", TextBlock { size: 30.0, ..block("Γιώργος Дмитрий Їжак") }),
        case("arabic", "ar", block("مرحبا محمد 123")),
        case("arabic_spaced", "ar", TextBlock { letter_spacing: 6.0, ..block("محمد ABC") }),
        case("urdu", "ur", block("خوش آمدید")),
        case("hebrew", "he", block("שלום דוד")),
        case("hebrew_bold", "he", TextBlock { weight: 700, ..block("שלום דוד") }),
        case("devanagari", "hi", block("नमस्ते प्रिया")),
        case("bengali_tamil", "bn", TextBlock { size: 30.0, ..block("শুভ সকাল வணக்கம்") }),
        case("thai", "th", block("สวัสดี สมชาย")),
        case("georgian_armenian", "ka", TextBlock { size: 30.0, ..block("გამარჯობა Բարեւ") }),
        case("amharic_khmer", "am", TextBlock { size: 30.0, ..block("ሰላም សួស្តី") }),
        case("japanese", "ja", block("こんにちは 田中")),
        case("japanese_for_english", "en", TextBlock { weight: 700, ..block("直子さん 骨") }),
        case("korean", "ko", block("안녕하세요 지훈")),
        case("han_simplified", "zh-CN", block("直骨 欢迎")),
        case("han_traditional", "zh-TW", block("直骨 歡迎")),
        case(
            "emoji",
            "en",
            TextBlock {
                size: 36.0, ..block("👋🏽🎉 👨‍👩‍👧‍👦 🇩🇰 ❤️ 1️⃣")
            },
        ),
        case("mixed", "en", TextBlock { size: 30.0, ..block("Hello محمد, 3 items 🎉") }),
        case("missing", "en", block("a\u{378}b\u{10fffd}c")),
        case("marks", "vi", TextBlock { size: 34.0, ..block("Nguyễn Ngọc Ấn q̃ ñ") }),
        case(
            "letter_spacing",
            "en",
            TextBlock { letter_spacing: 8.0, align: Align::Center, ..block("SALE 50%") },
        ),
        tall(case("wrap", "en", TextBlock { size: 20.0, fit: TextFit::Wrap, ..block(PARAGRAPH) })),
        tall(case("wrap_arabic", "ar", TextBlock { size: 20.0, fit: TextFit::Wrap, ..block(ARABIC) })),
        tall(case(
            "justify",
            "en",
            TextBlock { size: 20.0, align: Align::Justify, fit: TextFit::Wrap, ..block(PARAGRAPH) },
        )),
        tall(case(
            "line_height",
            "en",
            TextBlock {
                size: 20.0,
                align: Align::End,
                line_height: Some(1.8),
                fit: TextFit::Wrap,
                ..block("Two lines,\nfar apart")
            },
        )),
        case(
            "shrink",
            "en",
            TextBlock {
                fit: TextFit::Shrink { max_lines: 1, min_size: 8.0 },
                ..block("Bartholomew Featherstonehaugh")
            },
        ),
        case(
            "shrink_two_lines",
            "en",
            TextBlock {
                fit: TextFit::Shrink { max_lines: 2, min_size: 8.0 },
                align: Align::Center,
                ..block("Good to see you, Bartholomew Featherstonehaugh")
            },
        ),
        case(
            "ellipsis",
            "en",
            TextBlock { fit: TextFit::Ellipsis { max_lines: 1 }, ..block("Bartholomew Featherstonehaugh") },
        ),
        case(
            "ellipsis_arabic",
            "ar",
            TextBlock { size: 24.0, fit: TextFit::Ellipsis { max_lines: 1 }, ..block(ARABIC) },
        ),
        case(
            "ellipsis_two_lines",
            "en",
            TextBlock { size: 20.0, fit: TextFit::Ellipsis { max_lines: 2 }, ..block(PARAGRAPH) },
        ),
        case(
            "stroke",
            "en",
            TextBlock {
                weight: 800,
                fill: Paint::Solid(WHITE),
                stroke: Some(Stroke { color: RED, width: 6.0 }),
                ..block("Outline محمد")
            },
        ),
        case(
            "linear_gradient",
            "en",
            TextBlock {
                weight: 800,
                fill: Paint::Linear { angle: 90.0, stops: rainbow.clone() },
                ..block("Gradient 🎉")
            },
        ),
        case(
            "radial_gradient",
            "en",
            TextBlock {
                weight: 800,
                align: Align::Center,
                fill: Paint::Radial { center: [0.5, 0.5], radius: 0.8, stops: rainbow },
                ..block("Radial fill")
            },
        ),
        case(
            "pill",
            "en",
            TextBlock {
                size: 24.0,
                weight: 600,
                fill: Paint::Solid(WHITE),
                align: Align::Center,
                pill: Some(Pill { color: BLUE, padding: [18.0, 8.0], radius: 99.0 }),
                ..block("Only today")
            },
        ),
        tall(case(
            "pill_lines",
            "en",
            TextBlock {
                size: 20.0,
                fill: Paint::Solid(WHITE),
                align: Align::End,
                fit: TextFit::Wrap,
                pill: Some(Pill { color: RED, padding: [8.0, 6.0], radius: 10.0 }),
                ..block("Two lines in one shape,\nat the end")
            },
        )),
        case(
            "translucent",
            "en",
            TextBlock {
                size: 48.0,
                weight: 800,
                fill: Paint::Solid(Color { a: 128, ..BLUE }),
                ..block("Half नमस्ते 🎉")
            },
        ),
        Case {
            background: INK,
            ..case(
                "light_on_dark",
                "en",
                TextBlock { size: 22.0, fill: Paint::Solid(WHITE), ..block("Light on dark is not thinner") },
            )
        },
    ]
}

fn draw(laid_out: &TextLayout, case: &Case) -> Pixmap {
    let mut pixmap = Pixmap::new(case.size.0, case.size.1).expect("a small picture");
    let Color { r, g, b, a } = case.background;
    pixmap.fill(tiny_skia::Color::from_rgba8(r, g, b, a));
    laid_out.draw(&mut pixmap.as_mut(), 16.0, 16.0, 1.0, None);
    pixmap
}

#[test]
fn text_is_drawn_as_before() {
    let library = FontLibrary::system().expect("the fonts are installed");
    let mut golden = Golden::new("text");
    for case in cases() {
        let (width, height) = (case.size.0 as f32 - 32.0, case.size.1 as f32 - 32.0);
        let laid_out =
            layout(&library, &case.block, Some(width), Some(height), case.locale).expect(case.name);
        golden.check(case.name, &draw(&laid_out, &case));
    }
    golden.finish();
}
