//! The rows as JSON. In come rows, out comes one object with a schema number. Never: a key that CSV does not have.

use super::Row;

/// Number of this form; it grows when a key changes its meaning.
pub const SCHEMA: u32 = 1;

/// The list as JSON.
pub fn text(rows: &[Row]) -> String {
    let whole = serde_json::json!({ "schema": SCHEMA, "flows": rows });
    let mut out = serde_json::to_string_pretty(&whole).unwrap_or_default();
    out.push('\n');
    out
}
