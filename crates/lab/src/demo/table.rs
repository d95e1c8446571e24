//! The demonstration as text: scenes, the table, the verdict.

use super::{Demo, Scene};
use crate::trial::Row;
use std::fmt;

/// One line of the table: attempt, expected, seen, rule and site line.
pub fn line(row: &Row) -> String {
    let verdict = if row.right { "ok" } else { "WRONG" };
    let by = row.decided.first().map(|d| format!("{} on {}, {}", d.id, d.node, d.line)).unwrap_or_default();
    let expected = row.attempt.expected.to_string();
    format!("{verdict:5}  {:18}  {:62}  {expected:16}  {:20}  {by}", row.attempt.group.words(), row.attempt.what, row.seen)
}

/// The table's head.
pub fn head() -> String {
    format!("{:5}  {:18}  {:62}  {:16}  {:20}  rule and site line", "", "kind", "attempt", "expected", "seen")
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.right { "ok" } else { "WRONG" };
        writeln!(f, "[{verdict}] {} ({} ms)", self.title, self.took_ms)?;
        self.lines.iter().try_for_each(|l| writeln!(f, "    {l}"))
    }
}

impl fmt::Display for Demo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for scene in &self.scenes {
            writeln!(f, "{scene}")?;
        }
        writeln!(f, "{}", head())?;
        for row in &self.rows {
            writeln!(f, "{}", line(row))?;
        }
        let wrong = self.rows.iter().filter(|r| !r.right).count() + self.scenes.iter().filter(|s| !s.right).count();
        if self.right {
            writeln!(f, "\n{}: {} attempts and {} scenes, every one as expected", self.site, self.rows.len(), self.scenes.len())
        } else {
            writeln!(f, "\n{}: {wrong} of {} attempts and scenes NOT as expected", self.site, self.rows.len() + self.scenes.len())
        }
    }
}
