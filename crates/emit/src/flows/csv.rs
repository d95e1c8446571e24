//! CSV as RFC 4180 has it. In come rows, out comes a header and a line each; lists are separated by spaces. Never: a field
//! that a spreadsheet would take for a formula.

use super::Row;

/// The columns, in order.
const COLUMNS: &str = "id,kind,family,from,from_zone,source,to,to_zone,destination,protocol,ports,translate,names,crosses,why,origins";

/// The list as CSV.
pub fn text(rows: &[Row]) -> String {
    let mut out = format!("{COLUMNS}\r\n");
    for r in rows {
        let kind = serde_json::to_value(r.kind).ok().and_then(|k| k.as_str().map(str::to_owned)).unwrap_or_default();
        let fields = [
            r.id.clone(),
            kind,
            r.family.to_string(),
            r.from.clone(),
            r.from_zone.clone(),
            r.source.join(" "),
            r.to.clone(),
            r.to_zone.clone(),
            r.destination.join(" "),
            r.protocol.clone(),
            r.ports.join(" "),
            r.translate.join("; "),
            r.names.join(" "),
            r.crosses.to_string(),
            r.why.clone(),
            r.origins.join("; "),
        ];
        out += &fields.iter().map(|f| field(f)).collect::<Vec<_>>().join(",");
        out += "\r\n";
    }
    out
}

fn field(text: &str) -> String {
    // A leading `=`, `+`, `-` or `@` begins a formula in spreadsheets.
    let text = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        assert_eq!(field("a b"), "a b");
        assert_eq!(field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(field("=1+1"), "'=1+1");
    }
}
