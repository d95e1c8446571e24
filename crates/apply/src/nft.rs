//! Scripts for nft and its answers. In comes text, out comes success or what nft said. A script is one transaction in
//! the kernel: all of it or nothing.

use crate::Error;
use bundle::{TABLE_FAMILY, TABLE_NAME};
use observe::run;

/// What nft says when the socket takes no message of that size: the kernel's EMSGSIZE and ENOBUFS.
const TOO_LARGE: [&str; 2] = ["Message too long", "No buffer space available"];

/// Loads a script. Refuses one that is about more than our own table.
pub fn load(script: &str) -> Result<(), Error> {
    own(script)?;
    run::with_input("nft", &["-f", "-"], script).map(|_| ()).map_err(classify)
}

/// Lets nft and the kernel look at a script without loading it.
pub fn check(script: &str) -> Result<(), Error> {
    own(script)?;
    run::with_input("nft", &["-c", "-f", "-"], script).map(|_| ()).map_err(classify)
}

/// Our own table as text, `None` where it is not there.
pub fn table_text() -> Result<Option<String>, Error> {
    list(&["list", "table", TABLE_FAMILY, TABLE_NAME])
}

/// Our own table as text without counters and other state.
pub fn table_text_stateless() -> Result<Option<String>, Error> {
    list(&["-s", "list", "table", TABLE_FAMILY, TABLE_NAME])
}

/// Our own table as JSON, `None` where it is not there.
pub fn table_json() -> Result<Option<String>, Error> {
    list(&["-j", "list", "table", TABLE_FAMILY, TABLE_NAME])
}

/// The same without what is in its sets: a large site's are read for half a second.
pub fn table_json_without_elements() -> Result<Option<String>, Error> {
    list(&["-j", "-t", "list", "table", TABLE_FAMILY, TABLE_NAME])
}

/// Head of every script that replaces our table: makes it (so that deleting cannot fail), deletes it.
pub fn replacing(definition: &str) -> String {
    format!("table {TABLE_FAMILY} {TABLE_NAME} {{ }}\ndelete table {TABLE_FAMILY} {TABLE_NAME}\n{definition}")
}

fn own(script: &str) -> Result<(), Error> {
    bundle::only_own_table(script).map_err(|e| Error::Bundle(bundle::ReadError::Own(e)))
}

fn list(arguments: &[&str]) -> Result<Option<String>, Error> {
    match run::output("nft", arguments) {
        Ok(text) => Ok(Some(text)),
        Err(observe::Error::Program { why, .. }) if why.contains("No such file or directory") => Ok(None),
        Err(e) => Err(classify(e)),
    }
}

fn classify(error: observe::Error) -> Error {
    match error {
        observe::Error::Program { why, .. } if TOO_LARGE.iter().any(|t| why.contains(t)) => Error::BatchTooLarge(why),
        observe::Error::Program { why, .. } => Error::Nft(why),
        other => Error::Observe(other),
    }
}
