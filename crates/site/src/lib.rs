//! The site file: in comes TOML text and a date, out comes the one valid [`Model`] with its flows derived, or every
//! diagnostic. Pure: no file is read here and no clock.
//!
//! | module | step |
//! |---|---|
//! | [`syntax`] | text to a tree with spans, held against the table of keys |
//! | `resolve` | names exist, addresses fit, groups are expanded |
//! | `derive` | flows follow from what runs where |
//! | [`model`] | what comes out |
//! | [`Flows`] | its flows, told apart by digest |
//! | [`propose()`] | a first site file from the facts of machines |
//! | [`mod@ansible`] | the same from an Ansible inventory |
//! | [`mod@fmt`] | canonical formatting |
//! | [`mod@schema`] | JSON Schema for editors |
//! | [`mod@tier`] | which requirement holds on this site |
//! | [`asked`] | URLs of those that are asked for deadlines |
//! | [`mod@generate`] | made-up sites of any size |
//! | [`code`] | every diagnostic's code |
//! | [`special`] | what a public address is |
//! | [`mod@translated`] | public addresses that the edge answers for |
//! | [`vantage`] | what somebody who stands at an address may open |

pub mod ansible;
pub mod asked;
pub mod code;
mod cx;
mod derive;
mod flows;
pub mod fmt;
pub mod generate;
pub mod model;
mod propose;
mod resolve;
pub mod schema;
pub mod special;
pub mod syntax;
pub mod tier;
pub mod translated;
pub mod vantage;

pub use flows::Flows;
pub use fmt::format;
pub use generate::generate;
pub use model::*;
pub use propose::propose;
pub use resolve::services::Catalog;
pub use schema::schema;
pub use tier::{Row, Stand, tier};
pub use translated::translated;

use cx::Cx;
use words::{Code, Diagnostic, SourceFile};

/// What reading a site file gives.
#[derive(Debug)]
#[must_use]
pub struct Outcome {
    /// The model; absent after errors, except where the only errors are weakenings that have ended: a plan that narrows
    /// must stay possible.
    pub model: Option<Model>,
    /// Everything wrong or worth knowing, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

impl Outcome {
    /// Whether a change may be made: a model, and no error.
    pub fn is_good(&self) -> bool {
        self.model.is_some() && !self.diagnostics.iter().any(Diagnostic::is_error)
    }
    /// All diagnostics as text.
    pub fn render(&self, source: &SourceFile) -> String {
        self.diagnostics.iter().map(|d| d.render(source)).collect::<Vec<_>>().join("\n")
    }
}

/// Errors after which flows can still be derived without blaming the operator for what follows from them.
const INDEPENDENT: [Code; 14] = [
    code::SITE001,
    code::SITE004,
    code::SITE008,
    code::SITE009,
    code::SITE010,
    code::SITE011,
    code::NAM001,
    code::NAM005,
    code::NAM006,
    code::ADR008,
    code::FLW004,
    code::FLW005,
    code::FLW006,
    code::FLW009,
];

/// Reads a site file with the compiled-in catalogue. `today` is an ISO date, UTC.
pub fn read(source: &SourceFile, today: &str) -> Outcome {
    read_with(source, today, catalog::builtin())
}

/// Reads a site file with a catalogue of the caller's.
pub fn read_with(source: &SourceFile, today: &str, catalog: &Catalog) -> Outcome {
    let mut cx = Cx { source, today, out: Vec::new() };
    let model = syntax::read(&mut cx).map(|(root, table)| {
        let resolved = resolve::resolve(&mut cx, &root, &table, catalog);
        let whole = cx.out.iter().all(|d| !d.is_error() || INDEPENDENT.contains(&d.code));
        whole.then(|| derive::derive(&mut cx, &root, resolved))
    });
    let mut diagnostics = std::mem::take(&mut cx.out);
    diagnostics.sort_by_key(|d| (d.labels.first().map(|l| l.span.start), std::cmp::Reverse(d.severity)));
    diagnostics.dedup();
    let stops = |d: &Diagnostic| d.is_error() && d.code != code::WEAK003;
    let model = model.flatten().filter(|_| !diagnostics.iter().any(stops));
    Outcome { model, diagnostics }
}
