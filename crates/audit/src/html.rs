//! The report as one page: nothing is fetched, no script runs, every text of the machine is escaped. In come the report and a way
//! to redact texts, out comes HTML. Never: text of a machine that was not redacted and escaped, in this order.

use crate::{Finding, Report, Risk};
use std::fmt::Write as _;

/// Colours and measures; findings fold, the rest is quiet.
const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#222;background:#fff}\
    h1{font-size:1.5em;margin-bottom:.2em}h2{font-size:1.15em;margin:1.6em 0 .4em}\
    details{border:1px solid #ddd;border-left:6px solid #999;border-radius:4px;margin:.5em 0;padding:.4em .8em}\
    summary{cursor:pointer}code{background:#f3f3f3;padding:.1em .3em;overflow-wrap:anywhere}\
    dl{margin:.6em 0;display:grid;grid-template-columns:6em 1fr;gap:.3em}dt{color:#666}dd{margin:0;overflow-wrap:anywhere}\
    .critical{border-left-color:#a0001c}.high{border-left-color:#d9480f}.medium{border-left-color:#e0a800}.low{border-left-color:#5c7cfa}\
    .tag{display:inline-block;min-width:4.5em;font-size:.85em;font-weight:600}table{border-collapse:collapse}td,th{text-align:left;padding:.2em 1.2em .2em 0}\
    @media print{details{break-inside:avoid}}\
    @media (prefers-color-scheme:dark){body{color:#ddd;background:#161616}code{background:#2a2a2a}details{border-color:#444}dt{color:#999}}";

impl Report {
    /// The report as a page. `tell` redacts a text before it is escaped.
    pub fn html(&self, tell: &dyn Fn(&str) -> String) -> String {
        let safe = |text: &str| escape(&tell(text));
        let mut out = String::new();
        let title = format!("Audit of {}", if self.host.is_empty() { "a machine" } else { &self.host });
        let _ = write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{0}</title>\n<style>{STYLE}</style></head>\n<body><h1>{0}</h1>\n<p>{1}</p>\n",
            safe(&title),
            escape(&when(self.taken_at)),
        );
        out += "<table><tr><th>critical</th><th>high</th><th>medium</th><th>low</th><th>passed</th><th>unknown</th></tr>\n<tr>";
        for n in
            RISKS.map(|r| self.findings.iter().filter(|f| f.risk == r).count()).into_iter().chain([self.passed.len(), self.unknown.len()])
        {
            let _ = write!(out, "<td>{n}</td>");
        }
        out += "</tr></table>\n";
        for risk in RISKS {
            let of_risk: Vec<&Finding> = self.findings.iter().filter(|f| f.risk == risk).collect();
            if !of_risk.is_empty() {
                let _ = writeln!(out, "<h2>{}</h2>", risk.word());
                of_risk.into_iter().for_each(|f| finding(&mut out, f, &safe));
            }
        }
        if self.findings.is_empty() {
            out += "<p>Nothing was found.</p>\n";
        }
        if !self.unknown.is_empty() {
            out += "<h2>could not be decided</h2>\n<ul>\n";
            for u in &self.unknown {
                let _ = writeln!(out, "<li>{} {}: {}</li>", u.code, safe(&u.title), safe(&u.why));
            }
            out += "</ul>\n";
        }
        if !self.passed.is_empty() {
            let codes: Vec<&str> = self.passed.iter().map(|c| c.0).collect();
            let _ = writeln!(out, "<h2>passed</h2>\n<p>{}</p>", codes.join(" "));
        }
        out + "</body></html>\n"
    }
}

/// Worst first.
const RISKS: [Risk; 4] = [Risk::Critical, Risk::High, Risk::Medium, Risk::Low];

fn finding(out: &mut String, f: &Finding, safe: &dyn Fn(&str) -> String) {
    let open = if f.risk >= Risk::High { " open" } else { "" };
    let _ = write!(
        out,
        "<details class=\"{risk}\"{open}><summary><span class=\"tag\">{code}</span> {title}: <code>{subject}</code></summary>\n<dl>",
        risk = f.risk.word(),
        code = f.code,
        title = safe(&f.title),
        subject = safe(&f.subject),
    );
    for e in &f.evidence {
        let _ = write!(out, "<dt>seen</dt><dd>{}</dd>", safe(e));
    }
    if let Some(file) = &f.file {
        let line = f.line.map_or(String::new(), |l| format!(":{l}"));
        let _ = write!(out, "<dt>at</dt><dd><code>{}{line}</code></dd>", safe(file));
    }
    let _ = write!(out, "<dt>means</dt><dd>{}</dd><dt>fix</dt><dd>{}</dd>", safe(&f.means), safe(&f.fix));
    if let Some(reference) = &f.reference {
        let _ = write!(out, "<dt>reference</dt><dd>{}</dd>", safe(reference));
    }
    *out += "</dl></details>\n";
}

/// Text of anybody's as text of a page. What controls a terminal or turns the direction of writing is shown as a sign.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Seconds since 1970-01-01 as a date and time in UTC.
fn when(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // The civil date of a day, counted from March of the year 0 in eras of 400 years.
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3600, rest % 3600 / 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RULES;
    use crate::finding::Seen;

    #[test]
    fn a_page_holds_every_finding_and_no_markup_of_the_machine() {
        let rule = RULES.first().expect("rules");
        let seen = Seen::new("<script>alert(1)</script>", "a \"b\" & 'c' \u{1b}[31m\u{202e}").at("/etc/<b>", 3);
        let report = Report { host: "<img src=x>".into(), findings: vec![Finding::of(rule, seen)], ..Report::default() };
        let page = report.html(&str::to_owned);
        for bad in ["<script", "<img", "/etc/<b>", "\u{1b}", "\u{202e}"] {
            assert!(!page.contains(bad), "{bad}");
        }
        assert!(page.contains("&lt;script&gt;") && page.contains("/etc/&lt;b&gt;:3") && page.contains(rule.title));
        assert!(
            !page.contains("http://") && !page.contains("https://") && !page.contains("src=\"") && !page.contains("href="),
            "nothing is fetched"
        );
        let told = report.html(&|t| t.replace("alert", "<hidden>"));
        assert!(told.contains("&lt;hidden&gt;(1)"), "what stands for a text is escaped as well");
    }

    #[test]
    fn times_are_written_as_people_read_them() {
        assert_eq!((when(0).as_str(), when(951_826_500).as_str()), ("1970-01-01 00:00 UTC", "2000-02-29 12:15 UTC"));
    }
}
