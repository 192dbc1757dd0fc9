//! Single tricks and realistic examples. That the answers are makepkg's is tested
//! against makepkg itself, in `tests/pkgbuild_fast_path.rs`.

use std::fmt::Write as _;
use std::path::Path;

use rstest::rstest;

use super::{Disagreement, Facts, Reading, agrees, read, read_srcinfo};

/// A PKGBUILD with these lines between its first ones and its functions.
fn pkgbuild(lines: &str) -> String {
    format!(
        "pkgname=foo\n_v=1.2-rc3\n_a=(one two)\npkgver=1.0\npkgrel=1\narch=(x86_64)\n{lines}\n\
         build() {{\n  make\n}}\n\npackage() {{\n  make install\n}}\n"
    )
}

fn certain(text: &str) -> Result<Facts, String> {
    match read(text.as_bytes(), "x86_64") {
        Reading::Certain(certain) => Ok(certain.facts),
        Reading::Declined(declined) => Err(declined.reason.to_string()),
    }
}

/// Names, version, and dependencies, in one line.
fn summary(facts: &Facts) -> String {
    let names: Vec<&str> = facts.packages.iter().map(|package| package.name.as_str()).collect();
    let depends = facts.depends.join(" ");
    format!("{} {} [{depends}]", names.join("+"), facts.full_version())
}

#[rstest]
#[case::plain("", "foo 1.0-1 []")]
#[case::single_quotes("pkgver='2.0'", "foo 2.0-1 []")]
#[case::double_quotes("pkgver=\"2.0\" # comment", "foo 2.0-1 []")]
#[case::pieces("pkgver=2'.'\"1\"\\.0", "foo 2.1.0-1 []")]
#[case::epoch("epoch=3", "foo 3:1.0-1 []")]
#[case::epoch_of_zero("epoch=0", "foo 1.0-1 []")]
#[case::empty_epoch("epoch=", "foo 1.0-1 []")]
#[case::minor_release("pkgrel=1.1", "foo 1.0-1.1 []")]
#[case::set_twice("pkgver=3", "foo 3-1 []")]
#[case::appended("pkgver+=.5", "foo 1.0.5-1 []")]
#[case::another_variable("pkgver=${_v}", "declined")]
#[case::another_variable_replaced("pkgver=${_v//-/_}", "foo 1.2_rc3-1 []")]
#[case::first_replaced("pkgver=\"${_v/-/}\"", "foo 1.2rc3-1 []")]
#[case::suffix("pkgver=${_v%-*}", "foo 1.2-1 []")]
#[case::longest_suffix("pkgver=${_v%%.*}", "foo 1-1 []")]
#[case::prefix("pkgver=${_v#*.}", "declined")]
#[case::longest_prefix("pkgver=${_v##*-}", "foo rc3-1 []")]
#[case::upper_case("pkgver=${_v##*-}; pkgver=${pkgver^^}", "foo RC3-1 []")]
#[case::substring("pkgver=${_v:0:3}", "foo 1.2-1 []")]
#[case::default_unused("pkgver=${pkgver:-7}", "foo 1.0-1 []")]
#[case::element("pkgver=${_a[1]}", "foo two-1 []")]
#[case::order("_w=1; pkgver=$_w; _w=2", "foo 1-1 []")]
#[case::same_statement("_w=1 pkgver=$_w", "foo 1-1 []")]
#[case::array_over_lines("depends=(\n  a # (b\n\n  'c>=1' \"d\"\n)", "foo 1.0-1 [a c>=1 d]")]
#[case::array_appended("depends=(a)\ndepends+=(b c)", "foo 1.0-1 [a b c]")]
#[case::array_of_architecture("depends=(a)\ndepends_x86_64=(b)\ndepends_i686=(c)", "foo 1.0-1 [a b]")]
#[case::array_in_array("depends=(\"${_a[@]}\" three)", "foo 1.0-1 [one two three]")]
#[case::braces(
    "depends=(python-{build,wheel}{-a,})",
    "foo 1.0-1 [python-build-a python-build python-wheel-a python-wheel]"
)]
#[case::name_of_array("pkgname=(foo)\ndepends=($pkgname-data)", "foo 1.0-1 [foo-data]")]
#[case::irrelevant_command("_date=$(date +%s)\nsource=(\"$_date\")", "foo 1.0-1 []")]
#[case::irrelevant_condition("if [[ $CARCH == x86_64 ]]; then\n  source+=(x)\nfi", "foo 1.0-1 []")]
#[case::here_document_in_function("_f() {\n  cat <<EOF\npkgver=9\ndepends=(x)\nEOF\n}", "foo 1.0-1 []")]
#[case::quoted_here_document("_f() {\n  cat <<-'E O F'\n\t}\n\tpkgver=9\n\tE O F\n}", "foo 1.0-1 []")]
#[case::text_over_lines("pkgdesc='a\n # b'", "foo 1.0-1 []")]
#[case::comment("# pkgver=9 'unbalanced", "foo 1.0-1 []")]
#[case::commented_out("  #pkgver=9", "foo 1.0-1 []")]
#[case::hash_within_word("pkgdesc=a#b", "foo 1.0-1 []")]
#[case::not_ascii("pkgdesc='Größe: 1 µm' # ünï\ndepends=(a)", "foo 1.0-1 [a]")]
#[case::options("options=(!strip debug)", "foo 1.0-1 []")]
fn plain_assignments_are_worked_out(#[case] lines: &str, #[case] expected: &str) {
    let found = certain(&pkgbuild(lines));
    match expected {
        "declined" => assert!(found.is_err(), "{found:?}"),
        _ => assert_eq!(found.map(|facts| summary(&facts)), Ok(expected.to_owned())),
    }
}

#[rstest]
#[case::command("pkgver=$(echo 1)")]
#[case::backquotes("pkgver=`echo 1`")]
#[case::what_makepkg_evaluates("shellopts='pkgver=9'")]
#[case::arithmetic("pkgrel=$((1 + 1))")]
#[case::arithmetic_elsewhere("_x=$((pkgrel = 3))")]
#[case::ansi_quotes("pkgver=$'1\\x32'")]
#[case::translated_quotes("pkgver=$\"1\"")]
#[case::unset_variable("pkgver=$_unset")]
#[case::variable_set_later("pkgver=$_later\n_later=1")]
#[case::environment("depends=(\"foo-$CARCH\")")]
#[case::source_directory("pkgver=$srcdir")]
#[case::positional("pkgver=$1")]
#[case::random("pkgrel=$RANDOM")]
#[case::nested_expansion("pkgver=${_v%${_a}}")]
#[case::bracket_pattern("pkgver=${_v//[a-z]/}")]
#[case::match_in_replacement("pkgver=${_v/-/&}")]
#[case::assigning_expansion("_x=${pkgver:=9}")]
#[case::failing_expansion("_x=${_none:?}")]
#[case::indirect("_n=_v; pkgver=${!_n}")]
#[case::condition("if true; then pkgver=9; fi")]
#[case::and("[[ -n $_v ]] && pkgver=9")]
#[case::case("case $_v in *) pkgver=9 ;; esac")]
#[case::loop_variable("for pkgrel in 1 2; do :; done")]
#[case::group("{ pkgver=9; }")]
#[case::subshell("( pkgver=9 )")]
#[case::background("pkgver=9 &")]
#[case::source("source ./version")]
#[case::dot(". ./version")]
#[case::eval("eval 'pkgver=9'")]
#[case::declare("declare pkgver=9")]
#[case::export("export pkgver=9")]
#[case::readonly("readonly pkgver")]
#[case::reference("declare -n _r=pkgver; _r=9")]
#[case::printf("printf -v pkgver 9")]
#[case::read("read pkgver <<< 9")]
#[case::mapfile("mapfile depends < /dev/null")]
#[case::unset("unset pkgver")]
#[case::set("set -- 1")]
#[case::shopt("shopt -s extglob")]
#[case::field_separator("IFS=,")]
#[case::alias("alias x=y")]
#[case::trap("trap 'pkgver=9' DEBUG")]
#[case::exit("exit 0")]
#[case::return_("return 0")]
#[case::own_function_called("_f() { pkgver=9; }; _f")]
#[case::function_for_builtin("printf() { :; }")]
#[case::function_of_makepkg("lint_pkgver() { :; }")]
#[case::here_document_at_top_level("cat <<EOF\npkgver=9\nEOF")]
#[case::redirection("pkgver=9 > /dev/null")]
#[case::element_of_array("depends[0]=x")]
#[case::subscripts("depends=([1]=x)")]
#[case::string_to_array("pkgver=(1 2); pkgver=3")]
#[case::string_for_array("depends=x")]
#[case::glob("depends=(lib*)")]
#[case::tilde("depends=(~x)")]
#[case::brace_sequence("depends=(a{1..3})")]
#[case::nested_braces("depends=({a,{b,c}})")]
#[case::word_splitting("_l='a b'; depends=($_l)")]
#[case::empty_element("depends=('')")]
#[case::blank_in_element("depends=('a b')")]
#[case::hyphen_in_version("pkgver=1-2")]
#[case::colon_in_version("pkgver=1:2")]
#[case::slash_in_version("pkgver=1/2")]
#[case::empty_version("pkgver=")]
#[case::bad_release("pkgrel=1a")]
#[case::leading_zero("pkgrel=01")]
#[case::bad_epoch("epoch=x")]
#[case::bad_architecture("arch=(x86-64)")]
#[case::any_and_another("arch=(any x86_64)")]
#[case::architecture_string("arch=any")]
#[case::architecture_of_shell("CARCH=i686")]
#[case::architecture_specific_string("pkgver_x86_64=9")]
#[case::of_any_architecture("arch=(any); depends_x86_64=(x)")]
#[case::two_names("pkgname=(foo bar)")]
#[case::same_name_twice("pkgname=(foo foo)")]
#[case::unknown_option("options=(fast)")]
#[case::continued_word("pkgver=1\\\n.2")]
#[case::space_before_parenthesis("depends= (a)")]
#[case::pkgver_in_condition("if true; then pkgver() { echo 9; }; fi")]
#[case::package_function_twice("package() { :; }")]
#[case::carriage_return("pkgdesc=x\r")]
#[case::case_in_substitution("_x=$(case a in a) pkgver=9 ;; esac)")]
fn anything_else_is_declined(#[case] lines: &str) {
    let found = certain(&pkgbuild(lines));
    assert!(found.is_err(), "{found:?}");
}

#[rstest]
#[case("pkgver() { echo 9; }")]
#[case("pkgver () {\n  echo 9\n}")]
#[case("pkgver()\n{\n  echo 9\n}")]
#[case("function pkgver {\n  echo 9\n}")]
#[case("function pkgver() (\n  echo 9\n)")]
fn a_pkgver_function_is_found_however_it_is_spelled(#[case] lines: &str) {
    let Reading::Certain(certain) = read(pkgbuild(lines).as_bytes(), "x86_64") else {
        panic!("it is plain");
    };
    assert!(certain.has_pkgver_function);
}

/// Two packages; the lines are those of the second package's function.
fn split(lines: &str) -> String {
    format!(
        "pkgbase=base\npkgname=('a' \"b\")\npkgver=1\npkgrel=1\narch=(x86_64)\ndepends=(common)\n_x=own\n\
         package_a() {{\n  :\n}}\npackage_b() {{\n{lines}\n  make install\n}}\n"
    )
}

#[rstest]
#[case::none("", "x86_64 [common] []")]
#[case::replaced("  depends=(a \"c=$pkgver\")", "x86_64 [a c=1] []")]
#[case::appended("  depends+=(a)\n  provides=(\"$pkgname-x\" \"$pkgbase\")", "x86_64 [common a] [b-x base]")]
#[case::cleared("  depends=()", "x86_64 [] []")]
#[case::architecture("  arch=('any')", "any [common] []")]
#[case::own_variable("  depends=(\"$_x\")", "x86_64 [own] []")]
#[case::over_lines("  depends=(\n    a # one\n    b)", "x86_64 [a b] []")]
#[case::element_makepkg_ignores("  depends[0]=x", "x86_64 [common] []")]
#[case::argument("  make arch=y depends=z", "x86_64 [common] []")]
#[case::local_variable("  local depends=(z)", "x86_64 [common] []")]
fn package_functions_override(#[case] lines: &str, #[case] expected: &str) {
    let facts = certain(&split(lines)).expect("it is plain");
    let package = &facts.packages[1];
    let (arch, depends, provides) = (&package.arch, &package.depends, &package.provides);
    let found = format!("{} [{}] [{}]", arch.join(" "), depends.join(" "), provides.join(" "));
    assert_eq!(found, expected);
    assert_eq!(facts.pkgbase, "base");
    assert_eq!(facts.packages[0].depends, ["common"]);
}

#[rstest]
#[case::condition("  if true; then\n    arch=(any)\n  fi")]
#[case::line_end_in_quotes("  echo $'\\n arch=(any)\\n'")]
#[case::and("  true && arch=(any)")]
#[case::and_after("  arch=(any) && true")]
#[case::subshell("  (\n    arch=(any)\n  )")]
#[case::here_document("  cat <<EOF\n  depends=(x)\nEOF")]
#[case::text_over_lines("  echo '\n  depends=(x)'")]
#[case::background("  true & depends=(x)")]
#[case::local_variable("  local _d=x\n  depends=(\"$_d\")")]
#[case::command("  depends=($(echo x))")]
#[case::not_allowed("  makedepends=(x)")]
#[case::version("  pkgver=2")]
#[case::nested_function("  _f() { arch=(any); }")]
#[case::empty_architectures("  arch=()")]
#[case::variable_makepkg_uses("  depends=(\"$name\")")]
fn odd_package_functions_are_declined(#[case] lines: &str) {
    let found = certain(&split(lines));
    assert!(found.is_err(), "{found:?}");
}

#[test]
fn a_subshell_as_package_function_may_override_nothing() {
    let text = pkgbuild("").replace("package() {\n  make install\n}", "package() (\n  depends=(x)\n)");
    assert!(certain(&text).is_err());
    let text = pkgbuild("").replace("package() {\n  make install\n}", "package() (\n  make\n)");
    assert_eq!(certain(&text).map(|facts| summary(&facts)), Ok("foo 1.0-1 []".to_owned()));
}

#[test]
fn hints_and_identity_survive_a_doubt_about_dependencies() {
    let text = pkgbuild("depends=(a $(echo b) c)\nmakedepends=(d)");
    let Reading::Declined(declined) = read(text.as_bytes(), "x86_64") else {
        panic!("depends is not plain");
    };
    assert_eq!(declined.hints.depends, ["a", "c"]);
    assert_eq!(declined.hints.makedepends, ["d"]);
    assert_eq!(declined.hints.names, ["foo"]);
    assert_eq!(declined.has_pkgver_function, Some(false));
    let identity = declined.identity.expect("only dependencies are in doubt");
    assert_eq!(identity.version.to_string(), "1.0-1");
    assert_eq!(declined.reason.line, Some(7));
}

#[test]
fn nothing_is_certain_after_a_command() {
    let Reading::Declined(declined) = read(pkgbuild("source x").as_bytes(), "x86_64") else {
        panic!("source may do anything");
    };
    assert_eq!((declined.identity, declined.has_pkgver_function), (None, None));
    assert_eq!(declined.hints.pkgbase.as_deref(), Some("foo"));
}

const SRCINFO: &str = "pkgbase = foo\n\tpkgver = 1.0\n\tpkgrel = 1\n\tarch = x86_64\n\tdepends = a\n\
     \tdepends_x86_64 = b\n\npkgname = foo\n";

#[rstest]
#[case::same("depends=(a)\ndepends_x86_64=(b)", "")]
#[case::doubt_about_dependencies("depends=($(echo a))", "")]
#[case::other_version("pkgver=2", "version")]
#[case::other_dependencies("depends=(c)", "depends")]
#[case::other_epoch("epoch=1", "version")]
#[case::other_architectures("arch+=(i686)\ndepends=(a)\ndepends_x86_64=(b)", "arch")]
#[case::doubt_about_version("pkgver=$(echo 1.0)", "doubt")]
#[case::command("source x", "doubt")]
#[case::function("pkgver() { echo 1.0; }", "function")]
#[case::function_and_doubt("pkgver() { echo 1.0; }\ndepends=($(echo a))", "function")]
fn srcinfo_counts_only_if_it_agrees(#[case] lines: &str, #[case] expected: &str) {
    let srcinfo = read_srcinfo(SRCINFO.as_bytes(), "x86_64").expect("it is valid");
    assert_eq!(srcinfo.depends, ["a", "b"]);
    assert_eq!(srcinfo.packages[0].depends, ["a", "b"]);
    let found = match agrees(&srcinfo, &read(pkgbuild(lines).as_bytes(), "x86_64")) {
        Ok(()) => "",
        Err(Disagreement::Differs { what, .. }) => what,
        Err(Disagreement::InDoubt(_)) => "doubt",
        Err(Disagreement::PkgverFunction) => "function",
    };
    assert_eq!(found, expected);
}

#[rstest]
#[case::empty("")]
#[case::no_version("pkgbase = foo\n\tpkgrel = 1\n\tarch = any\n\npkgname = foo\n")]
#[case::leading_zero("pkgbase = foo\n\tpkgver = 1\n\tpkgrel = 01\n\tarch = any\n\npkgname = foo\n")]
#[case::no_packages_key("pkgbase = foo\n\tversion = 1\n")]
fn bad_srcinfo_is_refused(#[case] text: &str) {
    assert!(read_srcinfo(text.as_bytes(), "x86_64").is_err());
}

/// Every `<name>.PKGBUILD` of the folder against its `<name>.expected`.
#[test]
fn realistic_examples_are_read_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pkgbuilds");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("the examples are there") {
        let path = entry.expect("a file").path();
        if path.extension().is_none_or(|extension| extension != "PKGBUILD") {
            continue;
        }
        seen += 1;
        let text = std::fs::read(&path).expect("an example");
        let found = describe(&read(&text, "x86_64"));
        let wanted = path.with_extension("expected");
        if std::env::var_os("VIETER_TEST_ACCEPT").is_some() {
            std::fs::write(&wanted, &found).expect("the folder can be written to");
        }
        let wanted = std::fs::read_to_string(&wanted).expect("what is expected of it");
        assert_eq!(found, wanted, "{}", path.display());
    }
    assert!(seen >= 12, "{seen} examples");
}

fn describe(reading: &Reading) -> String {
    let Reading::Certain(certain) = reading else {
        let Reading::Declined(declined) = reading else {
            unreachable!("there are two answers");
        };
        let known = declined.identity.as_ref().map(|identity| identity.version.to_string());
        let function = declined.has_pkgver_function;
        let hints = declined.hints.names.join(" ");
        return format!(
            "declined: {}\nversion: {known:?}\npkgver(): {function:?}\nnames: {hints}\n",
            declined.reason
        );
    };
    let facts = &certain.facts;
    let mut text = format!("certain: {} {}\n", facts.pkgbase, facts.full_version());
    let mut line = |key: &str, values: &[String]| {
        writeln!(text, "{key}: {}", values.join(" ")).expect("a string takes anything");
    };
    line("pkgver()", &[certain.has_pkgver_function.to_string()]);
    line("arch", &facts.arch);
    line("depends", &facts.depends);
    line("makedepends", &facts.makedepends);
    line("checkdepends", &facts.checkdepends);
    line("provides", &facts.provides);
    line("options", &facts.options);
    for package in &facts.packages {
        line(&format!("{} arch", package.name), &package.arch);
        line(&format!("{} depends", package.name), &package.depends);
        line(&format!("{} provides", package.name), &package.provides);
    }
    text
}
