//! Words for signs, units and abbreviations.

/// How an amount of money is said.
#[derive(Debug)]
pub(super) struct Currency {
    /// What stands before or after the digits.
    pub(super) signs: &'static [&'static str],
    pub(super) one: &'static str,
    pub(super) many: &'static str,
    /// One and many of the hundredth, if it is in use.
    pub(super) part: Option<(&'static str, &'static str)>,
}

impl Currency {
    pub(super) fn find(sign: &str) -> Option<&'static Currency> {
        CURRENCIES.iter().find(|currency| currency.signs.contains(&sign))
    }
}

const fn money(
    signs: &'static [&'static str],
    one: &'static str,
    many: &'static str,
    part: Option<(&'static str, &'static str)>,
) -> Currency {
    Currency { signs, one, many, part }
}

pub(super) const CURRENCIES: &[Currency] = &[
    money(&["$", "US$", "USD"], "dollar", "dollars", Some(("cent", "cents"))),
    money(&["CA$", "C$", "CAD"], "Canadian dollar", "Canadian dollars", Some(("cent", "cents"))),
    money(&["A$", "AU$", "AUD"], "Australian dollar", "Australian dollars", Some(("cent", "cents"))),
    money(&["NZ$", "NZD"], "New Zealand dollar", "New Zealand dollars", Some(("cent", "cents"))),
    money(&["S$", "SGD"], "Singapore dollar", "Singapore dollars", Some(("cent", "cents"))),
    money(&["HK$", "HKD"], "Hong Kong dollar", "Hong Kong dollars", Some(("cent", "cents"))),
    money(&["€", "EUR"], "euro", "euros", Some(("cent", "cents"))),
    money(&["£", "GBP"], "pound", "pounds", Some(("penny", "pence"))),
    money(&["¥", "JPY"], "yen", "yen", None),
    money(&["CN¥", "CNY", "RMB"], "yuan", "yuan", None),
    money(&["₹", "Rs", "Rs.", "INR"], "rupee", "rupees", Some(("paisa", "paise"))),
    money(&["₩", "KRW"], "won", "won", None),
    money(&["R$", "BRL"], "real", "reais", Some(("centavo", "centavos"))),
    money(&["CHF"], "Swiss franc", "Swiss francs", Some(("centime", "centimes"))),
    money(&["₺", "TRY"], "lira", "lira", None),
    money(&["₽", "RUB"], "rouble", "roubles", None),
    money(&["₦", "NGN"], "naira", "naira", None),
    money(&["₱", "PHP"], "peso", "pesos", Some(("centavo", "centavos"))),
    money(&["MXN"], "Mexican peso", "Mexican pesos", Some(("centavo", "centavos"))),
    money(&["zł", "PLN"], "zloty", "zlotys", None),
    money(&["SEK"], "Swedish krona", "Swedish kronor", None),
    money(&["NOK"], "Norwegian krone", "Norwegian kroner", None),
    money(&["DKK"], "Danish krone", "Danish kroner", None),
    money(&["¢", "ct"], "cent", "cents", None),
];

/// What may follow an amount directly.
pub(super) const SCALES: &[(&str, &str)] = &[
    ("k", "thousand"),
    ("K", "thousand"),
    ("M", "million"),
    ("mn", "million"),
    ("mln", "million"),
    ("mil", "million"),
    ("B", "billion"),
    ("b", "billion"),
    ("bn", "billion"),
    ("T", "trillion"),
    ("tn", "trillion"),
];

pub(super) const SCALE_WORDS: [&str; 5] = ["hundred", "thousand", "million", "billion", "trillion"];

/// Short form, one, many.
pub(super) const UNITS: &[(&str, &str, &str)] = &[
    ("km", "kilometer", "kilometers"),
    ("m", "meter", "meters"),
    ("cm", "centimeter", "centimeters"),
    ("mm", "millimeter", "millimeters"),
    ("µm", "micrometer", "micrometers"),
    ("nm", "nanometer", "nanometers"),
    ("mi", "mile", "miles"),
    ("yd", "yard", "yards"),
    ("ft", "foot", "feet"),
    ("in", "inch", "inches"),
    ("km²", "square kilometer", "square kilometers"),
    ("m²", "square meter", "square meters"),
    ("sqm", "square meter", "square meters"),
    ("sqft", "square foot", "square feet"),
    ("m³", "cubic meter", "cubic meters"),
    ("ha", "hectare", "hectares"),
    ("kg", "kilogram", "kilograms"),
    ("g", "gram", "grams"),
    ("mg", "milligram", "milligrams"),
    ("lb", "pound", "pounds"),
    ("lbs", "pound", "pounds"),
    ("oz", "ounce", "ounces"),
    ("l", "liter", "liters"),
    ("L", "liter", "liters"),
    ("ml", "milliliter", "milliliters"),
    ("mL", "milliliter", "milliliters"),
    ("cl", "centiliter", "centiliters"),
    ("km/h", "kilometer per hour", "kilometers per hour"),
    ("kmh", "kilometer per hour", "kilometers per hour"),
    ("kph", "kilometer per hour", "kilometers per hour"),
    ("mph", "mile per hour", "miles per hour"),
    ("m/s", "meter per second", "meters per second"),
    ("Hz", "hertz", "hertz"),
    ("kHz", "kilohertz", "kilohertz"),
    ("MHz", "megahertz", "megahertz"),
    ("GHz", "gigahertz", "gigahertz"),
    ("kB", "kilobyte", "kilobytes"),
    ("KB", "kilobyte", "kilobytes"),
    ("MB", "megabyte", "megabytes"),
    ("GB", "gigabyte", "gigabytes"),
    ("TB", "terabyte", "terabytes"),
    ("Mbps", "megabit per second", "megabits per second"),
    ("Mbit/s", "megabit per second", "megabits per second"),
    ("Gbps", "gigabit per second", "gigabits per second"),
    ("ms", "millisecond", "milliseconds"),
    ("s", "second", "seconds"),
    ("sec", "second", "seconds"),
    ("secs", "second", "seconds"),
    ("min", "minute", "minutes"),
    ("mins", "minute", "minutes"),
    ("h", "hour", "hours"),
    ("hr", "hour", "hours"),
    ("hrs", "hour", "hours"),
    ("W", "watt", "watts"),
    ("kW", "kilowatt", "kilowatts"),
    ("MW", "megawatt", "megawatts"),
    ("kWh", "kilowatt hour", "kilowatt hours"),
    ("mAh", "milliamp hour", "milliamp hours"),
    ("V", "volt", "volts"),
    ("hp", "horsepower", "horsepower"),
    ("kcal", "kilocalorie", "kilocalories"),
    ("px", "pixel", "pixels"),
    ("fps", "frame per second", "frames per second"),
    ("dB", "decibel", "decibels"),
    ("pts", "point", "points"),
    ("pct", "percent", "percent"),
    ("%", "percent", "percent"),
    ("yr", "year", "years"),
    ("yrs", "year", "years"),
];

/// Before a name.
pub(super) const TITLES: &[(&str, &str)] = &[
    ("Mr", "Mister"),
    ("Mrs", "Mrs"),
    ("Ms", "Miz"),
    ("Mx", "Mix"),
    ("Dr", "Doctor"),
    ("Prof", "Professor"),
    ("St", "Saint"),
    ("Mt", "Mount"),
    ("Ft", "Fort"),
    ("Gen", "General"),
    ("Gov", "Governor"),
    ("Sen", "Senator"),
    ("Rep", "Representative"),
    ("Capt", "Captain"),
    ("Lt", "Lieutenant"),
    ("Col", "Colonel"),
    ("Maj", "Major"),
    ("Sgt", "Sergeant"),
    ("Rev", "Reverend"),
    ("Hon", "Honorable"),
    ("Pres", "President"),
];

/// Short form without its last stop, words, and whether it is one only with the stop.
pub(super) const ABBREVIATIONS: &[(&str, &str, bool)] = &[
    ("e.g", "for example", false),
    ("eg", "for example", true),
    ("i.e", "that is", false),
    ("ie", "that is", true),
    ("etc", "et cetera", false),
    ("vs", "versus", false),
    ("approx", "approximately", false),
    ("incl", "including", true),
    ("excl", "excluding", true),
    ("w/", "with", false),
    ("w/o", "without", false),
    ("c/o", "care of", false),
    ("aka", "also known as", false),
    ("Jr", "Junior", false),
    ("Sr", "Senior", true),
    ("Ave", "Avenue", true),
    ("Blvd", "Boulevard", false),
    ("Rd", "Road", true),
    ("Ln", "Lane", true),
    ("Hwy", "Highway", false),
    ("St", "Street", true),
    ("Apt", "Apartment", true),
    ("Bldg", "Building", true),
    ("Ltd", "Limited", false),
    ("Inc", "Incorporated", true),
    ("Corp", "Corporation", true),
    ("Co", "Company", true),
    ("Bros", "Brothers", true),
    ("Dept", "Department", true),
    ("dept", "department", true),
    ("Univ", "University", true),
    ("vol", "volume", true),
    ("Vol", "Volume", true),
    ("Fig", "Figure", true),
    ("pp", "pages", true),
    ("max", "maximum", true),
    ("min", "minimum", true),
    ("avg", "average", true),
    ("tel", "telephone", true),
    ("Tel", "telephone", true),
    ("ext", "extension", true),
    ("qty", "quantity", false),
    ("acct", "account", false),
    ("Mr", "Mister", true),
    ("Mrs", "Mrs", true),
    ("Ms", "Miz", true),
    ("Dr", "Drive", true),
];

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Words whose number is often written in Roman numerals.
pub(super) const ROMAN_AFTER: &[&str] = &[
    "Chapter", "Part", "Act", "Scene", "Section", "Volume", "Book", "Phase", "Article", "War", "Mark",
    "Type", "Level", "Stage", "Class", "Grade", "Bowl", "Apollo", "Episode", "Round", "Season", "Tier",
    "Title", "Step",
];

/// Names that kings, queens and popes bore.
pub(super) const REGNAL: &[&str] = &[
    "Henry",
    "Louis",
    "Edward",
    "George",
    "William",
    "Charles",
    "James",
    "Richard",
    "Elizabeth",
    "Napoleon",
    "Pius",
    "Benedict",
    "Leo",
    "Paul",
    "Frederick",
    "Philip",
    "Alexander",
    "Nicholas",
    "Peter",
    "Catherine",
    "Ivan",
    "Margaret",
    "Christian",
    "Ferdinand",
];

/// Top-level domains by which an address is told from a sentence whose space was forgotten.
pub(super) const TOP_LEVEL: &[&str] = &[
    "com", "org", "net", "edu", "gov", "io", "co", "uk", "de", "fr", "es", "it", "nl", "be", "ch", "at",
    "se", "no", "dk", "fi", "pl", "pt", "ie", "eu", "info", "biz", "us", "ca", "au", "nz", "in", "jp", "br",
    "mx", "tv", "me", "ai", "app", "dev", "shop", "store", "online", "video", "test", "example",
];

/// The words for a sign that stands by itself or inside a word.
pub(super) fn symbol(sign: &str) -> Option<&'static str> {
    Some(match sign {
        "&" => "and",
        "+" => "plus",
        "=" => "equals",
        "%" => "percent",
        "@" => "at",
        "$" => "dollars",
        "€" => "euros",
        "£" => "pounds",
        "#" => "hash",
        "±" => "plus or minus",
        "×" => "times",
        "÷" => "divided by",
        "→" => "to",
        "½" => "one half",
        "¼" => "one quarter",
        "¾" => "three quarters",
        "©" => "copyright",
        "§" => "section",
        "°" => "degrees",
        "°C" => "degrees Celsius",
        "°F" => "degrees Fahrenheit",
        _ => return None,
    })
}
