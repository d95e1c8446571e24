//! What the kernel and the disk hold against what was meant. In comes the bundle, out come the differences in words, none where all
//! is as meant. Compares meaning, never bytes.

use crate::{Error, addresses, files, nft, pair, settings, ufw};
use bundle::Draft;
use ruleset::Ruleset;

/// All differences between the machine and the bundle.
pub fn differences(draft: &Draft) -> Result<Vec<String>, Error> {
    let live = live_table()?;
    let mut out = match (&draft.expected.ruleset, live) {
        (None, None) => Vec::new(),
        (None, Some(_)) => vec!["our table is there and should not be".into()],
        (Some(_), None) => vec!["our table is not there".into()],
        (Some(expected), Some(live)) => ruleset::compare(expected, &live).iter().map(|d| d.to_string()).collect(),
    };
    if let Some(files) = draft.ufw() {
        out.extend(ufw::differences(files)?);
    }
    out.extend(settings::differences(&draft.settings()));
    out.extend(addresses::of_bundle(draft)?);
    out.extend(files::differences(draft.files()));
    out.extend(pair::differences(draft.files()));
    Ok(out)
}

/// Our own table as the kernel holds it.
pub fn live_table() -> Result<Option<Ruleset>, Error> {
    let Some(json) = nft::table_json()? else { return Ok(None) };
    ruleset::nft::read(&json).map(Some).map_err(|e| Error::Nft(e.to_string()))
}
