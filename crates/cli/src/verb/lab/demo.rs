//! The demonstration: starts itself again inside namespaces of its own and tells every scene as it ends.

use super::{pass, trouble};
use crate::{
    args::{Format, Global},
    exit::Exit,
    face::{Face, print, show},
    input,
    paint::{BAD, DIM, GOOD, HEAD, paint},
    trouble::Trouble,
};
use lab::{
    demo::{self, Demo, Progress, Scene, line},
    enter::{Entered, enter},
    trial::Row,
};
use serde::Serialize;
use std::path::Path;

/// The demonstration; for people everything but the verdict has been told on the way.
#[derive(Serialize)]
#[serde(transparent)]
struct Shown(Demo);

impl Face for Shown {
    fn text(&self) -> String {
        let (rows, scenes) = (&self.0.rows, &self.0.scenes);
        let wrong = rows.iter().filter(|r| !r.right).count() + scenes.iter().filter(|s| !s.right).count();
        let verdict = if self.0.right { paint(GOOD, "Everything is as expected") } else { paint(BAD, format!("{wrong} NOT as expected")) };
        let kinds: String = demo::summary(rows).into_iter().map(|l| format!("  {l}\n")).collect();
        format!("\n{kinds}{verdict}: {} attempts, {} scenes.\n", rows.len(), scenes.len())
    }
}

/// Runs the demonstration on a site file.
pub fn demo(site: &Path, all: bool, global: &Global) -> Result<Exit, Trouble> {
    let (model, _) = input::model(site, global)?;
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let Entered::Done(status) = enter(&arguments).map_err(trouble)? {
        return pass(status);
    }
    let people = global.format() == Format::Text;
    let mut rows: Vec<Row> = Vec::new();
    // A reader that is gone is noticed when the result is shown.
    let mut tell = |p: Progress<'_>| {
        if !people {
            return;
        }
        let text = match p {
            Progress::Begins(title) => format!("\n{}\n", paint(HEAD, title)),
            Progress::Over(scene) => table(&std::mem::take(&mut rows), all) + &over(scene),
            Progress::Attempt(row) => {
                rows.push(row.clone());
                return;
            }
        };
        let _ = print(&text);
    };
    let demo = demo::run(model, &mut tell).map_err(trouble)?;
    let right = demo.right;
    show(global, &Shown(demo))?;
    Ok(Exit::found(!right))
}

fn over(scene: &Scene) -> String {
    let mark = if scene.right { paint(GOOD, "ok") } else { paint(BAD, "WRONG") };
    let lines: String = scene.lines.iter().map(|l| format!("    {l}\n")).collect();
    format!("{lines}  {mark} {}\n", paint(DIM, format!("{:.1} s", scene.took_ms as f64 / 1000.0)))
}

/// The table of a scene; nothing where nothing was tried.
fn table(rows: &[Row], all: bool) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let lines = if all { rows.iter().map(|r| (line(r), r.right)).collect() } else { demo::folded(rows) };
    let lines = lines.into_iter().map(|(text, right)| if right { format!("{text}\n") } else { format!("{}\n", paint(BAD, text)) });
    format!("{}\n{}", paint(DIM, demo::head()), lines.collect::<String>())
}
