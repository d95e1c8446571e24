//! The check that an nft script stays within our own table. In comes a script, out comes the first statement that does
//! not. Every statement outside braces must name our table as its object; nothing else is known to be harmless, so
//! nothing else is let through.

/// Family of our table.
pub const TABLE_FAMILY: &str = "inet";
/// Name of our table.
pub const TABLE_NAME: &str = "ravelin";

/// A statement that reaches beyond our own table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OwnError {
    /// Another object.
    #[error("line {line}: `{text}` is not about `table {TABLE_FAMILY} {table}`")]
    Foreign {
        /// The table it should be about.
        table: String,
        /// Line, from 1.
        line: usize,
        /// The statement's beginning.
        text: String,
    },
    /// A brace or quote that does not close.
    #[error("line {0}: a brace or quote does not match")]
    Unbalanced(usize),
}

/// What an nft command may do to an object.
const COMMANDS: [&str; 5] = ["add", "create", "delete", "destroy", "flush"];
/// Objects that lie in a table and are named after it.
const OBJECTS: [&str; 7] = ["table", "chain", "rule", "set", "map", "element", "counter"];

/// Whether every statement of the script is about our own table.
pub fn only_own_table(script: &str) -> Result<(), OwnError> {
    only_table(script, TABLE_NAME)
}

/// Whether every statement of the script is about this table of the family `inet`.
pub fn only_table(script: &str, table: &str) -> Result<(), OwnError> {
    let foreign = |line, text| OwnError::Foreign { table: table.to_owned(), line, text };
    for (line, statement) in statements(script, &foreign)? {
        let words: Vec<&str> = statement.split_whitespace().collect();
        let object = match words.as_slice() {
            [command, rest @ ..] if COMMANDS.contains(command) => rest,
            all => all,
        };
        let ours = matches!(object, [kind, family, name, ..]
            if OBJECTS.contains(kind) && *family == TABLE_FAMILY && *name == table);
        // Without a command only `table` opens a block.
        let command_known = words.first().is_some_and(|w| COMMANDS.contains(w) || *w == "table");
        if !ours || !command_known {
            return Err(foreign(line, statement.chars().take(60).collect()));
        }
    }
    Ok(())
}

/// The statements outside braces, each with its first line; what stands in braces is left out.
fn statements(script: &str, foreign: &dyn Fn(usize, String) -> OwnError) -> Result<Vec<(usize, String)>, OwnError> {
    let mut out = Vec::new();
    let (mut current, mut began) = (String::new(), 1);
    let (mut depth, mut line, mut quoted, mut comment) = (0usize, 1, false, false);
    let mut end = |current: &mut String, began: usize| {
        if !current.trim().is_empty() {
            out.push((began, current.trim().to_owned()));
        }
        current.clear();
    };
    let mut word = String::new();
    for c in script.chars() {
        if !quoted && !comment && (c.is_ascii_alphanumeric() || c == '_') {
            word.push(c);
        } else if std::mem::take(&mut word) == "include" {
            // nft's scanner opens the file wherever the word stands, in braces too.
            return Err(foreign(line, "include".into()));
        }
        match c {
            '\n' => {
                line += 1;
                comment = false;
                if quoted {
                    return Err(OwnError::Unbalanced(line - 1));
                }
                if depth == 0 {
                    end(&mut current, began);
                }
            }
            _ if comment => {}
            '"' => quoted = !quoted,
            _ if quoted => {}
            '#' => comment = true,
            // A backslash joins lines: a way to hide a statement's object that no script of ours uses.
            '\\' => return Err(OwnError::Unbalanced(line)),
            '{' => {
                // What is in braces is skipped, except that the statement goes on after it.
                depth += 1;
                current.push(' ');
            }
            '}' => {
                depth = depth.checked_sub(1).ok_or(OwnError::Unbalanced(line))?;
                if depth == 0 {
                    end(&mut current, began);
                }
            }
            ';' if depth == 0 => end(&mut current, began),
            c if depth == 0 => {
                if current.trim().is_empty() {
                    began = line;
                }
                current.push(c);
            }
            _ => {}
        }
    }
    end(&mut current, began);
    if depth > 0 || quoted { Err(OwnError::Unbalanced(line)) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn our_own_table_passes() {
        let script = "# head\ntable inet ravelin\ndelete table inet ravelin\ntable inet ravelin {\n  chain input { type filter hook input priority 0; policy drop;\n    ct state vmap { established : accept }\n    log prefix \"} flush ruleset\"\n  }\n}\nadd element inet ravelin s { 1.2.3.4 }\n";
        assert_eq!(only_own_table(script), Ok(()));
        assert_eq!(only_own_table(""), Ok(()));
    }

    #[test]
    fn everything_else_does_not() {
        for (bad, at) in [
            ("flush ruleset", 1),
            ("table inet ravelin { }\nflush ruleset", 2),
            ("table inet ravelin { }; delete table ip nat", 1),
            ("table inet ravelin { } delete table ip nat", 1),
            ("table ip ravelin { }", 1),
            ("table inet ravelin2 { }", 1),
            ("include \"/etc/other.nft\"", 1),
            ("define x = 1", 1),
            ("table inet ravelin {\n include \"/etc/other.nft\"\n}", 2),
            ("delete table ip filter", 1),
            ("add rule ip filter input drop", 1),
            ("list ruleset", 1),
            ("chain inet ravelin x", 1),
        ] {
            match only_own_table(bad) {
                Err(OwnError::Foreign { line, .. }) => assert_eq!(line, at, "{bad}"),
                other => panic!("{bad}: {other:?}"),
            }
        }
        assert!(matches!(only_own_table("table inet ravelin {"), Err(OwnError::Unbalanced(_))));
        assert!(matches!(only_own_table("table inet ravelin { } }"), Err(OwnError::Unbalanced(_))));
        assert!(matches!(only_own_table("table inet \\\nravelin { }"), Err(OwnError::Unbalanced(_))));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = only_own_table(&text);
        }

        #[test]
        fn a_foreign_statement_is_found_wherever_it_stands(n in 0usize..4, m in 0usize..4) {
            let own = "table inet ravelin { chain a { } }\n";
            let script = format!("{}delete table ip nat\n{}", own.repeat(n), own.repeat(m));
            prop_assert!(only_own_table(&script).is_err());
        }
    }
}
