use super::*;

#[test]
fn plain_text_stays() {
    assert!(matches!(escape("a\tb é 漢"), Cow::Borrowed("a\tb é 漢")));
}

#[test]
fn control_characters_become_visible() {
    assert_eq!(escape("a\nb\r\u{1b}[31m\u{9b}x\u{7f}\0"), "a\\nb\\r\\u{1b}[31m\\u{9b}x\\u{7f}\\u{0}");
    assert_eq!(escape("gnp.\u{202e}cod"), "gnp.\\u{202e}cod");
}

#[test]
fn json_keeps_its_meaning() {
    let text = "a\u{85}b\u{2028}c\u{7f}d\u{202e}e\u{1b}f\n";
    let json = escape_json(serde_json::to_string(text).unwrap());
    assert!(json.is_ascii(), "{json}");
    assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
}

#[test]
fn shortening_keeps_characters_whole() {
    assert_eq!(shorten("abc", 3), "abc");
    assert_eq!(shorten("abcdef", 5), "ab…");
    assert_eq!(shorten("éééé", 6), "é…");
    assert_eq!(shorten("abc", 0), "…");
}
