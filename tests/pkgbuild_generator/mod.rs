//! Makes up PKGBUILDs: plain ones, and ones with every trick that might mislead a reader that does
//! not run them. For property tests; a text may well be one that makepkg refuses.

mod tricks;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use tricks::{DEPENDENCIES, ODDITIES, OPERATIONS, OWN_NAMES, OWN_VALUES, VERSIONS, WRAPPERS};

fn own_name() -> impl Strategy<Value = String> {
    select(OWN_NAMES).prop_map(str::to_owned)
}

/// A string as a word, quoted in one of the ways there are.
fn quoted(text: String) -> impl Strategy<Value = String> {
    (0..7_u8).prop_map(move |way| {
        let bare = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b));
        match way {
            0 | 1 if bare && !text.is_empty() => text.clone(),
            2 => format!("\"{text}\""),
            3 if bare && !text.is_empty() => {
                let (first, rest) = text.split_at(1);
                let escape = if first.starts_with(|c: char| c.is_ascii_alphanumeric()) { "\\" } else { "" };
                format!("{escape}{first}{rest}")
            }
            4 if text.len() > 1 && bare => format!("'{}'\"{}\"", &text[..1], &text[1..]),
            _ => format!("'{text}'"),
        }
    })
}

/// An expansion of a variable, certain or not.
fn expansion() -> impl Strategy<Value = String> {
    let names = prop_oneof![
        3 => own_name(),
        2 => select(vec!["pkgver", "pkgname", "pkgrel", "pkgbase", "_list", "_unset", "epoch"])
            .prop_map(str::to_owned),
    ];
    (names, select(OPERATIONS), 0..4_u8).prop_map(|(name, operation, way)| match way {
        0 if operation.is_empty() => format!("${name}"),
        0 => format!("${{{name}{operation}}}"),
        1 if operation.is_empty() => format!("\"${name}\""),
        _ => format!("\"${{{name}{operation}}}\""),
    })
}

/// A word nobody should take for what it says.
fn tricky_word() -> impl Strategy<Value = String> {
    select(vec![
        "$(echo 1)",
        "\"$(echo 2)\"",
        "`echo 3`",
        "$((1 + 1))",
        "$'1\\x32'",
        "{1,2}",
        "~",
        "1*",
        "[a-z]",
        "\"1\\2\"",
        "1\\ 2",
        "$CARCH",
        "$srcdir",
        "$RANDOM",
        "$1",
        "$$",
        "${_list[1]}",
        "${_list[@]}",
        "${#_list[@]}",
        "${!_ver}",
        "${_ver:=3}",
        "${_new:=4}",
        "\"a\nb\"",
        "1\\\n2",
        "$\"1\"",
        "\"$\"",
        "a#b",
        "1=2",
        "!x",
        "1\"2\"'3'\\4",
        "${_ver}${_name}",
        "${_list}",
        "\"${_list[*]}\"",
        "x~y",
        "é",
        "${_ver-7}",
        "$(case x in x) echo 8;; esac)",
        "$(echo a # )\n)",
        "%1",
        "^1",
        "a{b",
        "{1..3}",
    ])
    .prop_map(str::to_owned)
}

/// The right side of an assignment to a string.
fn value(texts: &'static [&'static str], tricky: bool) -> BoxedStrategy<String> {
    let plain = select(texts).prop_flat_map(|text| quoted(text.to_owned())).boxed();
    let parts = prop_oneof![2 => expansion().boxed(), 1 => plain.clone()];
    let joined = vec(parts, 1..3).prop_map(|parts| parts.concat()).boxed();
    if tricky {
        prop_oneof![2 => tricky_word().boxed(), 3 => joined, 1 => plain].boxed()
    } else {
        prop_oneof![5 => plain, 2 => safe_expansion()].boxed()
    }
}

/// An expansion that follows from literals, if the variable has a value by then.
fn safe_expansion() -> BoxedStrategy<String> {
    let operations = select(vec!["", "", "//-/_", "%.*", "##*-", "#v", "//./_", ":0:2", "^^"]);
    let names = select(vec!["_ver", "_pkgver", "_first"]);
    (names, operations).prop_map(|(name, operation)| format!("\"${{{name}{operation}}}\"")).boxed()
}

/// An array in parentheses.
fn array(tricky: bool) -> BoxedStrategy<String> {
    let plain = select(DEPENDENCIES).prop_flat_map(|text| quoted(text.to_owned()));
    let plain = prop_oneof![
        8 => plain.boxed(),
        1 => select(vec![
            "python-{build,wheel}", "{a,b}-{c,d}", "lib{x,y}=1", "\"${_names[@]}\"", "${_names[@]}",
            "\"$_first\"", "\"foo=$pkgver\"", "\"bar>=${_ver%%[!0-9]*}\"", "$_first",
        ])
        .prop_map(str::to_owned)
        .boxed(),
    ];
    let odd = prop_oneof![
        tricky_word().boxed(),
        expansion().boxed(),
        select(vec![
            "[3]=x",
            "{a,b",
            "{a,{b,c}}",
            "x{,y}",
            "'a b'",
            "\"\"",
            "''",
            "x{a}",
            "lib*",
            "\"a\"{b,c}",
            "{1..3}",
            "\"${_list[@]/%/-x}\"",
            "${_list[@]}",
            "'#'",
            "a#b",
            "!x",
            "$_list",
            "a{b,c}d{e,f}",
            "{a,b}$_x",
            "'{a,b}'",
            "a\\{b,c}",
            "=x",
            "x=~",
            "'a'{b,'c'}",
        ])
        .prop_map(str::to_owned)
        .boxed(),
    ];
    let element = if tricky { prop_oneof![2 => plain, 1 => odd].boxed() } else { plain.boxed() };
    let between = select(vec![
        " ",
        " ",
        " ",
        "\n  ",
        "\n",
        "\t",
        "  # it's \"one\"\n  ",
        " \\\n  ",
        "\n\n",
        "\n  # a) b (\n",
    ]);
    let elements = vec((element, between), 0..5);
    (elements, select(vec!["", "", " ", "\n  ", " # (\n"]))
        .prop_map(|(elements, start)| {
            let inner: String = elements.into_iter().flat_map(|(e, b)| [e, b.to_owned()]).collect();
            format!("({start}{inner})")
        })
        .boxed()
}

/// The names of the arrays that matter.
fn array_name() -> impl Strategy<Value = &'static str> {
    select(vec![
        "depends",
        "makedepends",
        "checkdepends",
        "provides",
        "depends_x86_64",
        "makedepends_x86_64",
        "provides_x86_64",
        "depends_aarch64",
        "source",
        "license",
        "options",
    ])
}

/// A statement that leaves everything certain.
fn plain_statement() -> BoxedStrategy<String> {
    prop_oneof![
        3 => (array_name(), prop::bool::ANY, array(false)).prop_filter_map("options", |(name, append, array)| {
            if name == "options" || name == "license" {
                return Some(format!("{name}=('!strip')").replace("license=('!strip')", "license=(MIT)"));
            }
            Some(format!("{name}{}={array}", if append { "+" } else { "" }))
        }),
        2 => (own_name(), value(OWN_VALUES, false)).prop_map(|(name, value)| format!("{name}={value}")),
        1 => select(vec![
            "# a comment with 'quotes\" and $( and `", "", "   # pkgver=9", "pkgdesc='A thing; it is (one)'",
            "url=\"https://example.org/$_first\"", "_list=(a b c)", "license=('MIT')", "_x=1 _y=2; _z=3",
            "\tpkgdesc=\"Indented\"", "_names+=(more)", "options=(!lto debug)", "install=",
            "_commit=$(echo abc)", "_commit=\"`echo x`\"", "_long=one\\\ntwo", "groups=()",
            "source=('a::https://example.org/a.tar.gz' \"b-${_ver}.patch\")",
        ])
        .prop_map(str::to_owned),
    ]
    .boxed()
}

/// A statement that may mislead.
fn tricky_statement() -> BoxedStrategy<String> {
    let core =
        select(vec!["pkgver", "pkgrel", "epoch", "pkgname", "pkgbase", "arch", "_ver", "_pkgver", "_name"]);
    let assigned = (core.clone(), value(VERSIONS, true)).prop_map(|(name, value)| format!("{name}={value}"));
    let appended = (core.clone(), value(VERSIONS, true)).prop_map(|(name, value)| format!("{name}+={value}"));
    let several = (core.clone(), array(true)).prop_map(|(name, array)| format!("{name}={array}"));
    let arrays = (array_name(), prop::bool::ANY, array(true))
        .prop_map(|(name, append, array)| format!("{name}{}={array}", if append { "+" } else { "" }));
    let wrapped = (select(WRAPPERS), core, value(VERSIONS, false))
        .prop_map(|(wrapper, name, value)| wrapper.replace('@', &format!("{name}={value}")));
    prop_oneof![
        3 => assigned.boxed(),
        1 => appended.boxed(),
        1 => several.boxed(),
        3 => arrays.boxed(),
        4 => wrapped.boxed(),
        3 => select(ODDITIES).prop_map(str::to_owned).boxed(),
    ]
    .boxed()
}

/// What may stand in a package function.
fn in_package(tricky: bool) -> BoxedStrategy<String> {
    let plain = prop_oneof![
        3 => (select(vec!["depends", "provides", "depends_x86_64", "provides_x86_64"]), prop::bool::ANY, array(false))
            .prop_map(|(name, append, array)| format!("{name}{}={array}", if append { "+" } else { "" })),
        1 => select(vec!["arch=(any)", "arch=('x86_64')", "depends=()", "pkgdesc=\"$pkgname of $pkgbase\"", "options=(!strip)"])
            .prop_map(str::to_owned),
        4 => select(vec!["make install", "cd \"$srcdir/$pkgname-$pkgver\"", "install -Dm644 a \"$pkgdir/b\"", "local _l=1",
            "provides=(\"$pkgname-x=$pkgver\")", "make ARCH=x arch=y install", "echo 'pkgver=9'", "for i in a b; do\n    echo $i\n  done",
            "cat > x <<EOF\n[a]\nb=c\nEOF", "cat <<-END\n\tx\n\tEND", "# depends on nothing", "depends+=(\"$pkgbase\")",
            "depends=(\"${depends[@]}\" extra)"])
            .prop_map(str::to_owned),
    ];
    let odd = prop_oneof![
        2 => (array_name().prop_filter("makepkg refuses", |name| *name != "license"), array(true))
            .prop_map(|(name, array)| format!("{name}={array}")).boxed(),
        3 => select(vec!["if true; then\n    depends+=(x)\n  fi", "[[ -n $_x ]] && depends+=(y)", "local depends=(z)", "export arch=(any)",
            "cat <<EOF\n  depends=(w)\nEOF", "cat <<EOF\ndepends=(w)\nEOF", "echo \"\n  depends=(v)\n\"", "depends=(a) provides=(b)", "_d=x\n  depends=(\"$_d\")",
            "local _d=x\n  depends=(\"$_d\")", "pkgver=9", "makedepends=(q)", "depends='x'", "arch='any'", "arch=(any) && true", "true && arch=(any)",
            "( arch=(any) )", "{ arch=(any); }", "(\n  arch=(any)\n  true\n  )", "eval 'arch=(any)'", "arch+=(any)", "arch=()", "depends[0]=x", "unset depends",
            "# depends=(u)", "true # ; depends=(t)", "make \\\n  depends=x", "depends=(\n    a # b\n    c\n  )", "depends=($(echo a))", "depends=(\"$name\")",
            "provides=(\"$_list\")", "depends+=(\"${_names[@]}\")", "case x in x) arch=(any) ;; esac", "for arch in a b; do :; done", "depends=(a); true",
            "true; depends=(a)", "depends=('a'\n'b')", "depends=(\"a\nb\")", "_q() { arch=(any); }", "depends=({a,b}-c)", "source=(x)", "depends_aarch64=(x)",
            "depends_any=(x)", "depends=(a)&", "provides=(\"$url\")", "depends=(\"$arch\")", "depends=(\"$1\")", "depends=(\"$pkgname-$pkgrel\")"])
            .prop_map(str::to_owned).boxed(),
    ];
    if tricky { prop_oneof![1 => plain, 1 => odd].boxed() } else { plain.boxed() }
}

/// The functions of some packages.
fn functions(names: Vec<String>, tricky: bool) -> BoxedStrategy<String> {
    let bodies = vec((vec(in_package(tricky), 0..4), 0..12_u8), names.len());
    let single = names.len() == 1;
    (bodies, option::weighted(0.5, Just("build() {\n  cd \"$srcdir\"\n  make\n}\n")), 0..10_u8)
        .prop_map(move |(bodies, build, way)| {
            let mut text = build.unwrap_or_default().to_owned();
            for (name, (statements, shape)) in names.iter().zip(bodies) {
                let body = format!("  {}\n", statements.join("\n  "));
                let function =
                    if single && way > 1 { "package".to_owned() } else { format!("package_{name}") };
                let function = match shape {
                    0 => format!("\nfunction {function} {{\n{body}  true\n}}\n"),
                    1 => format!("\n{function} ()\n{{\n{body}  true\n}}\n"),
                    2 if tricky => format!("\n{function}() (\n{body}  true\n)\n"),
                    _ => format!("\n{function}() {{\n{body}  true\n}}\n"),
                };
                text.push_str(&function);
            }
            text
        })
        .boxed()
}

/// A whole PKGBUILD, with the tricks or without any.
fn with_tricks(tricky: bool) -> impl Strategy<Value = String> {
    let names =
        select(vec![vec!["foo"], vec!["foo"], vec!["foo"], vec!["bar", "bar-docs"], vec!["a1", "b2", "c3"]]);
    let statements = vec(plain_statement(), 0..7);
    let odd_ones = vec((tricky_statement(), any::<prop::sample::Index>()), if tricky { 1..4 } else { 0..1 });
    let version = (
        value(VERSIONS, false),
        select(vec!["1", "2", "1.1", "'3'", "\"10\""]),
        option::weighted(0.3, 0..3_u8),
    );
    (names, statements, odd_ones, version, prop::bool::ANY).prop_flat_map(
        move |(names, statements, odd_ones, (pkgver, pkgrel, epoch), based)| {
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            let mut lines = vec!["# Maintainer: Somebody <somebody@example.org>".to_owned()];
            lines.extend(
                ["_ver=1.2.3", "_pkgver='4.5-rc6'", "_first=\"foo\"", "_names=(one 'two')"]
                    .map(str::to_owned),
            );
            if based {
                lines.push("pkgbase=base".to_owned());
            }
            lines.push(match names.as_slice() {
                [one] => format!("pkgname={one}"),
                several => format!("pkgname=('{}')", several.join("' '")),
            });
            lines.extend([format!("pkgver={pkgver}"), format!("pkgrel={pkgrel}")]);
            lines.extend(epoch.map(|epoch| format!("epoch={epoch}")));
            lines.push("arch=('x86_64' 'aarch64')".to_owned());
            lines.extend(statements);
            for (trick, at) in odd_ones {
                let at = at.index(lines.len() + 1);
                lines.insert(at, trick);
            }
            let head = lines.join("\n");
            functions(names, tricky).prop_map(move |functions| format!("{head}\n\n{functions}"))
        },
    )
}

/// A PKGBUILD: two of five have no tricks.
pub fn pkgbuild() -> impl Strategy<Value = String> {
    prop_oneof![2 => with_tricks(false).boxed(), 3 => with_tricks(true).boxed()]
}
