//! TLS where the URL asks for it, with the machine's own authorities. Lotus itself has none: it stands behind a proxy that does.

use crate::wire::fault;
use deadline::{Fault, Trouble};
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};
use std::sync::Arc;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn none() -> Fault {
    fault(Trouble::NotAsked, "this machine has no certificate authorities: apt install ca-certificates")
}

/// For HTTP.
pub(crate) fn for_http() -> Result<TlsConfig, Fault> {
    let roots: Vec<Certificate<'static>> =
        rustls_native_certs::load_native_certs().certs.iter().map(|c| Certificate::from_der(c).to_owned()).collect();
    if roots.is_empty() {
        return Err(none());
    }
    let config = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(RootCerts::Specific(Arc::new(roots)));
    Ok(config.unversioned_rustls_crypto_provider(provider()).build())
}

/// For WebSocket.
pub(crate) fn for_ws() -> Result<Arc<ClientConfig>, Fault> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        return Err(none());
    }
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| fault(Trouble::NotAsked, format!("TLS: {e}")))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
