//! What was there before a change, as text, and putting it back. Only our own table,
//! the settings, files and modes the change touches, and addresses of ours.

use crate::{Error, daemons, files, modes, nft, settings, ufw};
use bundle::{Bundle, Draft, OwnAddress};
use serde::{Deserialize, Serialize};

/// What was there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Our own table as nft lists it; `None` where there was none.
    pub table: Option<String>,
    /// Settings the change touches.
    pub settings: settings::Values,
    /// Addresses of ours, put on by changes before.
    #[serde(default)]
    pub addresses: Vec<OwnAddress>,
    /// Files the change writes or clears.
    #[serde(default)]
    pub files: Vec<files::Kept>,
    /// Modes the change closes.
    #[serde(default)]
    pub modes: Vec<modes::KeptMode>,
    /// Daemons of a pair that the change touches.
    #[serde(default)]
    pub daemons: Vec<daemons::Before>,
    /// UFW's files and chains, where the change touches them.
    #[serde(default)]
    pub ufw: Option<ufw::Kept>,
}

/// Takes one, and makes sure that it loads again before anything depends on it.
pub fn take(draft: Option<&Draft>) -> Result<Snapshot, Error> {
    let settings = settings::get_all(draft.map(Draft::settings).unwrap_or_default().into_keys());
    let ufw = draft.and_then(Draft::ufw).map(ufw::keep).transpose()?;
    let table = match nft::table_text()? {
        None => None,
        Some(text) => match nft::check(&nft::replacing(&text)) {
            Ok(()) => Some(text),
            // State in the listing that this nft prints but does not read: the rules matter, the counters do not.
            Err(first) => {
                let plain = nft::table_text_stateless()?.ok_or(first)?;
                nft::check(&nft::replacing(&plain))?;
                Some(plain)
            }
        },
    };
    Ok(Snapshot { table, settings, ufw, ..Snapshot::default() })
}

/// The same with the files and modes of a change that follows `before`.
pub fn before(draft: &Draft, before: Option<&Bundle>) -> Result<Snapshot, Error> {
    let network = take(Some(draft))?;
    let files = files::look(draft, before)?;
    Ok(Snapshot { daemons: daemons::look(&files)?, files, modes: modes::look(draft), ..network })
}

impl Snapshot {
    /// The script that puts our table back, or away where there was none.
    pub fn script(&self) -> String {
        nft::replacing(self.table.as_deref().unwrap_or_default())
    }
}
