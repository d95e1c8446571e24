//! Applications: bytes of a conversation in, transactions and their buffers out. Pure: no clock, network or file system.
//! Every parser is total, bounded and incremental.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on ends"))]

pub mod base64;
pub mod body;
pub mod calendar;
pub mod dcerpc;
pub mod digest;
pub mod dns;
pub mod ftp;
mod held;
pub mod http;
pub mod http2;
pub mod identify;
pub mod json;
mod lines;
pub mod mqtt;
mod open;
pub mod quic;
pub mod settings;
pub mod sip;
pub mod smb;
pub mod smtp;
pub mod ssh;
pub mod tls;
pub mod transaction;
#[cfg(test)]
mod trial;
pub mod websocket;

pub use identify::{Identified, Ports, Transport, identify};
pub use settings::Settings;
pub use transaction::{Expected, File, FileState, Input, Interface, Parser, Piece, Step, Toward, Transaction};

use ips_rules::header::App;

/// Parsers with settings, ready to begin conversations.
#[derive(Clone)]
pub struct Parsers {
    settings: Settings,
    http: http::Config,
    shared: std::sync::Arc<settings::Http>,
}

impl Parsers {
    /// Makes what conversations share.
    pub fn new(settings: Settings) -> Self {
        Self { http: http::Config::new(&settings.http), shared: std::sync::Arc::new(settings.http.clone()), settings }
    }

    /// Has these digests made of all files of conversations that begin from now on, besides those that are made already.
    pub fn digest(&mut self, which: digest::Which) {
        if which.any() {
            let mut settings = self.settings.clone();
            settings.digest(which);
            *self = Self::new(settings);
        }
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether an application is to be left alone.
    pub fn disabled(&self, app: App) -> bool {
        self.settings.disabled.iter().any(|d| *d == app || matches!((*d, app), (App::Http, App::Http1)))
    }

    /// Looks at the first bytes of a direction; what is to be left alone is not known.
    pub fn identify(&self, transport: Transport, toward: Toward, prefix: &[u8], ports: Ports) -> Identified {
        match identify::identify(transport, toward, prefix, ports) {
            Identified::Found(app) if self.disabled(app) => Identified::Unknown,
            other => other,
        }
    }

    /// Begins a conversation of an application; none where it is told but not read.
    pub fn start(&self, app: App, transport: Transport) -> Option<Box<dyn Parser>> {
        Some(match app {
            App::Http | App::Http1 => Box::new(http::Http::new(&self.http)),
            App::Dns | App::Mdns | App::Llmnr => Box::new(dns::Dns::new(app, transport == Transport::Tcp, self.settings.dns)),
            App::Smtp => Box::new(smtp::Smtp::new(self.settings.mail)),
            App::Ftp => Box::new(ftp::Ftp::default()),
            App::Smb => Box::new(smb::Smb::new(self.settings.files)),
            App::Mqtt => Box::new(mqtt::Mqtt::new(self.settings.mqtt)),
            App::Sip => Box::new(sip::Sip::new(transport == Transport::Tcp)),
            App::Ssh => Box::new(ssh::Ssh::default()),
            App::Websocket => Box::new(websocket::Websocket::default()),
            App::Quic => Box::new(quic::Quic::default()),
            App::Http2 => Box::new(http2::Http2::new(std::sync::Arc::clone(&self.shared))),
            App::Dcerpc if transport == Transport::Tcp => Box::new(dcerpc::Dcerpc::default()),
            App::Tls => Box::new(tls::Tls::new(self.settings.tls)),
            _ => return None,
        })
    }

    /// Begins a conversation that another announced.
    pub fn start_expected(&self, expected: &Expected) -> Option<Box<dyn Parser>> {
        match expected.app {
            App::FtpData => Some(Box::new(ftp::Data::new(expected, self.settings.files))),
            app => self.start(app, Transport::Tcp),
        }
    }
}
