//! Numbers in English words.

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] =
    ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const SCALES: [&str; 7] = ["", "thousand", "million", "billion", "trillion", "quadrillion", "quintillion"];

type Words = Vec<&'static str>;

/// `1203` as *one thousand two hundred three*, or with `and` *one thousand two hundred and three*, as Britain says it.
pub(super) fn cardinal(number: u64, and: bool) -> Words {
    if number == 0 {
        return vec!["zero"];
    }
    let mut groups = Vec::new();
    let mut rest = number;
    while rest > 0 {
        groups.push(rest % 1000);
        rest /= 1000;
    }
    let mut words = Words::new();
    for (scale, group) in groups.iter().enumerate().rev().filter(|(_, group)| **group > 0) {
        let (hundreds, below) = (group / 100, group % 100);
        if hundreds > 0 {
            words.extend([ONES[hundreds as usize], "hundred"]);
        }
        if and && below > 0 && (hundreds > 0 || (scale == 0 && number > 999)) {
            words.push("and");
        }
        words.extend(below_hundred(below));
        words.extend(SCALES.get(scale).filter(|name| !name.is_empty()));
    }
    words
}

fn below_hundred(number: u64) -> Words {
    match number {
        0 => vec![],
        1..20 => vec![ONES[number as usize]],
        _ if number.is_multiple_of(10) => vec![TENS[number as usize / 10]],
        _ => vec![TENS[number as usize / 10], ONES[number as usize % 10]],
    }
}

/// `23` as *twenty third*.
pub(super) fn ordinal(number: u64, and: bool) -> Vec<String> {
    let mut words: Vec<String> = cardinal(number, and).into_iter().map(str::to_owned).collect();
    if let Some(last) = words.last_mut() {
        *last = match last.as_str() {
            "one" => "first".to_owned(),
            "two" => "second".to_owned(),
            "three" => "third".to_owned(),
            "five" => "fifth".to_owned(),
            "eight" => "eighth".to_owned(),
            "nine" => "ninth".to_owned(),
            "twelve" => "twelfth".to_owned(),
            word => match word.strip_suffix('y') {
                Some(stem) => format!("{stem}ieth"),
                None => format!("{word}th"),
            },
        };
    }
    words
}

/// `1905` as *nineteen oh five*, `2026` as *twenty twenty six*, `2005` as *two thousand five*.
pub(super) fn year(number: u64, and: bool) -> Words {
    let (century, rest) = (number / 100, number % 100);
    if !(11..100).contains(&century) || (century.is_multiple_of(10) && rest < 10) {
        return cardinal(number, and);
    }
    let mut words = below_hundred(century);
    match rest {
        0 => words.push("hundred"),
        1..10 => words.extend(["oh", ONES[rest as usize]]),
        _ => words.extend(below_hundred(rest)),
    }
    words
}

/// Each digit by itself; other characters are left out.
pub(super) fn digits(text: &str) -> Words {
    text.bytes().filter(u8::is_ascii_digit).map(|digit| ONES[usize::from(digit - b'0')]).collect()
}

/// A number inside a code or a name (`Room 305`, `A380`): short ones whole, three figures with *oh*, others digit by digit.
pub(super) fn label(text: &str) -> Words {
    let number: u64 = text.parse().unwrap_or(0);
    match text.len() {
        _ if text.starts_with('0') && text.len() > 1 => digits(text),
        1 | 2 => cardinal(number, false),
        3 | 4 if number.is_multiple_of(100) => cardinal(number, false),
        3 if number % 100 < 10 => vec![ONES[number as usize / 100], "oh", ONES[number as usize % 10]],
        3 => [vec![ONES[number as usize / 100]], below_hundred(number % 100)].concat(),
        4 => year(number, false),
        _ => digits(text),
    }
}

/// Roman numerals below 40, in capitals; `None` for anything else. Longer ones stand in no name that is spoken.
pub(super) fn roman(text: &str) -> Option<u64> {
    const UNITS: [&str; 10] = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"];
    let tens = text.bytes().take_while(|b| *b == b'X').count();
    let units = UNITS.iter().position(|unit| *unit == &text[tens..])?;
    (tens <= 3 && !text.is_empty()).then_some((tens * 10 + units) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spoken() {
        let table: [(u64, &str, &str); 9] = [
            (0, "zero", "zero"),
            (21, "twenty one", "twenty one"),
            (105, "one hundred five", "one hundred and five"),
            (1_000, "one thousand", "one thousand"),
            (1_001, "one thousand one", "one thousand and one"),
            (12_340, "twelve thousand three hundred forty", "twelve thousand three hundred and forty"),
            (1_000_020, "one million twenty", "one million and twenty"),
            (900_000_000_000, "nine hundred billion", "nine hundred billion"),
            (
                u64::MAX,
                "eighteen quintillion four hundred forty six quadrillion seven hundred forty four trillion \
                 seventy three billion seven hundred nine million five hundred fifty one thousand six hundred fifteen",
                "eighteen quintillion four hundred and forty six quadrillion seven hundred and forty four trillion \
                 seventy three billion seven hundred and nine million five hundred and fifty one thousand six hundred \
                 and fifteen",
            ),
        ];
        for (number, american, british) in table {
            assert_eq!(cardinal(number, false).join(" "), american);
            assert_eq!(cardinal(number, true).join(" "), british);
        }
    }

    #[test]
    fn ordinals_years_and_labels() {
        for (number, spoken) in [
            (1, "first"),
            (12, "twelfth"),
            (20, "twentieth"),
            (22, "twenty second"),
            (100, "one hundredth"),
            (1_003, "one thousand third"),
        ] {
            assert_eq!(ordinal(number, false).join(" "), spoken);
        }
        for (number, spoken) in [
            (1900, "nineteen hundred"),
            (1905, "nineteen oh five"),
            (1984, "nineteen eighty four"),
            (2000, "two thousand"),
            (2007, "two thousand seven"),
            (2026, "twenty twenty six"),
            (987, "nine hundred eighty seven"),
        ] {
            assert_eq!(year(number, false).join(" "), spoken);
        }
        for (text, spoken) in [
            ("7", "seven"),
            ("42", "forty two"),
            ("305", "three oh five"),
            ("380", "three eighty"),
            ("500", "five hundred"),
            ("007", "zero zero seven"),
            ("4021", "forty twenty one"),
            ("12345", "one two three four five"),
        ] {
            assert_eq!(label(text).join(" "), spoken);
        }
        for (text, number) in
            [("I", Some(1)), ("IV", Some(4)), ("XXIX", Some(29)), ("", None), ("IIII", None)]
        {
            assert_eq!(roman(text), number, "{text}");
        }
        assert_eq!(roman("MIX"), None);
        assert_eq!(roman("Ä"), None);
    }
}
