use super::*;

/// What is said, letters as `A-B`, marks as they are.
fn say(text: &str, locale: &str) -> String {
    let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let mut line = String::new();
    for item in read(&words, Manner::of(locale), &|word| word == "2Pac") {
        let mark = matches!(item.kind, SpokenKind::Mark(_));
        if !line.is_empty() && !mark {
            line.push(' ');
        }
        match item.kind {
            SpokenKind::Letters => {
                let letters: Vec<String> = item.text.to_uppercase().chars().map(String::from).collect();
                line.push_str(&letters.join("-"));
            }
            _ => line.push_str(&item.text),
        }
    }
    line
}

#[test]
fn what_is_written_is_read_as_people_do() {
    let table = [
        // numbers
        ("You have 3 messages.", "You have three messages."),
        ("1,234,567", "one million two hundred thirty four thousand five hundred sixty seven"),
        ("3.14", "three point one four"),
        (".5", "zero point five"),
        ("-7", "minus seven"),
        ("+5", "plus five"),
        ("the 21st time", "the twenty first time"),
        ("101 Dalmatians", "one hundred one Dalmatians"),
        ("#1", "number one"),
        ("No. 5", "number five"),
        ("No.", "No."),
        ("007", "zero zero seven"),
        ("2x faster", "two times faster"),
        ("50+ people", "fifty plus people"),
        ("1/2", "one half"),
        ("3/4", "three quarters"),
        ("2/3", "two thirds"),
        ("24/7", "twenty four seven"),
        ("10-20", "ten to twenty"),
        ("2019–2021", "twenty nineteen to twenty twenty one"),
        ("1234567890", "one two three four five six seven eight nine zero"),
        // years
        ("in 1984", "in nineteen eighty four"),
        ("in 2026.", "in twenty twenty six."),
        ("the 1990s", "the nineteen nineties"),
        ("the 80s", "the eighties"),
        ("5000 people", "five thousand people"),
        // percent, units
        ("20%", "twenty percent"),
        ("99.9 %", "ninety nine point nine percent"),
        ("5–10%", "five to ten percent"),
        ("5 km", "five kilometers"),
        ("1 km", "one kilometer"),
        ("5km/h", "five kilometers per hour"),
        ("16GB", "sixteen gigabytes"),
        ("-3°C", "minus three degrees Celsius"),
        ("20 °F", "twenty degrees Fahrenheit"),
        ("30 min.", "thirty minutes."),
        // money
        ("$5.99", "five dollars and ninety nine cents"),
        ("$1", "one dollar"),
        ("$0.50", "fifty cents"),
        ("$1,250.00", "one thousand two hundred fifty dollars"),
        ("£3.01", "three pounds and one penny"),
        ("€20", "twenty euros"),
        ("20€", "twenty euros"),
        ("5 EUR", "five euros"),
        ("¥500", "five hundred yen"),
        ("$5 million", "five million dollars"),
        ("$2.5M", "two point five million dollars"),
        ("$10k", "ten thousand dollars"),
        ("-$5", "minus five dollars"),
        ("$5-$10", "five dollars to ten dollars"),
        ("$2000", "two thousand dollars"),
        // dates and times
        ("March 3rd", "March third"),
        ("Mar. 3, 2026", "March third, twenty twenty six"),
        ("by March 3.", "by March third."),
        ("3 March 2026", "the third of March twenty twenty six"),
        ("the 3rd of May", "the third of May"),
        ("May I help?", "May I help?"),
        ("2026-03-15", "March fifteenth twenty twenty six"),
        ("3/15/2026", "March fifteenth twenty twenty six"),
        ("15.03.2026", "March fifteenth twenty twenty six"),
        ("12/31/99", "December thirty first nineteen ninety nine"),
        ("at 7:30", "at seven thirty"),
        ("7:05 pm", "seven oh five P-M"),
        ("7:00", "seven o'clock"),
        ("7pm", "seven P-M"),
        ("at 5 p.m.", "at five P-M."),
        ("at 5 p.m. tomorrow", "at five P-M tomorrow"),
        ("16:9", "sixteen to nine"),
        ("9:00-17:00", "nine o'clock to seventeen o'clock"),
        // telephone numbers
        ("555-1234", "five five five, one two three four"),
        ("(555) 123-4567", "( five five five) one two three, four five six seven"),
        ("+1-800-555-0199", "plus one, eight zero zero, five five five, zero one nine nine"),
        // abbreviations
        ("Dr. Smith", "Doctor Smith"),
        ("Mr. and Mrs. Jones", "Mister and Mrs Jones"),
        ("12 Main St.", "twelve Main Street."),
        ("St. Paul", "Saint Paul"),
        ("e.g. this", "for example this"),
        ("and so on, etc.", "and so on, et cetera."),
        ("vs. them", "versus them"),
        ("the U.S. team", "the U-S team"),
        ("J. K. Rowling", "J K Rowling"),
        ("Acme Inc. is here", "Acme Incorporated is here"),
        // letters, signs, addresses
        ("AT&T", "A-T and T"),
        ("R&D", "R and D"),
        ("you & me", "you and me"),
        ("and/or", "and or"),
        ("COVID-19", "COVID nineteen"),
        ("a 3-year-old", "a three year-old"),
        ("Room 305B", "Room three oh five B"),
        ("A4", "A four"),
        ("4K", "four K"),
        ("v1.2.3", "V one point two point three"),
        ("2Pac", "2Pac"),
        ("Chapter IV", "Chapter four"),
        ("Henry VIII", "Henry the eighth"),
        ("example.com", "example dot com"),
        ("https://www.example.com/start", "W-W-W dot example dot com slash start"),
        ("maria@example.com", "maria at example dot com"),
        ("#welcome", "hashtag welcome"),
        ("Wait... what?!", "Wait… what?!"),
        ("“Yes,” she said.", "“ Yes,” she said."),
        ("hello — world", "hello— world"),
        ("'90s", "nineties"),
        ("rock 'n' roll", "rock n roll"),
        ("don’t", "don't"),
        ("☕ time", "time"),
    ];
    for (written, spoken) in table {
        assert_eq!(say(written, "en-US"), spoken, "{written}");
    }
}

#[test]
fn countries_differ() {
    for (written, locale, spoken) in [
        ("3/4/2026", "en-US", "March fourth twenty twenty six"),
        ("3/4/2026", "en", "March fourth twenty twenty six"),
        ("3/4/2026", "en-GB", "the third of April twenty twenty six"),
        ("3/25/2026", "en-GB", "the twenty fifth of March twenty twenty six"),
        ("March 3", "en-GB", "March the third"),
        ("105", "en-GB", "one hundred and five"),
        ("105", "en-u-hc-h12", "one hundred five"),
        ("105", "en-Latn-AU", "one hundred and five"),
    ] {
        assert_eq!(say(written, locale), spoken, "{written} {locale}");
    }
}

#[test]
fn words_stay_in_order_whatever_is_written() {
    let odd = [
        "$",
        "$$5",
        "5$$",
        "--",
        "...",
        "@",
        "@@",
        "#",
        "1/0",
        "0/0/0",
        "99/99/9999",
        "1:2:3:4",
        "25:99",
        "-",
        "−5",
        "5.",
        "5,,5",
        "1.2.3.4.5",
        "٣",
        "½",
        "5½",
        "()",
        "(5",
        "a/b/c",
        "http://",
        "www.",
        "@a.b",
        "a@b",
        "x@y.com@z",
        "%%",
        "°C",
        "'s",
        "’",
        "\"",
        "1e9",
        "0x1F",
        "999999999999999999999999",
        "1,2,3",
        "1,,000",
        "12,34",
        "$1.2.3",
        "IV",
        "-$-5",
        "K9",
        "9K9",
        "é1é",
        "ß",
        "ﬁ",
        "3-",
        "-3-",
        "3-4-5-6",
        "+1",
        "+",
        "1+1=2",
        "5'",
        "Chapter",
        "IV.",
        "Mr.",
        "St",
        "no.",
        "5 no.",
        "May 99",
        "May 5th-ish",
    ];
    for manner in [Manner::of("en"), Manner::of("en-GB")] {
        for first in odd {
            for second in odd {
                let words = [first.to_owned(), second.to_owned(), "end".to_owned()];
                let said = read(&words, manner, &|_| false);
                assert!(
                    said.windows(2).all(|pair| pair[0].written <= pair[1].written),
                    "{words:?}: {said:?}"
                );
                assert!(
                    said.iter().all(|item| item.written < 3 && !item.text.is_empty()),
                    "{words:?}: {said:?}"
                );
                assert_eq!(said.last().map(|item| item.text.as_str()), Some("end"), "{words:?}");
            }
        }
    }
}

#[test]
fn words_come_apart() {
    for (word, expected) in [
        ("sign-up", vec!["sign", "up"]),
        ("PayPal", vec!["Pay", "Pal"]),
        ("iPhone", vec!["i", "Phone"]),
        ("Ana", vec!["Ana"]),
        ("É-É", vec!["É", "É"]),
        ("-", vec![]),
    ] {
        assert_eq!(parts(word), expected, "{word}");
    }
    for (word, expected) in
        [("don't", vec!["do", "n't"]), ("she's", vec!["she", "'s"]), ("'s", vec!["'s"]), ("a", vec!["a"])]
    {
        assert_eq!(clitics(word).collect::<Vec<_>>(), expected, "{word}");
    }
}
