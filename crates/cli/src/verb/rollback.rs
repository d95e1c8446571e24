//! `ravelin rollback`: an earlier site file again, as a rollout of its own with new generations. It is planned, proved, staged and tried like
//! any other; nothing of it waits for a proving deadline.

use super::rollout::{Asked, How, kept, out, typed};
use crate::{
    args::Global,
    coordinate::books,
    exit::Exit,
    face::remark,
    input::{self, SiteOption},
    paint,
    trouble::Trouble,
};
use clap::Args;
use rollout::ledger::{Context, Ledger};
use words::{Severity, SourceFile};

/// Arguments of `rollback`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Which rollout to go back to, as `ravelin history` numbers them [default: the one before the last]
    #[arg(value_name = "N")]
    to: Option<String>,
    #[command(flatten)]
    site: SiteOption,
    #[command(flatten)]
    how: How,
    /// Plan and prove, say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Goes back.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    // The site file as it is now says only which site it is.
    let (model, _) = input::model(&arguments.site.site, global)?;
    let (id, text) = {
        let directory = arguments.how.book().directory(&model.name);
        let ledger = Ledger::open(&directory, Context::default(), None).map_err(books::trouble)?;
        let all = kept(&ledger);
        let wanted = match &arguments.to {
            Some(id) => all.iter().find(|(i, _)| i == id),
            None => all.len().checked_sub(2).and_then(|n| all.get(n)),
        };
        let Some((id, file)) = wanted else {
            let known: Vec<&str> = all.iter().map(|(i, _)| i.as_str()).collect();
            let known = if known.is_empty() { "no rollout was kept yet".to_owned() } else { format!("kept were {}", known.join(", ")) };
            return Err(Trouble::usage("there is no such rollout to go back to", known));
        };
        (id.clone(), ledger.site(*file).map_err(books::trouble)?)
    };
    let source = SourceFile::new(format!("site file of rollout {id}"), text);
    let outcome = site::read(&source, &global.today());
    for d in outcome.diagnostics.iter().filter(|d| outcome.model.is_none() || d.severity > Severity::Note) {
        anstream::eprint!("{}", paint::diagnostic(d, &source));
    }
    let old = outcome.model.ok_or(Trouble::Shown(Exit::Found))?;
    remark(&format!(
        "Back to the site file of rollout {id}; the one on disk stays as it is: bring it in line, or the next rollout undoes this."
    ));
    let asked = Asked { because: Some(format!("back to rollout {id}")), dry: arguments.dry_run, argument: typed() };
    out(&arguments.how, &old, &source, asked, global)
}
