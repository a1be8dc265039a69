//! Which fonts the engine's own library holds, and which of them stands in for which script.
//!
//! The list is closed, so that two machines with the same packages draw the same pixels, whatever other
//! fonts are installed beside them.

/// A package of Debian, and a file of it that is there when the package is.
pub(super) struct Package {
    /// The package's name.
    pub name: &'static str,
    /// A file that every release of the package has.
    pub probe: &'static str,
}

/// Folder of Noto's TrueType fonts.
pub(super) const NOTO: &str = "/usr/share/fonts/truetype/noto";
/// Folder of the Noto CJK collections.
pub(super) const NOTO_CJK: &str = "/usr/share/fonts/opentype/noto";
/// Folder of the variable Inter fonts.
pub(super) const INTER: &str = "/usr/share/fonts/truetype/inter-vf";

/// What must be installed.
pub(super) const PACKAGES: [Package; 4] = [
    Package { name: "fonts-inter-variable", probe: "/usr/share/fonts/truetype/inter-vf/Inter-roman.var.ttf" },
    Package { name: "fonts-noto-core", probe: "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf" },
    Package { name: "fonts-noto-cjk", probe: "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc" },
    Package { name: "fonts-noto-color-emoji", probe: "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf" },
];

/// Variable fonts of fonts-inter-variable: upright and italic have files of their own.
pub(super) const INTER_FILES: [&str; 4] = [
    "Inter-roman.var.ttf",
    "Inter-italic.var.ttf",
    "InterDisplay-roman.var.ttf",
    "InterDisplay-italic.var.ttf",
];

/// Collections of fonts-noto-cjk.
pub(super) const CJK_FILES: [&str; 4] =
    ["NotoSansCJK-Regular.ttc", "NotoSansCJK-Bold.ttc", "NotoSerifCJK-Regular.ttc", "NotoSerifCJK-Bold.ttc"];

/// The file of fonts-noto-color-emoji.
pub(super) const EMOJI_FILE: &str = "NotoColorEmoji.ttf";

/// The styles in which a font of fonts-noto-core comes, as its files' names end. Few come in all.
pub(super) const STYLES: [&str; 4] = ["Regular", "Bold", "Italic", "BoldItalic"];

/// Family that is used where a block names none.
pub(super) const DEFAULT_FAMILY: &str = "Inter";
/// Colour pictures.
pub(super) const EMOJI_FAMILY: &str = "Noto Color Emoji";

/// What every script falls back to behind its own font, by the beginning of the file's name.
pub(super) const COMMON: [&str; 5] =
    ["NotoSans", "NotoSansSymbols", "NotoSansSymbols2", "NotoSansMath", "NotoMusic"];

/// The font of fonts-noto-core that draws a script (ISO 15924), by the beginning of the file's name.
#[rustfmt::skip]
pub(super) const SCRIPTS: &[(&str, &str)] = &[
    ("NotoSansAdlam", "Adlm"),
    ("NotoSansAnatolianHieroglyphs", "Hluw"),
    ("NotoSansArabic", "Arab"),
    ("NotoSansArmenian", "Armn"),
    ("NotoSansAvestan", "Avst"),
    ("NotoSansBalinese", "Bali"),
    ("NotoSansBamum", "Bamu"),
    ("NotoSansBassaVah", "Bass"),
    ("NotoSansBatak", "Batk"),
    ("NotoSansBengali", "Beng"),
    ("NotoSansBhaiksuki", "Bhks"),
    ("NotoSansBrahmi", "Brah"),
    ("NotoSansBuginese", "Bugi"),
    ("NotoSansBuhid", "Buhd"),
    ("NotoSansCanadianAboriginal", "Cans"),
    ("NotoSansCarian", "Cari"),
    ("NotoSansCaucasianAlbanian", "Aghb"),
    ("NotoSansChakma", "Cakm"),
    ("NotoSansCham", "Cham"),
    ("NotoSansCherokee", "Cher"),
    ("NotoSansCoptic", "Copt"),
    ("NotoSansCuneiform", "Xsux"),
    ("NotoSansCypriot", "Cprt"),
    ("NotoSansDeseret", "Dsrt"),
    ("NotoSansDevanagari", "Deva"),
    ("NotoSansDuployan", "Dupl"),
    ("NotoSansEgyptianHieroglyphs", "Egyp"),
    ("NotoSansElbasan", "Elba"),
    ("NotoSansElymaic", "Elym"),
    ("NotoSansEthiopic", "Ethi"),
    ("NotoSansGeorgian", "Geor"),
    ("NotoSansGlagolitic", "Glag"),
    ("NotoSansGothic", "Goth"),
    ("NotoSansGrantha", "Gran"),
    ("NotoSansGujarati", "Gujr"),
    ("NotoSansGunjalaGondi", "Gong"),
    ("NotoSansGurmukhi", "Guru"),
    ("NotoSansHanifiRohingya", "Rohg"),
    ("NotoSansHanunoo", "Hano"),
    ("NotoSansHatran", "Hatr"),
    ("NotoSansHebrew", "Hebr"),
    ("NotoSansImperialAramaic", "Armi"),
    ("NotoSansInscriptionalPahlavi", "Phli"),
    ("NotoSansInscriptionalParthian", "Prti"),
    ("NotoSansJavanese", "Java"),
    ("NotoSansKaithi", "Kthi"),
    ("NotoSansKannada", "Knda"),
    ("NotoSansKayahLi", "Kali"),
    ("NotoSansKharoshthi", "Khar"),
    ("NotoSansKhmer", "Khmr"),
    ("NotoSansKhojki", "Khoj"),
    ("NotoSansKhudawadi", "Sind"),
    ("NotoSansLao", "Laoo"),
    ("NotoSansLepcha", "Lepc"),
    ("NotoSansLimbu", "Limb"),
    ("NotoSansLinearA", "Lina"),
    ("NotoSansLinearB", "Linb"),
    ("NotoSansLisu", "Lisu"),
    ("NotoSansLycian", "Lyci"),
    ("NotoSansLydian", "Lydi"),
    ("NotoSansMahajani", "Mahj"),
    ("NotoSansMalayalam", "Mlym"),
    ("NotoSansMandaic", "Mand"),
    ("NotoSansManichaean", "Mani"),
    ("NotoSansMarchen", "Marc"),
    ("NotoSansMasaramGondi", "Gonm"),
    ("NotoSansMedefaidrin", "Medf"),
    ("NotoSansMeeteiMayek", "Mtei"),
    ("NotoSansMendeKikakui", "Mend"),
    ("NotoSansMiao", "Plrd"),
    ("NotoSansModi", "Modi"),
    ("NotoSansMongolian", "Mong"),
    ("NotoSansMro", "Mroo"),
    ("NotoSansMultani", "Mult"),
    ("NotoSansMyanmar", "Mymr"),
    ("NotoSansNKo", "Nkoo"),
    ("NotoSansNabataean", "Nbat"),
    ("NotoSansNewTaiLue", "Talu"),
    ("NotoSansNewa", "Newa"),
    ("NotoSansNushu", "Nshu"),
    ("NotoSansOgham", "Ogam"),
    ("NotoSansOlChiki", "Olck"),
    ("NotoSansOldHungarian", "Hung"),
    ("NotoSansOldItalic", "Ital"),
    ("NotoSansOldNorthArabian", "Narb"),
    ("NotoSansOldPermic", "Perm"),
    ("NotoSansOldPersian", "Xpeo"),
    ("NotoSansOldSogdian", "Sogo"),
    ("NotoSansOldSouthArabian", "Sarb"),
    ("NotoSansOldTurkic", "Orkh"),
    ("NotoSansOriya", "Orya"),
    ("NotoSansOsage", "Osge"),
    ("NotoSansOsmanya", "Osma"),
    ("NotoSansPahawhHmong", "Hmng"),
    ("NotoSansPalmyrene", "Palm"),
    ("NotoSansPauCinHau", "Pauc"),
    ("NotoSansPhagsPa", "Phag"),
    ("NotoSansPhoenician", "Phnx"),
    ("NotoSansPsalterPahlavi", "Phlp"),
    ("NotoSansRejang", "Rjng"),
    ("NotoSansRunic", "Runr"),
    ("NotoSansSamaritan", "Samr"),
    ("NotoSansSaurashtra", "Saur"),
    ("NotoSansSharada", "Shrd"),
    ("NotoSansShavian", "Shaw"),
    ("NotoSansSiddham", "Sidd"),
    ("NotoSansSignWriting", "Sgnw"),
    ("NotoSansSinhala", "Sinh"),
    ("NotoSansSogdian", "Sogd"),
    ("NotoSansSoraSompeng", "Sora"),
    ("NotoSansSoyombo", "Soyo"),
    ("NotoSansSundanese", "Sund"),
    ("NotoSansSylotiNagri", "Sylo"),
    ("NotoSansSyriac", "Syrc"),
    ("NotoSansTagalog", "Tglg"),
    ("NotoSansTagbanwa", "Tagb"),
    ("NotoSansTaiLe", "Tale"),
    ("NotoSansTaiTham", "Lana"),
    ("NotoSansTaiViet", "Tavt"),
    ("NotoSansTakri", "Takr"),
    ("NotoSansTamil", "Taml"),
    ("NotoSansTelugu", "Telu"),
    ("NotoSansThaana", "Thaa"),
    ("NotoSansThai", "Thai"),
    ("NotoSansTifinagh", "Tfng"),
    ("NotoSansTirhuta", "Tirh"),
    ("NotoSansUgaritic", "Ugar"),
    ("NotoSansVai", "Vaii"),
    ("NotoSansWancho", "Wcho"),
    ("NotoSansWarangCiti", "Wara"),
    ("NotoSansYi", "Yiii"),
    ("NotoSansZanabazarSquare", "Zanb"),
    ("NotoSerifAhom", "Ahom"),
    ("NotoSerifDogra", "Dogr"),
    ("NotoSerifNyiakengPuachueHmong", "Hmnp"),
    ("NotoSerifTangut", "Tang"),
    ("NotoSerifTibetan", "Tibt"),
    ("NotoSerifYezidi", "Yezi"),
];

/// Fonts of fonts-noto-core that are there for templates that ask for them by family.
#[rustfmt::skip]
pub(super) const OTHERS: &[&str] = &[
    "NotoKufiArabic",
    "NotoLoopedLao",
    "NotoLoopedThai",
    "NotoNaskhArabic",
    "NotoNastaliqUrdu",
    "NotoRashiHebrew",
    "NotoSansAdlamUnjoined",
    "NotoSansDisplay",
    "NotoSansIndicSiyaqNumbers",
    "NotoSansMayanNumerals",
    "NotoSansMeroitic",
    "NotoSansTamilSupplement",
    "NotoSansTifinaghAPT",
    "NotoSansTifinaghAdrar",
    "NotoSansTifinaghAgrawImazighen",
    "NotoSansTifinaghAhaggar",
    "NotoSansTifinaghAir",
    "NotoSansTifinaghAzawagh",
    "NotoSansTifinaghGhat",
    "NotoSansTifinaghHawad",
    "NotoSansTifinaghRhissaIxa",
    "NotoSansTifinaghSIL",
    "NotoSansTifinaghTawellemmet",
    "NotoSerif",
    "NotoSerifArmenian",
    "NotoSerifBalinese",
    "NotoSerifBengali",
    "NotoSerifDevanagari",
    "NotoSerifDisplay",
    "NotoSerifEthiopic",
    "NotoSerifGeorgian",
    "NotoSerifGrantha",
    "NotoSerifGujarati",
    "NotoSerifGurmukhi",
    "NotoSerifHebrew",
    "NotoSerifKannada",
    "NotoSerifKhmer",
    "NotoSerifKhojki",
    "NotoSerifLao",
    "NotoSerifMalayalam",
    "NotoSerifMyanmar",
    "NotoSerifSinhala",
    "NotoSerifTamil",
    "NotoSerifTamilSlanted",
    "NotoSerifTelugu",
    "NotoSerifThai",
    "NotoTraditionalNushu",
];

/// Scripts that have no font of their own but are drawn by those of [`COMMON`].
pub(super) const COMMON_SCRIPTS: [&str; 5] = ["Latn", "Grek", "Cyrl", "Zyyy", "Zinh"];

/// Which face of Noto Sans CJK draws a script in a language; no language is any other language.
pub(super) const CJK: [(&str, Option<&str>, &str); 12] = [
    ("Hani", None, "Noto Sans CJK SC"),
    ("Hani", Some("zh-SG"), "Noto Sans CJK SC"),
    ("Hani", Some("ja"), "Noto Sans CJK JP"),
    ("Hani", Some("ko"), "Noto Sans CJK KR"),
    ("Hani", Some("zh-TW"), "Noto Sans CJK TC"),
    ("Hani", Some("zh-HK"), "Noto Sans CJK HK"),
    ("Hani", Some("zh-MO"), "Noto Sans CJK HK"),
    ("Hira", None, "Noto Sans CJK JP"),
    ("Kana", None, "Noto Sans CJK JP"),
    ("Hrkt", None, "Noto Sans CJK JP"),
    ("Hang", None, "Noto Sans CJK KR"),
    ("Bopo", None, "Noto Sans CJK TC"),
];

/// Languages for which the layout engine keeps fallbacks of their own in a script. They are given the
/// script's font too: otherwise text of such a language would find none.
#[rustfmt::skip]
pub(super) const LANGUAGES: &[(&str, &[&str])] = &[
    ("Arab", &["ar-IR", "fa", "ks", "ku-IQ", "ku-IR", "la", "ota", "pa-PK", "ps-AF", "ps-PK", "sd", "ug", "ur"]),
    ("Beng", &["as", "mni"]),
    ("Deva", &["bh", "bho", "brx", "doi", "hne", "kok", "mai", "mr", "bne", "sa", "sat"]),
    ("Ethi", &["am", "byn", "sid", "ti-ER", "ti-ET", "tig", "wal"]),
    ("Hebr", &["yi"]),
    ("Tibt", &["dz"]),
];
