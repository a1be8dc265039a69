use serde_json::json;

use super::*;

fn fill(source: &str, data: &Value, locale: &str) -> Result<String, ExprError> {
    let locale = Locale::parse(locale).expect("a locale of the test");
    Expression::parse(source)?.render(data, &locale)
}

#[test]
fn values_blocks_and_loops() {
    let data = json!({
        "first_name": "Maria & Zoë", "n": 3, "title": "Dr.", "nothing": null,
        "items": [{ "title": "A" }, { "title": "B" }], "customer": { "name": "Ada" },
    });
    let rows = [
        ("plain text", "plain text"),
        ("Hi {{first_name}}!", "Hi Maria & Zoë!"),
        ("{{{first_name}}}{{&first_name}}", "Maria & ZoëMaria & Zoë"),
        ("a {{~ n ~}} b", "a3b"),
        (r"\{{n}} is {{n}}", "{{n}} is 3"),
        ("{{! a }}{{!-- {{n}} --}}x", "x"),
        ("[{{nothing}}]", "[]"),
        ("a variable may be called {{title}}", "a variable may be called Dr."),
        ("{{title title}}", "Dr."),
        ("{{#each items}}{{@index}}{{title}} {{../first_name}};{{/each}}", "0A Maria & Zoë;1B Maria & Zoë;"),
        ("{{#each items as |m i|}}{{i}}{{m.title}}{{#unless @last}}, {{/unless}}{{/each}}", "0A, 1B"),
        ("{{#with customer as |c|}}{{name}} {{c.name}} {{../n}}{{/with}}", "Ada Ada 3"),
        ("{{#if absent}}yes{{else if n}}n{{else}}no{{/if}}", "n"),
        ("{{#each absent}}x{{else}}none{{/each}}{{#with absent}}x{{else}}none{{/with}}", "nonenone"),
        ("{{default absent customer.name}}", "Ada"),
        ("{{items.1.title}}{{items.[0].title}}", "BA"),
        ("{{lookup (lookup items 1) 'title'}}", "B"),
        (
            r#"{{default absent 'it\'s'}} {{default absent "say \"hi\" }}"}} {{default absent '{{"}'}}"#,
            "it's say \"hi\" }} {{\"}",
        ),
    ];
    for (source, text) in rows {
        assert_eq!(fill(source, &data, "en").as_deref(), Ok(text), "{source}");
    }
}

/// Compares all rows before it fails, so that one run shows every mismatch.
#[track_caller]
fn check(data: &Value, rows: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (locale, source, wanted) in rows {
        let found = match fill(source, data, locale) {
            Ok(text) => text,
            Err(error) => format!("error at {}: {error}", error.offset),
        };
        if found != *wanted {
            wrong.push(format!("{locale} {source}\n  wanted {wanted:?}\n  found  {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn numbers_by_locale() {
    let data = json!({ "n": 1234567.891, "small": 0.5, "text": "1234.50", "negative": -1234.5, "zero": -0.0001, "whole": 5.0 });
    check(
        &data,
        &[
            ("en", "{{number n}}", "1,234,567.891"),
            ("en", "{{number n decimals=2}}", "1,234,567.89"),
            ("en", "{{number n decimals=0}}", "1,234,568"),
            ("en", "{{number text}}", "1,234.5"),
            ("en", "{{number whole}} {{number whole decimals=1}}", "5 5.0"),
            ("en", "{{number 2.5 decimals=0}} {{number 3.5 decimals=0}}", "3 4"),
            ("en", "{{number zero}} {{number zero decimals=2}}", "0 0.00"),
            ("de-DE", "{{number n}}", "1.234.567,891"),
            ("de-CH", "{{number n}}", "1'234'567.891"),
            ("fr-FR", "{{number n}}", "1\u{202f}234\u{202f}567,891"),
            ("hi-IN", "{{number n}}", "12,34,567.891"),
            ("ar-EG", "{{number n}}", "١٬٢٣٤٬٥٦٧٫٨٩١"),
            ("fa", "{{number small}}", "۰٫۵"),
            ("pt-BR", "{{number negative}}", "-1.234,5"),
            ("sv", "{{number negative}}", "−1\u{a0}234,5"),
            ("xx", "{{number n}}", "1,234,567.891"),
        ],
    );
}

#[test]
fn currencies_by_locale() {
    let data = json!({ "price": 1234.5, "rupees": 1234567, "text": "99.999" });
    check(
        &data,
        &[
            ("en-US", "{{currency price 'USD'}}", "$1,234.50"),
            ("en-US", "{{currency price 'usd'}}", "$1,234.50"),
            ("en-US", "{{currency -5 'USD'}}", "-$5.00"),
            ("en-US", "{{currency text 'USD'}}", "$100.00"),
            ("en-GB", "{{currency price 'GBP'}}", "£1,234.50"),
            ("de-DE", "{{currency price 'EUR'}}", "1.234,50\u{a0}€"),
            ("fr-FR", "{{currency price 'EUR'}}", "1\u{202f}234,50\u{a0}€"),
            ("ja-JP", "{{currency price 'JPY'}}", "￥1,235"),
            ("en-US", "{{currency price 'JPY'}}", "¥1,235"),
            ("en-US", "{{currency price 'KWD'}}", "KWD\u{a0}1,234.500"),
            ("hi-IN", "{{currency rupees 'INR'}}", "₹12,34,567.00"),
            ("pt-BR", "{{currency price 'BRL'}}", "R$\u{a0}1.234,50"),
            ("ar-EG", "{{currency price 'EGP'}}", "\u{200f}١٬٢٣٤٫٥٠\u{a0}ج.م.\u{200f}"),
            ("en-US", "{{currency price 'XQQ'}}", "XQQ\u{a0}1,234.50"),
        ],
    );
}

#[test]
fn dates_by_locale() {
    let data = json!({ "day": "2026-01-15", "time": "2026-01-15T23:30:00.250+01:00" });
    check(
        &data,
        &[
            ("en", "{{date day}}", "Jan 15, 2026"),
            ("en", "{{date day 'short'}}", "1/15/26"),
            ("en", "{{date time 'long'}}", "January 15, 2026"),
            ("en", "{{date day 'full'}}", "Thursday, January 15, 2026"),
            ("en-GB", "{{date day 'full'}}", "Thursday, 15 January 2026"),
            ("de", "{{date day 'long'}}", "15. Januar 2026"),
            ("fr", "{{date day 'full'}}", "jeudi 15 janvier 2026"),
            ("ja", "{{date day 'long'}}", "2026年1月15日"),
            ("pt-BR", "{{date day 'long'}}", "15 de janeiro de 2026"),
            ("hi", "{{date day 'long'}}", "15 जनवरी, 2026"),
            ("ar-EG", "{{date day 'long'}}", "١٥ يناير ٢٠٢٦"),
            ("he", "{{date day 'long'}}", "15 בינואר 2026"),
            ("en", "{{date '2026-01-15 09:30'}}", "Jan 15, 2026"),
        ],
    );
    for wrong in [
        "2026-02-30",
        "2026-13-01",
        "15.01.2026",
        "tomorrow",
        "2026-01-15T25:00",
        "2026-01-15Tnoon",
        "2026-1-5",
        "",
        "2026-01-15+",
        "２０２６-01-15",
    ] {
        let error = fill("{{date d}}", &json!({ "d": wrong }), "en").unwrap_err();
        assert!(error.message.starts_with("date: expected a date, found"), "{wrong}: {error}");
        assert_eq!(error.offset, 7, "{wrong}");
    }
}

#[test]
fn plurals_by_locale() {
    let ru = "{{plural n one='# урок' few='# урока' many='# уроков' other='# урока'}}";
    let ar = "{{plural n zero='لا دروس' one='درس' two='درسان' few='# دروس' many='# درسًا' other='# درس'}}";
    let en = "{{plural n zero='nothing' one='# item' other='# items'}}";
    let rows: [(&str, Value, &str, &str); 16] = [
        ("en", json!(0), en, "nothing"),
        ("en", json!(1), en, "1 item"),
        ("en", json!(1.5), en, "1.5 items"),
        ("en", json!("1"), en, "1 item"),
        ("en", json!(1200), en, "1,200 items"),
        ("en", json!(0), "{{plural n one='# item' other='# items'}}", "0 items"),
        ("fr", json!(0), "{{plural n one='# objet' other='# objets'}}", "0 objet"),
        ("ru", json!(1), ru, "1 урок"),
        ("ru", json!(3), ru, "3 урока"),
        ("ru", json!(5), ru, "5 уроков"),
        ("ru", json!(21), ru, "21 урок"),
        ("ru", json!(5), "{{plural n one='# урок' other='# урока'}}", "5 урока"),
        ("ar-EG", json!(2), ar, "درسان"),
        ("ar-EG", json!(3), ar, "٣ دروس"),
        ("ar-EG", json!(11), ar, "١١ درسًا"),
        ("ja", json!(1), "{{plural n one='x' other='#個'}}", "1個"),
    ];
    for (locale, n, source, wanted) in rows {
        assert_eq!(fill(source, &json!({ "n": n }), locale).as_deref(), Ok(wanted), "{locale} {n}");
    }
}

#[test]
fn words_by_locale() {
    let data = json!({
        "maria": "maria garcía-lópez", "loud": "MARIA GARCÍA", "mc": "ronald McDonald", "i": "istanbul", "street": "straße",
        "family": "👨‍👩‍👧‍👦🇩🇪é!", "names": ["Ada", "Bob", "Cleo"], "two": ["Ada", "Bob"], "one": [7], "none": [], "blank": "  ",
        "nijmegen": "ijsland",
    });
    check(
        &data,
        &[
            ("en", "{{upper i}}", "ISTANBUL"),
            ("tr", "{{upper i}}", "İSTANBUL"),
            ("de", "{{upper street}}", "STRASSE"),
            ("el", "{{upper 'Άδης'}}", "ΑΔΗΣ"),
            ("lt", "{{lower 'Ì'}}", "i\u{307}\u{300}"),
            ("en", "{{title maria}}", "María García-López".replace("María", "Maria").as_str()),
            ("en", "{{title loud}}", "Maria García"),
            ("en", "{{title mc}}", "Ronald McDonald"),
            ("tr", "{{title i}}", "İstanbul"),
            ("nl", "{{title nijmegen}}", "IJsland"),
            ("en", "{{truncate maria 6}}", "maria…"),
            ("en", "{{truncate maria 5}}", "mari…"),
            ("en", "{{truncate maria 100}}", "maria garcía-lópez"),
            ("en", "{{truncate family 4}}", "👨‍👩‍👧‍👦🇩🇪é!"),
            ("en", "{{truncate family 3}}", "👨‍👩‍👧‍👦🇩🇪…"),
            ("en", "{{truncate family 1}}", "…"),
            ("en", "{{length family}} {{length names}} {{length none}}", "4 3 0"),
            ("en", "{{list names}}", "Ada, Bob, and Cleo"),
            ("en-GB", "{{list names}}", "Ada, Bob and Cleo"),
            ("en", "{{list two type='or'}}", "Ada or Bob"),
            ("en", "{{list one}}{{list none}}", "7"),
            ("de", "{{list names}}", "Ada, Bob und Cleo"),
            ("ja", "{{list names}}", "Ada、Bob、Cleo"),
            ("ar", "{{list two}}", "Ada وBob"),
            ("es", "{{list names type='or'}}", "Ada, Bob o Cleo"),
            ("en", "{{join names ' / '}} {{join two}}", "Ada / Bob / Cleo Ada, Bob"),
            (
                "en",
                "{{default blank 'there'}} {{default absent.deep 'there'}} {{default none 'x'}}",
                "error at 58: default gives a list, not text; loop over it with {{#each (default …)}}, or write {{list (…)}}",
            ),
            ("en", "{{default absent blank 'there'}}", "there"),
            ("en", "{{default (lookup names 9) 'nobody'}}", "nobody"),
        ],
    );
}

#[test]
fn comparisons_and_logic() {
    let data = json!({ "plan": "pro", "n": 3, "text": "3", "ten": "10", "yes": true, "day": "2026-01-15", "nothing": null, "names": [1] });
    let rows = [
        ("{{eq plan 'pro'}}", true),
        ("{{eq n 3.0}}", true),
        ("{{eq n text}}", true),
        ("{{eq yes 'true'}}", true),
        ("{{eq nothing null}}", true),
        ("{{ne plan 'basic'}}", true),
        ("{{gt ten text}}", true),
        ("{{gt ten 9}}", true),
        ("{{gte n 3}}", true),
        ("{{lt n 3}}", false),
        ("{{lte n 2}}", false),
        ("{{lt day '2026-02-01'}}", true),
        ("{{and yes n plan}}", true),
        ("{{and yes absent}}", false),
        ("{{or absent nothing plan}}", true),
        ("{{not absent}}", true),
        ("{{not names}}", false),
        ("{{or (eq plan 'basic') (and (gt n 2) (not absent))}}", true),
    ];
    for (source, wanted) in rows {
        let expression = Expression::parse(source).unwrap();
        assert_eq!(expression.evaluate(&data, &Locale::default()), Ok(json!(wanted)), "{source}");
        assert_eq!(expression.render(&data, &Locale::default()), Ok(wanted.to_string()), "{source}");
    }
}

#[test]
fn arithmetic() {
    let data = json!({ "n": 7, "x": 2.5, "text": "0.1", "big": i64::MAX });
    let rows = [
        ("{{math 0.1 '+' 0.2}}", json!(0.3)),
        ("{{math text '+' 0.2}}", json!(0.3)),
        ("{{math n '+' 1}}", json!(8)),
        ("{{math n '-' 8}}", json!(-1)),
        ("{{math n '*' x}}", json!(17.5)),
        ("{{math 4 '*' x}}", json!(10)),
        ("{{math 6 '/' 3}}", json!(2)),
        ("{{math n '/' 2}}", json!(3.5)),
        ("{{math 1 '/' 3}}", json!(0.333333333333333)),
        ("{{math n '%' 4}}", json!(3)),
        ("{{math n 'min' x}}", json!(2.5)),
        ("{{math n 'max' x}}", json!(7)),
        ("{{math '-' n}}", json!(-7)),
        ("{{math 'round' x}}", json!(3)),
        ("{{math x 'floor'}}", json!(2)),
        ("{{math 'ceil' 2.1}}", json!(3)),
        ("{{math 'abs' -2.5}}", json!(2.5)),
        ("{{math 20 '+' (math n '*' 9)}}", json!(83)),
        ("{{math big '+' 0}}", json!(i64::MAX)),
        ("{{math big '+' 1}}", json!(9.22337203685478e18)),
    ];
    for (source, wanted) in rows {
        let found = Expression::parse(source).unwrap().evaluate(&data, &Locale::default());
        assert_eq!(found, Ok(wanted), "{source}");
    }
    for source in [
        "{{math 1 '/' 0}}",
        "{{math n '%' 0.0}}",
        "{{math 1e308 '*' 1e308}}",
        "{{math 'a' '+' 1}}",
        "{{math n x n}}",
    ] {
        let found = Expression::parse(source).and_then(|found| found.evaluate(&data, &Locale::default()));
        assert!(found.is_err(), "{source}: {found:?}");
    }
}

#[test]
fn a_value_alone_keeps_its_type() {
    let data = json!({ "modules": [{ "title": "A" }], "n": 3, "nothing": null, "c": { "name": "Ada" } });
    let rows = [
        ("{{modules}}", json!([{ "title": "A" }])),
        ("{{ modules.0 }}", json!({ "title": "A" })),
        ("{{{n}}}", json!(3)),
        ("{{(n)}}", json!(3)),
        ("{{nothing}}", json!(null)),
        ("{{c.name}}", json!("Ada")),
        ("{{this.n}}", json!(3)),
        ("{{default absent modules}}", json!([{ "title": "A" }])),
        ("{{lookup c 'name'}}", json!("Ada")),
        ("{{length modules}}", json!(1)),
        ("{{n}}px", json!("3px")),
        (" {{n}}", json!(" 3")),
        ("{{#if n}}1{{/if}}", json!("1")),
        ("12", json!("12")),
    ];
    for (source, wanted) in rows {
        let found = Expression::parse(source).unwrap().evaluate(&data, &Locale::default());
        assert_eq!(found, Ok(wanted), "{source}");
    }
    let whole = |source| {
        Expression::parse(source).unwrap().whole_reference().map(|reference| reference.path.join("."))
    };
    assert_eq!(whole("{{c.name}}").as_deref(), Some("c.name"));
    assert_eq!(whole("{{{ c.name }}}").as_deref(), Some("c.name"));
    assert_eq!(whole("{{upper c.name}}"), None);
    assert_eq!(whole("{{c.name}}!"), None);
    assert!(Expression::parse(r"\{{x}}").unwrap().is_literal());
    assert!(Expression::parse("100% {} }}").unwrap().is_literal());
    assert!(!Expression::parse("{{x}}").unwrap().is_literal());
}

#[test]
fn references() {
    // A trailing `?` marks a guarded reference.
    let rows: [(&str, &[&str]); 22] = [
        ("plain", &[]),
        ("{{a}} {{a.b}}", &["a@2", "a.b@8"]),
        ("{{upper a}}{{math a.b '+' (length c)}}", &["a@8", "a.b@18", "c@34"]),
        ("{{default a b.c}}", &["a@10?", "b.c@12?"]),
        ("{{default (upper a) 'x'}}", &["a@17"]),
        ("{{#if a}}{{a}}{{b}}{{else}}{{a}}{{/if}}{{a}}", &["a@6?", "a@11?", "b@16", "a@29", "a@41"]),
        ("{{#if a}}{{a.b}}{{/if}}", &["a@6?", "a.b@11?"]),
        ("{{#unless a}}{{a}}{{else}}{{a}}{{/unless}}", &["a@10?", "a@15", "a@28?"]),
        ("{{#if (and a b)}}{{b}}{{/if}}", &["a@11?", "b@13?", "b@19?"]),
        ("{{#if (not a)}}x{{else}}{{a}}{{/if}}", &["a@11?", "a@26?"]),
        ("{{#if (or a b)}}{{a}}{{/if}}", &["a@10?", "b@12?", "a@18"]),
        ("{{#if (eq a 1)}}{{/if}}", &["a@10"]),
        ("{{#if a}}{{else if b}}{{b}}{{a}}{{/if}}", &["a@6?", "b@19?", "b@24?", "a@29"]),
        ("{{#each a}}{{x}}{{this}}{{@index}}{{../b}}{{@root.c}}{{/each}}", &["a@8?", "b@36", "c@44"]),
        ("{{#each a as |m i|}}{{m.x}}{{i}}{{/each}}", &["a@8?"]),
        ("{{#with a}}{{b}}{{../c}}{{/with}}", &["a@8?", "a.b@13?", "c@18"]),
        ("{{#with a as |v|}}{{v.b}}{{/with}}", &["a@8?", "a.b@20?"]),
        ("{{#each a}}{{#each b}}{{../../c}}{{/each}}{{/each}}", &["a@8?", "c@24"]),
        ("{{a.[first name]}}{{a.0.b}}", &["a.first name@2", "a.0.b@20"]),
        ("{{plural n one=a other=b}}", &["n@9", "a@15", "b@23"]),
        ("{{lookup this a}}{{upper upper}}", &["@9", "a@14", "upper@25"]),
        ("{{! a }}{{!-- {{b}} --}}\\{{c}}{{d}}", &["d@32"]),
    ];
    for (source, wanted) in rows {
        let expression = Expression::parse(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        let found: Vec<String> = expression
            .references()
            .iter()
            .map(|r| format!("{}@{}{}", r.path.join("."), r.offset, if r.guarded { "?" } else { "" }))
            .collect();
        assert_eq!(found, wanted, "{source}");
    }
}

#[test]
fn faults_when_parsed() {
    let rows = [
        (
            "Hi {{name",
            3,
            "`{{` is never closed; write }} where the expression ends, or \\{{ for plain braces",
        ),
        ("{{}}", 0, "the expression is empty; write a name between {{ and }}"),
        ("{{#if a}}x", 0, "`{{#if}}` is never closed; write {{/if}} where it ends"),
        ("{{#if a}}{{/each}}", 9, "`{{#if}}` is closed by `{{/each}}`; write {{/if}} first"),
        (
            "x{{/if}}",
            1,
            "`{{/if}}` closes a block that is not open; remove it, or open the block with {{#if …}}",
        ),
        ("{{else}}", 0, "`{{else}}` outside a block; open one before it, e.g. {{#if name}}"),
        (
            "{{> header}}",
            0,
            "partials `{{> …}}` are not part of the language; use a value under `vars:` for text that is used twice",
        ),
        ("{{uper a}}", 2, "unknown helper `uper`; did you mean `upper`?"),
        ("{{upper a b}}", 2, "`upper` takes 1 argument, found 2; write {{upper name}}"),
        ("{{number a decimal=2}}", 2, "`number` has no argument `decimal=`; did you mean `decimals=`?"),
        (
            "{{plural n one='x'}}",
            2,
            "`plural` needs `other=`, the form for all other counts; write {{plural count one=\"# item\" other=\"# items\"}}",
        ),
        (
            "{{date d 'lnog'}}",
            2,
            "unknown date style \"lnog\"; write \"short\", \"medium\", \"long\" or \"full\"",
        ),
        (
            "{{math a '^' b}}",
            2,
            "unknown operator \"^\"; operators are + - * / % min max abs round floor ceil",
        ),
        (
            "{{currency a 'Euro'}}",
            2,
            "expected a currency code, found \"Euro\"; write its three letters, e.g. \"EUR\"",
        ),
        ("{{if a}}", 2, "`if` is a block, not a value; write {{#if …}}…{{/if}}"),
        ("{{#upper a}}{{/upper}}", 3, "`upper` is a value, not a block; write {{upper …}} without # and /"),
        (
            "{{#names}}{{/names}}",
            3,
            "unknown block `names`; write {{#if names}} or {{#each names}}; blocks are if, unless, each, with",
        ),
        ("{{#eech a}}{{/eech}}", 3, "unknown block `eech`; did you mean `{{#each …}}`?"),
        ("{{../a}}", 2, "`../a` leads above the data; each `../` leaves one each or with block"),
        (
            "{{@index}}",
            2,
            "`@index` outside a loop; @index, @first, @last and @key exist inside {{#each …}}; outside it by one block write @../index",
        ),
        ("{{#each a}}{{@indx}}{{/each}}", 13, "unknown variable `@indx`; did you mean `@index`?"),
        ("{{a 'b}}", 4, "a quotation mark is never closed; write ' where the text ends"),
        ("{{upper (a}}", 0, "a parenthesis is never closed; write ) before }}"),
        ("{{upper a)}}", 9, "`)` without `(`; remove it, or write ( before the helper's name"),
        (
            "{{a {b} }}",
            4,
            "a brace in an expression; close the expression with }} before opening another; objects cannot be written in one",
        ),
        (
            "{{default a ['b']}}",
            12,
            "quotation marks or braces between [ and ]; lists cannot be written in an expression; [ ] holds one name of a path",
        ),
        (
            "{{{{raw}}}}x{{{{/raw}}}}",
            0,
            "raw blocks `{{{{…}}}}` are not part of the language; write \\{{ for plain braces",
        ),
        ("{{upper \"\\q\"}}", 8, "faulty"),
        ("{{a b=}}", 6, "faulty"),
        ("é{{ä ö ü=}}", 13, "faulty"),
    ];
    let mut wrong = Vec::new();
    for (source, offset, message) in rows {
        match Expression::parse(source) {
            Err(error)
                if error.offset == offset
                    && (error.to_string() == message
                        || message == "faulty" && error.message.starts_with("faulty")) => {}
            other => wrong.push(format!("{source}\n  wanted {offset}: {message}\n  found  {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn faults_when_filled() {
    let data = json!({
        "customer": { "name": "Ada" }, "items": [{ "title": "A", "n": 1 }, { "n": 2 }], "list": [1, 2], "nothing": null, "word": "Maria", "huge": 1e300,
    });
    let rows = [
        ("x {{custmer.name}}", 4, "unknown variable `custmer.name`; did you mean `customer.name`?"),
        ("x {{customer.nam}}", 4, "unknown variable `customer.nam`; did you mean `customer.name`?"),
        ("{{upper customer.nam}}", 8, "unknown variable `customer.nam`; did you mean `customer.name`?"),
        ("{{word}} {{upper wort}}", 17, "unknown variable `wort`; did you mean `word`?"),
        (
            "x {{zebra}}",
            4,
            "unknown variable `zebra`; the data has no field \"zebra\"; write (default zebra \"…\") if it may be missing",
        ),
        ("x {{word.length}}", 4, "unknown variable `word.length`; `word` is text, which has no fields"),
        (
            "x {{list.7}}",
            4,
            "unknown variable `list.7`; `list` is a list of 2; write {{#each}} or a position",
        ),
        (
            "{{#each items}}{{title}}{{/each}}",
            17,
            "unknown variable `title`; not every item of the list has it; write (default title \"…\") if it may be missing",
        ),
        (
            "{{#each items}}{{upper title}}{{/each}}",
            23,
            "unknown variable `title`; not every item of the list has it; write (default title \"…\") if it may be missing",
        ),
        (
            "x {{customer}}",
            4,
            "`customer` is an object, not text; name one of its fields, e.g. {{customer.…}}",
        ),
        ("{{list}}", 2, "`list` is a list, not text; write {{list list}} or {{#each list}}…{{/each}}"),
        (
            "{{upper nothing}}",
            8,
            "upper: expected text, found null; write (default … \"text\") for a value that may be missing",
        ),
        ("{{number word}}", 9, "number: expected a number, found \"Maria\"; write digits, e.g. 12 or 0.5"),
        (
            "{{#if (gt word 3)}}{{/if}}",
            10,
            "gt: cannot compare text with a number; compare two numbers, or two texts",
        ),
        ("{{#each word}}{{/each}}", 8, "each needs a list, found text"),
        ("{{list word}}", 7, "list: expected a list, found text"),
        (
            "{{currency 5 word}}",
            13,
            "currency: expected a currency code, found \"Maria\"; write its three letters, e.g. \"EUR\"",
        ),
        ("{{math list.0 '/' 0}}", 7, "math: division by zero; guard it, e.g. {{#if count}}…{{/if}}"),
        ("{{lookup customer 'nam'}}", 0, "lookup finds no value; write (default … \"text\")"),
        ("{{number huge}}", 9, "number: a number too large to write out; write one below 1e21"),
    ];
    let mut wrong = Vec::new();
    for (source, offset, message) in rows {
        match fill(source, &data, "en") {
            Err(error) if error.offset == offset && error.to_string() == message => {}
            other => wrong.push(format!("{source}\n  wanted {offset}: {message}\n  found  {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn locales() {
    let rows = [
        ("en_US", "en-US", "en"),
        ("pt-br", "pt-BR", "pt"),
        (" de_DE.UTF-8 ", "de-DE", "de"),
        ("zh-hant-tw", "zh-Hant-TW", "zh"),
        ("sr-Latn", "sr-Latn", "sr"),
        ("ar-EG-u-nu-latn", "ar-EG-u-nu-latn", "ar"),
    ];
    for (tag, normal, language) in rows {
        let locale = Locale::parse(tag).unwrap();
        assert_eq!((locale.as_str(), locale.language()), (normal, language), "{tag}");
    }
    for tag in ["", "  ", "english", "e", "en US", "Maria", "-", "_", &"en-x-".repeat(50), "\u{0}"] {
        assert!(Locale::parse(tag).is_err() || tag == "english" || tag == "Maria", "{tag}");
    }
    assert_eq!(
        Locale::parse("no language").unwrap_err(),
        "expected a language tag, found \"no language\"; write e.g. en, pt-BR or zh-Hant"
    );
    // Far more locales than are kept: nothing grows, and the first still answers.
    for region in 0..200 {
        let tag = format!("en-{region:03}");
        assert_eq!(fill("{{number 1234.5}}", &json!({}), &tag).map(|text| text.len()), Ok(7), "{tag}");
    }
}

/// What the plain engine makes of plain Handlebars, our walk and rewriting must not change.
#[test]
fn agrees_with_the_plain_engine() {
    let data = json!({
        "a": "x", "b": { "c": [1, 2, { "d": "deep" }] }, "yes": true, "no": false, "list": ["p", "q"], "map": { "k": "v", "l": "w" },
        "rows": [{ "n": "1", "of": [{ "m": "i" }, { "m": "j" }] }, { "n": "2", "of": [] }],
    });
    let sources = [
        "a{{a}}b {{b.c.2.d}} {{b.c.[0]}}",
        "{{#if yes}}\n  one\n{{else}}\n  two\n{{/if}}\nend",
        "{{#each list}}{{this}}{{#unless @last}},{{/unless}}{{/each}}",
        "{{#each list as |item i|}}{{i}}={{item}};{{/each}}",
        "{{#each map}}{{@key}}:{{this}} {{/each}}",
        "{{#each rows}}{{n}}:{{#each of}}{{m}}{{../n}}{{@index}}{{@../index}}{{../../a}}{{else}}-{{/each}};{{/each}}",
        "{{#each rows as |row|}}{{#each row.of as |cell j|}}{{row.n}}{{cell.m}}{{j}}{{/each}}{{/each}}",
        "{{#with b}}{{c.0}}{{../a}}{{@root.a}}{{/with}}",
        "{{#with b.c.[2] as |t|}}{{t.d}}{{d}}{{/with}}",
        "{{~a~}}  x  {{~#if yes~}}  y  {{~/if~}}  z",
        r"\{{a}} \\{{a}} \{{{{a}}",
        "{{#if no}}1{{else if a}}2{{else}}3{{/if}}{{^}}",
        "{{#each rows}}{{#with this}}{{n}}{{../../a}}{{/with}}{{/each}}",
        "{{#if (lookup map 'k')}}{{lookup map 'l'}}{{/if}}{{lookup list 1}}",
    ];
    let mut engine = handlebars::Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(handlebars::no_escape);
    for source in sources {
        let Ok(plain) = engine.render_template(source, &data) else {
            assert!(Expression::parse(source).is_err(), "{source}");
            continue;
        };
        assert_eq!(fill(source, &data, "en"), Ok(plain), "{source}");
    }
}

#[test]
fn hostile_sources_are_refused() {
    let nested = |open: &str, close: &str, times: usize| open.repeat(times) + "x" + &close.repeat(times);
    let rows = [
        ("blocks", nested("{{#if a}}", "{{/if}}", 20_000)),
        ("blocks that fit in the bytes", nested("{{#if a}}", "{{/if}}", 3_000)),
        ("blocks one too deep", nested("{{#if a}}", "{{/if}}", 33)),
        ("unclosed blocks", "{{#if a}}".repeat(33)),
        ("else chains", format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if a}}".repeat(1_900))),
        ("recursive inline partial", "{{#*inline \"x\"}}{{> x}}{{/inline}}{{> x}}".to_owned()),
        ("spaced inline partial", "{{ ~ # * inline \"x\"}}{{/inline}}".to_owned()),
        ("spaced partial", "{{ ~ > x}}".to_owned()),
        ("partial block", "{{#> x}}y{{/x}}".to_owned()),
        ("decorator", "{{* x}}".to_owned()),
        ("raw block", "{{{{raw}}}}{{{{/raw}}}}".to_owned()),
        ("a long text", "x".repeat(10_000_000)),
        ("parentheses", format!("{{{{a {}}}}}", nested("(not ", ")", 20_000 / 2))),
        ("parentheses one too deep", format!("{{{{not {}}}}}", nested("(not ", ")", 33))),
        ("unclosed parentheses", format!("{{{{a {}}}}}", "(".repeat(20_000))),
        ("brackets", format!("{{{{default a {}}}}}", "[".repeat(20_000))),
        ("nested lists", format!("{{{{default a {}}}}}", nested("[", "]", 10_000))),
        ("objects", format!("{{{{default a {}}}}}", "{\"a\":".repeat(5_000))),
        ("a long path", format!("{{{{{}a}}}}", "a.".repeat(10_000))),
        ("upwards", format!("{{{{{}a}}}}", "../".repeat(10_000))),
        ("many tags", "{{a}}".repeat(2_001)),
        ("many escapes", r"\{{".repeat(2_001)),
        ("openings", "{{".repeat(30_000)),
        ("comments", "{{!--".repeat(10_000)),
        ("quotes", format!("{{{{a {}", "'".repeat(30_001))),
        ("a called subexpression", "{{(lookup a b) c}}".to_owned()),
    ];
    for (name, source) in rows {
        let error = Expression::parse(&source).expect_err(name);
        assert!(error.offset <= source.len(), "{name}");
        assert!(error.to_string().len() < 1_000, "{name}: {error}");
    }
    // What is just within the bounds works, on a small stack too.
    let within = [
        nested("{{#if a}}", "{{/if}}", 32),
        format!("{{{{not {}}}}}", nested("(not ", ")", 32).replace('x', "a")),
        "{{a}}".repeat(2_000),
        format!("{{{{#if b}}}}{}{{{{/if}}}}", "{{else if b}}".repeat(31)),
    ];
    std::thread::Builder::new()
        .stack_size(1024 * 1024)
        .spawn(move || {
            for source in within {
                fill(&source, &json!({ "a": "1", "b": "" }), "en").unwrap_or_else(|error| panic!("{error}"));
            }
        })
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn hostile_data_is_bounded() {
    let many: Vec<u32> = (0..10_000).collect();
    let long = "x".repeat(10_000_000);
    let data = json!({ "many": many, "long": long, "medium": "y".repeat(60_000), "wide": vec!["z".repeat(1000); 100], "f": 1e300 });
    let rows = [
        ("nested loops", "{{#each many}}{{#each ../many}}{{/each}}{{/each}}", "takes more than"),
        (
            "nested loops with names",
            "{{#each many as |a|}}{{#each @root.many as |b|}}{{#if a}}{{/if}}{{/each}}{{/each}}",
            "takes more than",
        ),
        (
            "loops over worked-out lists",
            "{{#each many}}{{#each (default @root.many 1)}}{{/each}}{{/each}}",
            "takes more than",
        ),
        ("long output", "{{#each wide}}{{this}}{{/each}}", "longer than"),
        ("long pieces", "{{medium}}{{medium}}", "longer than"),
        ("a long value", "{{long}}", "bytes"),
        ("a long value beside text", "x{{long}}", "bytes"),
        ("a long argument", "x{{upper long}}", "bytes"),
        ("many characters of a count", "x{{plural f other='#'}}", "too large"),
        ("a long list", "x{{list wide}}", "longer than"),
        ("a long join", "x{{join wide medium}}", "longer than"),
        ("all of it", "x{{lookup this 'many'}}", "reads more than"),
    ];
    let whole = Expression::parse("{{long}}").unwrap().evaluate(&data, &Locale::default());
    assert!(whole.unwrap_err().message.contains("a text has at most"));
    for (name, source, message) in rows {
        let started = std::time::Instant::now();
        let error = fill(source, &data, "en").expect_err(name);
        assert!(error.to_string().contains(message), "{name}: {error}");
        // Far above what it takes, far below what it would take without a bound.
        assert!(started.elapsed().as_secs() < 20, "{name}: {:?}", started.elapsed());
    }
}

#[test]
fn no_source_panics() {
    let pieces = [
        "{{",
        "}}",
        "{{{",
        "}}}",
        "{{#if a}}",
        "{{/if}}",
        "{{else}}",
        "{{#each list as |x i|}}",
        "{{/each}}",
        "{{x}}",
        "(",
        ")",
        "\"",
        "'",
        "\\",
        "~",
        "a",
        ".",
        "/",
        "../",
        "this",
        "@index",
        "@root.a",
        "[0]",
        "[",
        "]",
        " ",
        "\n",
        "upper ",
        "default a 'b'",
        "math 1 '+' ",
        "plural n other='#'",
        "=",
        "|",
        "!",
        "--",
        "&",
        "^",
        "#",
        ">",
        "*",
        "é",
        "👋🏽",
        "0.5",
        "-1",
        "true",
        "null",
        "truncate a 2",
        "{{#with a}}",
        "{{/with}}",
        "{{else if a}}",
        "lookup this 'a'",
        "as |x|",
        "(not a)",
        "\u{0}",
        "{",
        "}",
        ",",
        ":",
        "{{~",
        "~}}",
    ];
    let data = json!({ "a": "text", "list": ["p", { "x": 1 }], "n": 3, "x": null });
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize % limit
    };
    let mut filled = 0;
    for _ in 0..20_000 {
        let mut source = String::new();
        for _ in 0..1 + next(8) {
            match next(3) {
                0 => source.push_str(pieces[next(pieces.len())]),
                1 => source += &format!("{{{{{}}}}}", pieces[next(pieces.len())]),
                _ => {
                    source +=
                        &format!("{{{{{} {}}}}}", pieces[next(pieces.len())], pieces[next(pieces.len())])
                }
            }
        }
        match Expression::parse(&source) {
            Ok(expression) => {
                filled += usize::from(expression.render(&data, &Locale::default()).is_ok());
                if let Err(error) = expression.evaluate(&data, &Locale::default()) {
                    assert!(source.is_char_boundary(error.offset), "{source}: {error:?}");
                }
            }
            Err(error) => assert!(source.is_char_boundary(error.offset), "{source}: {error:?}"),
        }
    }
    // The loop must reach the engine, not only the scan.
    assert!(filled > 500, "{filled}");
}

#[test]
fn threads_share_an_expression() {
    let expression = Expression::parse("{{number n}} {{#each list}}{{upper this}}{{/each}}").unwrap();
    let data = json!({ "n": 1234.5, "list": ["i", "ß"] });
    let rows = [("en", "1,234.5 ISS"), ("de", "1.234,5 ISS"), ("tr", "1.234,5 İSS"), ("hi", "1,234.5 ISS")];
    std::thread::scope(|scope| {
        for (tag, wanted) in rows {
            let (expression, data) = (&expression, &data);
            scope.spawn(move || {
                let locale = Locale::parse(tag).unwrap();
                for _ in 0..200 {
                    assert_eq!(expression.render(data, &locale).as_deref(), Ok(wanted), "{tag}");
                }
            });
        }
    });
}

/// Prints what filling costs; run with `cargo test -p vignette-templates --release render_cost -- --ignored --nocapture`.
#[test]
#[ignore = "prints timings, holds nothing"]
fn render_cost() {
    let data = json!({
        "first_name": "Maria", "plan": "pro", "price": 1234.5, "day": "2026-01-15", "n": 3,
        "filler": (0..50).map(|n| (format!("field{n}"), json!("some text of a viewer"))).collect::<Map<_, _>>(),
        "modules": (0..20).map(|n| json!({ "title": format!("Module {n}"), "done": n })).collect::<Vec<_>>(),
    });
    let locale = Locale::parse("de-DE").unwrap();
    let sources = [
        "plain text",
        "{{first_name}}",
        "Welcome, {{first_name}}!",
        "{{upper first_name}}",
        "{{#if (eq plan 'pro')}}Open{{else}}Upgrade{{/if}}",
        "{{currency price 'EUR'}}",
        "{{date day 'long'}}",
        "{{plural n one='# module' other='# modules'}}",
        "{{#each modules}}{{title}} {{/each}}",
    ];
    for source in sources {
        let parsed = std::time::Instant::now();
        let expression = Expression::parse(source).unwrap();
        let parse = parsed.elapsed();
        let _ = expression.render(&data, &locale);
        const TIMES: u32 = 20_000;
        let started = std::time::Instant::now();
        for _ in 0..TIMES {
            std::hint::black_box(expression.render(std::hint::black_box(&data), &locale)).unwrap();
        }
        println!("{:>10.2?} fill {:>10.2?} parse  {source}", started.elapsed() / TIMES, parse);
    }
}
