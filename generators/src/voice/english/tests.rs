use super::*;

const CHECKED: &str = r#"{"A": "ˈA", "S": "ˈɛs", "U": "jˈu", "hello": "həlˈO", "world": "wˈɜɹld", "and": "ænd",
    "sign": "sˈIn", "up": "ˈʌp", "pay": "pˈA", "pal": "pˈæl", "end": "ˈɛnd", "zoe": "zˈOi", "five": "fˈIv",
    "dollar": "dˈɑləɹ", "live": {"DEFAULT": "lˈIv", "VERB": "lˈɪv"}}"#;
const TAGGER: &str = r#"{"tags": ["NN", "VB"], "tagdict": {"the": "DT", "to": "TO", "a": "DT"}, "vocab": [],
    "weights": {"t-1=TO": {"VB": 1.0}, "b": {"NN": 0.5}}}"#;

fn said(text: &str) -> (String, Vec<usize>) {
    let dictionary = Dictionary::read(CHECKED.as_bytes(), b"{}").unwrap();
    let tagger: Tagger = serde_json::from_str(TAGGER).unwrap();
    let lexicon = |word: &str| (word == "Siobhan").then(|| "ʃəvˈɔn".to_owned());
    let guess = |word: &str| Ok(format!("<{word}>"));
    let pronouncer =
        Pronouncer { dictionary: &dictionary, tagger: &tagger, lexicon: &lexicon, guess: &guess };
    let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let phonemes = pronouncer.phonemes(&read(&words, Manner::of("en-US"), &|_| false)).unwrap();
    (phonemes.iter().map(|(c, _)| *c).collect(), phonemes.iter().map(|(_, word)| *word).collect())
}

#[test]
fn sentences_become_phonemes() {
    for (text, phonemes) in [
        ("Hello, world!", "həlˈO, wˈɜɹld!"),
        ("the end", "ði ˈɛnd"),
        ("the world", "ðə wˈɜɹld"),
        ("to live", "tə lˈɪv"),
        ("a live end", "ɐ lˈIv ˈɛnd"),
        ("Siobhan's sign-up", "ʃəvˈɔnz sˈInˌʌp"),
        ("PayPal", "pˌApˈæl"),
        ("USA", "jˌuˌɛsˈA"),
        ("Zoë and NGOZI", "zˈOi ænd <Ngozi>"),
        ("(hello) “world”", "(həlˈO) “wˈɜɹld”"),
        ("$5", "fˈIv dˈɑləɹz"),
        ("Adaeze's end", "<Adaeze>z ˈɛnd"),
    ] {
        assert_eq!(said(text).0, phonemes, "{text}");
    }
}

#[test]
fn every_phoneme_knows_its_word() {
    let (phonemes, words) = said("Hello $5, end");
    assert_eq!(phonemes, "həlˈO fˈIv dˈɑləɹz, ˈɛnd");
    let of = |word: usize| {
        phonemes.chars().zip(&words).filter(|(_, w)| **w == word).map(|(c, _)| c).collect::<String>()
    };
    assert_eq!((of(0).as_str(), of(1).as_str(), of(2).as_str()), ("həlˈO", " fˈIv dˈɑləɹz,", " ˈɛnd"));
}
