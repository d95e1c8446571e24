//! Small pieces of CIL: comments with origins, contexts, path patterns. Never: decides what is allowed.

use plan::selinux::Shape;
use words::Origin;

/// Longest line of a comment.
const WIDTH: usize = 124;

/// A comment, wrapped; every line begins with `; `.
pub(crate) fn comment(out: &mut String, text: &str) {
    let mut line = String::from(";");
    for word in text.split_whitespace() {
        if line.len() + word.len() + 1 > WIDTH && line.len() > 1 {
            out.push_str(&line);
            out.push('\n');
            line = String::from(";  ");
        }
        line.push(' ');
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
}

/// What something is for, and each place it comes from.
pub(crate) fn reason(out: &mut String, why: &str, origins: &[Origin]) {
    comment(out, why);
    for o in origins {
        comment(out, &format!("  from {o}"));
    }
}

/// A context of an object at the lowest level.
pub(crate) fn context(name: &str) -> String {
    format!("(system_u object_r {name} ((s0) (s0)))")
}

/// A file context.
pub(crate) fn filecon(path: &str, shape: Shape, name: &str) -> String {
    let plain = escape(path);
    match shape {
        Shape::Tree => format!("(filecon \"{plain}(/.*)?\" any {})\n", context(name)),
        Shape::File => format!("(filecon \"{plain}\" file {})\n", context(name)),
        Shape::Rotated => format!("(filecon \"{plain}.*\" file {})\n", context(name)),
    }
}

/// A path as a regular expression that means only itself.
fn escape(path: &str) -> String {
    let mut out = String::new();
    for c in path.chars() {
        if ".^$?*+|[](){}\\".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_means_only_itself() {
        assert_eq!(escape("/var/lib/lotus/.lotus"), "/var/lib/lotus/\\.lotus");
        assert!(filecon("/a.b", Shape::Rotated, "x_t").starts_with("(filecon \"/a\\.b.*\" file (system_u object_r x_t"));
    }

    #[test]
    fn a_comment_never_leaves_its_lines() {
        let mut out = String::new();
        comment(&mut out, &"word\nnext ".repeat(80));
        assert!(out.lines().all(|l| l.starts_with(';') && l.len() <= WIDTH + 8), "{out}");
    }
}
