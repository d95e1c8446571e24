//! `docs/diagnostics.md` and `docs/site-file.md` say what the code says. `UPDATE_EXPECT=1` writes their tables anew.

use site::syntax::{SECTIONS, words_for};
use std::{fmt::Write as _, fs};

/// Replaces what stands between the two marks of a document.
fn hold(name: &str, made: &str) {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).expect("document");
    let (begin, end) = ("<!-- made: begin -->\n", "<!-- made: end -->");
    let (head, rest) = text.split_once(begin).expect("begin mark");
    let (inside, tail) = rest.split_once(end).expect("end mark");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, format!("{head}{begin}{made}{end}{tail}")).expect("write");
    } else {
        assert_eq!(inside, made, "{name} is stale: UPDATE_EXPECT=1 cargo test -p site --test documents");
    }
}

#[test]
fn the_table_of_diagnostics_is_complete() {
    let mut out = String::from("| code | meaning |\n|---|---|\n");
    for (code, what) in site::code::TABLE {
        let _ = writeln!(out, "| `{code}` | {what} |");
    }
    hold("diagnostics.md", &out);
}

#[test]
fn every_key_is_documented() {
    let mut out = String::new();
    for s in SECTIONS {
        let _ = write!(out, "### {}\n\n{}\n\n| key | type | default | meaning | example |\n|---|---|---|---|---|\n", s.title, s.what);
        for k in s.keys {
            let default = if k.required { "**required**" } else { k.default };
            let _ =
                writeln!(out, "| `{}` | {} | {default} | {} | `{}` |", k.name, words_for(&k.kind), k.what, k.example.replace('|', "\\|"));
        }
        out.push('\n');
    }
    hold("site-file.md", &out);
}

#[test]
fn every_example_in_the_table_is_toml() {
    for s in SECTIONS {
        for k in s.keys {
            assert!(k.example.parse::<toml_edit::DocumentMut>().is_ok(), "{}.{}: {}", s.title, k.name, k.example);
        }
    }
}

#[test]
fn the_site_files_of_the_documentation_are_valid() {
    let path = format!("{}/../../docs/site-file.md", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).expect("document");
    let blocks: Vec<&str> = text.split("```toml\n").skip(1).filter_map(|b| b.split_once("```").map(|(b, _)| b)).collect();
    let (smallest, own) = (blocks[0], blocks[1]);
    for text in [smallest.to_owned(), format!("{smallest}\n{own}")] {
        let source = words::SourceFile::new("site.toml", text);
        let out = site::read(&source, "2026-11-22");
        assert!(out.is_good(), "{}", out.render(&source));
    }
}
