//! Loading: in comes the text of one entry, out comes a checked [`Service`], or why not, with the place in the text.
//!
//! Total: no text makes it panic. The same path serves the compiled-in data and the operator's own services in the site
//! file. Never: reads files, looks at other entries (references between entries are checked by [`crate::check`]).

use crate::{Service, check};
use serde::Deserialize;
use std::ops::Range;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use words::ServiceName;

/// Why a text is no catalogue entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("service `{service}`: {message}")]
pub struct CatalogError {
    /// Entry in question.
    pub service: String,
    /// What is wrong, in one line.
    pub message: String,
    /// Bytes of the text it is about, where that is known.
    pub span: Option<Range<usize>>,
}

/// Reads one entry. `name` is the key it stands under; a `name` inside the text must agree and may be left out.
pub fn parse(name: &str, text: &str) -> Result<Service, CatalogError> {
    let fail = |e: toml::de::Error| CatalogError { service: name.to_owned(), message: one_line(e.message()), span: e.span() };
    from_table(name, DeTable::parse(text).map_err(fail)?)
}

/// Reads one entry from a table of a larger document, such as `[services.mine]` of the site file. Spans are those of
/// the larger document.
pub fn from_table(name: &str, mut table: Spanned<DeTable<'_>>) -> Result<Service, CatalogError> {
    let whole = table.span();
    let fail = |message: String, span: Option<Range<usize>>| CatalogError { service: name.to_owned(), message, span };
    let checked = ServiceName::new(name).map_err(|e| fail(e.to_string(), Some(whole.clone())))?;
    match table.get_ref().get("name").map(|v| (v.get_ref().as_str().map(str::to_owned), v.span())) {
        Some((Some(inner), span)) if inner != name => {
            return Err(fail(format!("is called `{inner}` inside; the two names must agree"), Some(span)));
        }
        Some(_) => {}
        None => {
            let key = Spanned::new(whole.clone(), "name".into());
            table.get_mut().insert(key, Spanned::new(whole.clone(), DeValue::String(checked.to_string().into())));
        }
    }
    let spans = table.clone();
    let service = Service::deserialize(toml::de::Deserializer::from(table)).map_err(|e| fail(one_line(e.message()), e.span()))?;
    match check::entry(&service).into_iter().next() {
        None => Ok(service),
        Some(problem) => {
            let span = problem.place.as_ref().and_then(|(list, i)| nth(&spans, list, *i)).unwrap_or(whole);
            Err(fail(problem.message, Some(span)))
        }
    }
}

fn nth(table: &Spanned<DeTable<'_>>, list: &str, i: usize) -> Option<Range<usize>> {
    Some(table.get_ref().get(list)?.get_ref().as_array()?.get(i)?.span())
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWN: &str = r#"
title = "Our deal bot"
role = "other"
[[endpoint]]
name = "web"
proto = ["tcp"]
port = 8088
bind = "any"
app = "http"
auth = "password"
class = "admin"
intended = "operator"
"#;

    #[test]
    fn an_operators_own_service_needs_neither_name_nor_source() {
        let s = parse("dealbot", OWN).expect("own service");
        assert_eq!(s.name.as_str(), "dealbot");
        assert_eq!(s.endpoints.len(), 1);
    }

    #[test]
    fn a_wrong_word_is_cited_where_it_stands() {
        let text = OWN.replace("\"http\"", "\"htp\"");
        let e = parse("dealbot", &text).expect_err("htp is no application");
        assert_eq!(text.get(e.span.expect("span")), Some("\"htp\""), "{}", e.message);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let e = parse("dealbot", &format!("colour = 1\n{OWN}")).expect_err("no such key");
        assert!(e.message.contains("colour"), "{}", e.message);
    }

    #[test]
    fn two_names_must_agree() {
        assert!(parse("dealbot", &format!("name = \"other\"\n{OWN}")).is_err());
        assert!(parse("dealbot", &format!("name = \"dealbot\"\n{OWN}")).is_ok());
    }

    #[test]
    fn a_setting_that_does_not_exist_is_cited_at_its_endpoint() {
        let text = format!("{OWN}setting = \"nowhere\"\n");
        let e = parse("dealbot", &text).expect_err("no such setting");
        let cited = text.get(e.span.expect("span")).expect("in the text");
        assert!(cited.starts_with("[[endpoint]]"), "{cited}");
    }

    #[test]
    fn needs_and_modes_are_checked() {
        let refused = |more: &str| parse("dealbot", &format!("{OWN}{more}")).expect_err(more).message;
        assert!(refused("[[need]]\nwhat = \"exec\"\nwhy = \"x\"\n").contains("names its paths"));
        assert!(refused("[[need]]\nwhat = \"jit\"\nwhy = \"x\"\npath = [\"/a\"]\n").contains("has no path"));
        assert!(refused("[[need]]\nwhat = \"exec\"\nwhy = \"x\"\npath = [\"mv\"]\n").contains("absolute"));
        assert!(refused("[[need]]\nwhat = \"jit\"\nwhy = \"\"\n").contains("no reason"));
        assert!(refused("[[need]]\nwhat = \"colour\"\nwhy = \"x\"\n").contains("colour"));
        let path = |modes: &str| format!("[[path]]\npath = \"/x\"\nkind = \"state\"\naccess = \"read\"\n{modes}");
        assert!(refused(&path("mode = \"0600\"\ntightest = \"0640\"\n")).contains("grants"));
        assert!(refused("[unit]\nexec = \"/bin/x\"\nsource = \"x\"\n").contains("no name"));
        assert!(parse("dealbot", &format!("{OWN}[[need]]\nwhat = \"exec\"\nwhy = \"x\"\npath = [\"/usr/bin/mv\"]\n")).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|\n){0,200}") {
            let _ = parse("x", &text);
        }

        #[test]
        fn no_damage_makes_it_panic(at in 0usize..260, with in "\\PC{0,3}") {
            let at = (0..=at.min(OWN.len())).rev().find(|&i| OWN.is_char_boundary(i)).unwrap_or(0);
            let _ = parse("x", &format!("{}{with}{}", &OWN[..at], &OWN[at..]));
        }
    }
}
