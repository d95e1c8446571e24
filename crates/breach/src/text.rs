//! A closure for people. In comes the closure, out come lines of text; nothing is coloured here.

use crate::graph::{Closure, Edge, Way};
use std::fmt::Write as _;

impl Closure {
    /// The steps of a way.
    pub fn steps(&self, way: &Way) -> Vec<&Edge> {
        way.steps.iter().filter_map(|&s| self.edges.get(s)).collect()
    }
    /// `account lotus -> group docker -> uid 0`.
    pub fn line(&self, way: &Way) -> String {
        let steps = self.steps(way);
        let begin = steps.first().map(|e| e.from.to_string()).unwrap_or_default();
        steps.iter().fold(begin, |line, e| format!("{line} -> {}", e.to))
    }
    /// The closure as text, ending in a newline.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for account in &self.accounts {
            let certain = account.ways.iter().filter(|w| w.certain).count();
            let _ = writeln!(
                out,
                "{} ({}): {certain} way(s), {} more cannot be excluded{}",
                account.account,
                account.services.join(", "),
                account.ways.len() - certain,
                if account.cut { "; not all are listed" } else { "" }
            );
            for way in &account.ways {
                let _ = writeln!(out, "  {} {}", if way.certain { "way:    " } else { "perhaps:" }, self.line(way));
                for e in self.steps(way) {
                    let _ = writeln!(out, "      {} ({})", e.technique.title(), e.technique.id());
                    for evidence in &e.evidence {
                        let place = match (&evidence.file, evidence.line) {
                            (Some(f), Some(l)) => format!(" [{f}:{l}]"),
                            (Some(f), None) => format!(" [{f}]"),
                            _ => String::new(),
                        };
                        let _ = writeln!(out, "        {}{place}", evidence.seen);
                    }
                }
            }
        }
        for w in &self.weaknesses {
            let _ = writeln!(out, "helps: {}: {}", w.subject, w.means);
        }
        for u in &self.unread {
            let _ = writeln!(out, "not read: {u}");
        }
        out
    }
}
