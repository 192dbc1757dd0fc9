//! Input that is made to exhaust the stack, the memory or the clock.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use rstest::rstest;

use super::{Reading, read, read_srcinfo};

/// `open`, so many times, then `inner`, then `close` as often.
fn nested(open: &str, inner: &str, close: &str, times: usize) -> String {
    format!("{}{inner}{}", open.repeat(times), close.repeat(times))
}

#[rstest]
#[case::parentheses("(", "a", ")")]
#[case::open_parentheses("(", "a", "")]
#[case::spaced_parentheses("( ", "a", " )")]
#[case::braces("{ ", "a;", " };")]
#[case::conditions("if ", "a;", " then b; fi;")]
#[case::cases("case x in a) ", "b;", " esac;")]
#[case::closed_cases("case x in a) ", "b", ";; esac")]
#[case::loops("while ", "a;", " do b; done;")]
#[case::for_loops("for x in y; do ", "a;", " done;")]
#[case::arithmetic_loops("for ((;;)) { ", "a;", " };")]
#[case::functions("f() { ", "a;", " };")]
#[case::keyword_functions("function f { ", "a;", " };")]
#[case::keyword_functions_open("function f() { ", "a;", "")]
#[case::coprocesses("coproc ", "a", "")]
#[case::timed("time ", "a", "")]
#[case::timed_posix("time -p { ", "a;", " };")]
#[case::negations("! ", "a", "")]
#[case::test_negations("[[ a && ", "! b", "")]
#[case::negated_tests("[[ ! ", "a", "")]
#[case::tests("[[ ( ", "a", " ) ]]")]
#[case::or("a || ", "b", "")]
#[case::or_in_test("a || ", "[[ b", " || c")]
#[case::substitutions("x=$(", "a", ")")]
#[case::quoted_substitutions("x=\"$(", "a", ")\"")]
#[case::parameters("x=${a:-", "b", "}")]
#[case::quoted_parameters("x=\"${a:-", "b", "}\"")]
#[case::arithmetic("x=$((", "1", "))")]
#[case::old_arithmetic("x=$[", "1", "]")]
#[case::subscripts("x[", "1", "]=2")]
#[case::subscript_substitutions("x[\"$(", "a", ")\"]=2")]
#[case::process_substitutions("a <(", "b", ")")]
#[case::array_subscripts("x[\"${y[", "1", "]}\"]=(a)")]
#[case::here_documents("cat <<E ", "x", "\nE")]
#[case::words_after_here_document("cat <<E\nE\n", "x", " y")]
#[case::arrays("x=(", "a", ")")]
#[case::words("x=(", "a", " b")]
#[case::quotes("'", "x", "\"")]
#[case::backquotes("`\\", "x", "`")]
#[case::patterns("x=", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\ny=${x//*a*a*a*a*b/}")]
#[case::doubling("x=ab\n", "", "x=$x$x\n")]
#[case::array_doubling("x=(a)\n", "", "x+=(\"${x[@]}\" \"${x[@]}\")\n")]
#[case::backslashes("x=\\", "", "\\")]
#[case::descriptors("9", "", "0>x")]
#[case::assignments("x=1 ", "", "y=2 ")]
#[case::else_ifs("", "if a; then b; ", "elif c; then d; ")]
fn hostile_input_costs_little(#[case] open: &str, #[case] inner: &str, #[case] close: &str) {
    for times in [3, 12, 40, 400, 5000, 60_000] {
        let text = nested(open, inner, close, times);
        if text.len() > 300_000 {
            continue;
        }
        for text in [text.clone(), format!("f() {{ {text}\n}}\n"), format!("f() {{ x=\"\n{text}\"\n}}")] {
            let started = Instant::now();
            let reading = read(text.as_bytes(), "x86_64");
            assert!(matches!(reading, Reading::Declined(_)));
            let spent = started.elapsed();
            assert!(spent < Duration::from_secs(20), "{times} times: {spent:?}");
        }
    }
}

proptest! {
    /// Whatever comes, there is an answer.
    #[test]
    fn there_is_always_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes, "x86_64");
        let _ = read_srcinfo(&bytes, "x86_64");
    }

    /// Also for what looks like a script.
    #[test]
    fn there_is_always_an_answer_to_scripts(pieces in prop::collection::vec(prop::sample::select(vec![
        "pkgver", "=", "+=", "(", ")", "{", "}", "\n", ";", ";;", "&", "&&", "|", "if ", "then ", "fi ", "case ", "esac",
        " in ", "for ", "do ", "done ", "$", "${", "$(", "$((", "`", "'", "\"", "\\", "<<E\n", "\nE\n", "<<<", "<", ">",
        "#", " ", "[", "]", "[[", "]]", "!", "*", "~", "é", "\t", "function ", "() {\n", "\n}\n", "arch", "9999999999",
        "@", "%", "/", "//", "coproc ", "time ", "-p ", "select ", "while ", "E", "0", "x", ",", "..", ":", "-",
    ]), 0..60)) {
        let _ = read(pieces.concat().as_bytes(), "x86_64");
    }
}
