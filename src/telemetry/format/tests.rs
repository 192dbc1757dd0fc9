use serde_json::json;

use super::*;

fn line(message: &str) -> Line {
    Line {
        time: "2026-11-22T03:04:05.678901Z".parse().unwrap(),
        level: Level::INFO,
        message: message.into(),
        target: None,
        output: false,
        worded: false,
        place: Place::default(),
        fields: Map::new(),
    }
}

fn placed(message: &str) -> Line {
    let some = |text: &str| Some(text.to_owned());
    Line {
        place: Place {
            entry: some("https://example.org/foo.git"),
            repo: some("extra"),
            pkgbase: some("foo"),
            step: some("make"),
            trace_id: some("0af7651916cd43dd8448eb211c80319c"),
            span_id: some("b7ad6b7169203331"),
        },
        ..line(message)
    }
}

#[test]
fn json_lines_have_what_is_promised_in_this_order() {
    let mut line = placed("hello");
    line.fields.insert("number".into(), 3.into());
    assert_eq!(
        json(&line, "run-1"),
        concat!(
            r#"{"timestamp":"2026-11-22T03:04:05.678Z","level":"info","message":"hello","run_id":"run-1","#,
            r#""trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","#,
            r#""repo":"extra","pkgbase":"foo","step":"make","number":3}"#,
            "\n"
        )
    );
}

#[test]
fn json_lines_name_the_entry_while_its_package_base_is_unknown() {
    let mut line = placed("hello");
    line.place.pkgbase = None;
    let value: Value = serde_json::from_str(&json(&line, "run-1")).unwrap();
    assert_eq!(value["entry"], "https://example.org/foo.git");
    assert_eq!(value.get("pkgbase"), None);
}

#[test]
fn fields_of_an_event_win_but_not_over_the_line_itself() {
    let mut line = placed("hello");
    line.fields.insert("step".into(), "publish".into());
    line.fields.insert("level".into(), "42".into());
    line.fields.insert("run_id".into(), "forged".into());
    let value: Value = serde_json::from_str(&json(&line, "run-1")).unwrap();
    assert_eq!(value["step"], "publish");
    assert_eq!((&value["level"], &value["level_"]), (&json!("info"), &json!("42")));
    assert_eq!((&value["run_id"], &value["run_id_"]), (&json!("run-1"), &json!("forged")));
}

#[test]
fn hostile_text_stays_in_its_line() {
    let hostile = "a\n{\"level\":\"error\"}\r\u{1b}[2J\u{85}\u{2028}\u{9b}\u{202e}b";
    let mut line = placed(hostile);
    line.place.pkgbase = Some(hostile.into());
    line.place.step = None;
    line.fields.insert("name".into(), hostile.into());
    let written = json(&line, "run-1");
    assert_eq!(written.matches(|c: char| c.is_control() || c == '\u{2028}').count(), 1);
    let value: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(value["message"], hostile);
    assert_eq!(value["pkgbase"], hostile);
    line.output = true;
    for written in [text(&line, false, &TimeZone::UTC), text(&placed(hostile), false, &TimeZone::UTC)] {
        let unsafe_characters = written.matches(super::super::escape::is_unsafe).count();
        assert_eq!(unsafe_characters, 1, "{written:?}");
    }
}

#[test]
fn text_lines_are_for_people() {
    let mut line = placed("took 12s");
    line.fields.insert("ok".into(), true.into());
    line.fields.insert("reason".into(), "it is \"new\"".into());
    line.fields.insert("empty".into(), "".into());
    line.fields.insert("took".into(), "12s".into());
    assert_eq!(
        text(&line, false, &TimeZone::UTC),
        "03:04:05 INFO  took 12s  pkgbase=foo step=make ok=true reason=\"it is \\\"new\\\"\"\n"
    );
}

#[test]
fn people_are_not_told_twice() {
    let mut line = Line { worded: true, ..line("foo: failed in step make: no disk") };
    line.fields.insert("exit_code".into(), 4.into());
    line.fields.insert("hint".into(), "Buy one.".into());
    assert_eq!(
        text(&line, false, &TimeZone::UTC),
        "03:04:05 INFO  foo: failed in step make: no disk  hint=\"Buy one.\"\n"
    );
    assert!(json(&line, "run-1").contains("\"exit_code\":4"));
}

#[test]
fn text_lines_of_output_begin_with_their_place() {
    let line = Line { output: true, ..placed("gcc -c hello.c") };
    assert_eq!(text(&line, false, &TimeZone::UTC), "03:04:05 INFO  foo make | gcc -c hello.c\n");
}

#[test]
fn output_of_stage_1_says_so() {
    let line = Line { output: true, ..line("upgrading glibc") };
    assert_eq!(text(&line, false, &TimeZone::UTC), "03:04:05 INFO  image | upgrading glibc\n");
}

#[test]
fn colours_only_where_they_are_wanted() {
    assert!(text(&line("x"), true, &TimeZone::UTC).contains("\x1b["));
    assert!(!text(&line("x"), false, &TimeZone::UTC).contains('\x1b'));
    let choose = Format::choose;
    assert_eq!(choose(LogFormat::Auto, false, false), Format::Json);
    assert_eq!(choose(LogFormat::Json, true, false), Format::Json);
    assert_eq!(choose(LogFormat::Auto, true, false), Format::Text { colours: true });
    assert_eq!(choose(LogFormat::Auto, true, true), Format::Text { colours: false });
    assert_eq!(choose(LogFormat::Text, false, false), Format::Text { colours: false });
}
