//! What a stand-in says: a line of JSON for each action. In come lines of a journal, out come those that are ours. Never: a
//! failed action told as done.

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Said {
    /// An action, and how it went.
    Action {
        /// Part of the stand-in.
        group: String,
        /// What was done.
        what: String,
        /// Name of the error number; `None` where it worked.
        error: Option<String>,
        /// More about an error.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        more: String,
    },
    /// A list of actions is through: `work`, or the first line of its orders.
    Done(String),
}

/// The lines of this text that a stand-in said.
pub fn read(text: &str) -> Vec<Said> {
    text.lines().filter_map(|l| serde_json::from_str(l.trim()).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_others_are_left_out() {
        let ours = Said::Action { group: "files".into(), what: "write x".into(), error: Some("EACCES".into()), more: String::new() };
        let text = format!("Started x.\n{}\n{{\"done\":\"work\"}}\nStopped.", serde_json::to_string(&ours).expect("JSON"));
        assert_eq!(read(&text), [ours, Said::Done("work".into())]);
    }
}
