//! What may be set for parsers, with the peer's defaults.

use crate::{body::Window, digest::Which};

/// Settings of all parsers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is passed on must have been looked at before.
    pub inline: bool,
    /// HTTP.
    pub http: Http,
    /// Files of mails.
    pub mail: Window,
    /// Files of other applications.
    pub files: Window,
    /// How events of DNS are written.
    pub dns: crate::dns::Form,
    /// What events of TLS tell.
    pub tls: crate::tls::Fields,
    /// Applications that are not looked for.
    pub disabled: Vec<ips_rules::header::App>,
    /// MQTT.
    pub mqtt: crate::mqtt::Limits,
}

/// Settings of HTTP/1.
#[derive(Debug, Clone)]
pub struct Http {
    /// Normalisation and limits of lines, headers and codings.
    pub reading: ips_htp::Settings,
    /// Bodies of requests.
    pub request: Window,
    /// Bodies of answers.
    pub response: Window,
}

const KIB: u64 = 1 << 10;

impl Settings {
    /// The peer's defaults; `inline` where packets wait for the verdict.
    pub fn new(inline: bool) -> Self {
        // The peer's defaults of `request-body-limit`, `-minimal-inspect-size` and `-inspect-window`, and the same of the response.
        let digests = Which::default();
        let request = Window { limit: 100 * KIB, minimum: 32 * KIB, window: 4 * KIB, inline, digests };
        let response = Window { limit: 100 * KIB, minimum: 40 * KIB, window: 16 * KIB, inline, digests };
        // The peer's `content-limit`, `content-inspect-min-size` and `content-inspect-window` of mail; elsewhere it has no limit, which a
        // file in a window does not need either, but that its size is told.
        let http = Http { reading: ips_htp::Settings::default(), request, response };
        let mail = Window { limit: 100_000, minimum: 32_768, window: 4096, inline, digests };
        let files = Window { limit: u64::MAX, minimum: 0, window: 16 * KIB, inline: true, digests };
        Self {
            inline,
            http,
            mail,
            files,
            dns: crate::dns::Form::default(),
            tls: crate::tls::Fields::default(),
            disabled: Vec::new(),
            mqtt: crate::mqtt::Limits::default(),
        }
    }
}

impl Settings {
    /// Has these digests made of all files, besides those that are made already.
    pub fn digest(&mut self, which: Which) {
        for window in [&mut self.http.request, &mut self.http.response, &mut self.mail, &mut self.files] {
            window.digests = window.digests.and(which);
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(false)
    }
}
