//! The demonstration: one site file, from reading to attacks, on real kernels, in one run.
//!
//! In comes a valid model; out come scenes, each with what was seen and whether it was as it must be, and the table of all
//! attempts. [`before`] proves and plans, [`change`] learns and applies, [`tried`] attacks, [`broken`] breaks things on
//! purpose, [`together`] rolls out to all machines at once and has one of them die. Must run inside (see [`crate::enter`]). Never: calls a scene right because nothing was tried in it.

mod before;
mod broken;
mod change;
mod fold;
mod table;
mod together;
mod tried;
mod uptime;

pub use change::ports;
pub use fold::folded;
pub use table::{head, line};
pub use tried::summary;

use crate::{build::Neighbours, enter, error::LabError, listen, stage::Stage, trial::Row};
use plan::Options;
use serde::Serialize;
use site::model::{Mode, Model};
use std::time::{Duration, Instant};

/// One scene.
#[derive(Debug, Clone, Serialize)]
pub struct Scene {
    /// What it shows.
    pub title: String,
    /// What was seen, line by line.
    pub lines: Vec<String>,
    /// As it must be.
    pub right: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u128,
}

/// The whole demonstration.
#[derive(Debug, Clone, Serialize)]
pub struct Demo {
    /// The site's name.
    pub site: String,
    /// Scenes in order.
    pub scenes: Vec<Scene>,
    /// Every attempt.
    pub rows: Vec<Row>,
    /// Everything was as it must be.
    pub right: bool,
}

/// What a scene gives besides its time.
struct Seen {
    lines: Vec<String>,
    right: bool,
}

/// Told while it runs.
#[derive(Debug)]
pub enum Progress<'a> {
    /// A scene begins.
    Begins(&'a str),
    /// A scene is over.
    Over(&'a Scene),
    /// An attempt was made.
    Attempt(&'a Row),
}

/// Runs every scene. Goes on after a scene that went wrong as long as there is something to go on with.
pub fn run(mut model: Model, tell: &mut dyn FnMut(Progress<'_>)) -> Result<Demo, LabError> {
    model.layers.network = Mode::Enforce;
    let mut demo = Demo { site: model.name.clone(), scenes: Vec::new(), rows: Vec::new(), right: false };
    scene(&mut demo, tell, "The site file is read and its flows are derived", || Ok(before::read(&model)))?;
    scene(&mut demo, tell, "Proof over all packets, before anything is touched", || Ok(before::prove(&model)))?;
    let mut built = None;
    scene(&mut demo, tell, "The site is built in namespaces, everything open, every service port listening", || {
        let stage = Stage::build(model.clone(), Options::default(), Neighbours::Dynamic)?;
        stage.lab.by_hand()?;
        let sockets = listen::serve(&stage.lab, &ports(&stage))?;
        let counted = format!(
            "{} machines and outsiders on {} segments, {sockets} listening sockets",
            stage.lab.topology.nodes.len(),
            stage.lab.topology.segments.len()
        );
        let lines = vec![counted, enter::isolation().to_string()];
        built = Some(stage);
        Ok(Seen { lines, right: sockets > 0 })
    })?;
    let mut stage = built.ok_or_else(|| LabError::Other("nothing was built".into()))?;
    let mut live = change::Live::default();
    scene(&mut demo, tell, "Learning from live flows what enforcing would cut", || change::learn(&stage, &mut live))?;
    scene(&mut demo, tell, "Applied to every machine, first apply ever, under live connections", || change::apply(&stage, &live))?;
    drop(live);
    tried::everything(&stage, &mut demo, tell)?;
    if let Some(second) = stage.lab.topology.edges.get(1).cloned() {
        stage.lab.move_virtuals(&second)?;
        tried::standby(&stage, &second, &mut demo, tell)?;
        let first = stage.lab.topology.edges.first().cloned().unwrap_or_default();
        stage.lab.move_virtuals(&first)?;
    }
    scene(&mut demo, tell, "A change that would cut the operator takes itself back", || broken::cut_operator(&stage))?;
    scene(&mut demo, tell, "A rule deleted behind Ravelin's back is found and put back", || broken::drift(&stage))?;
    scene(&mut demo, tell, "One change for all machines: a host dies half-way, and everything goes back everywhere", || {
        together::dies_half_way(&stage)
    })?;
    scene(&mut demo, tell, "A restart waits for the proof of the open deadline", || uptime::restart_waits(&stage))?;
    if stage.lab.topology.edges.len() > 1 {
        scene(&mut demo, tell, "The active edge node dies under load", || uptime::node_dies(&stage))?;
    }
    demo.right = demo.scenes.iter().all(|s| s.right) && demo.rows.iter().all(|r| r.right);
    Ok(demo)
}

fn scene(
    demo: &mut Demo,
    tell: &mut dyn FnMut(Progress<'_>),
    title: &str,
    f: impl FnOnce() -> Result<Seen, LabError>,
) -> Result<(), LabError> {
    tell(Progress::Begins(title));
    let start = Instant::now();
    let seen = f()?;
    close(demo, tell, title, seen, start.elapsed());
    Ok(())
}

fn close(demo: &mut Demo, tell: &mut dyn FnMut(Progress<'_>), title: &str, seen: Seen, took: Duration) {
    let scene = Scene { title: title.to_owned(), lines: seen.lines, right: seen.right, took_ms: took.as_millis() };
    tell(Progress::Over(&scene));
    demo.scenes.push(scene);
}
