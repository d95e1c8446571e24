//! Secrets: in comes text from a machine, out comes text without secrets and the kinds that were in it.
//!
//! Errs towards taking too much away. Must never keep a secret's content, not its length and not its digest either:
//! both help who guesses.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Kind of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretKind {
    /// Key of a Filecoin wallet: money.
    WalletKey,
    /// Key of a peer identity.
    PeerKey,
    /// Secret that signs API tokens.
    JwtSecret,
    /// API token, JWT.
    ApiToken,
    /// Password.
    Password,
    /// A password that a product ships with: known to everybody.
    DefaultPassword,
    /// Any other private key (TLS, SSH, WireGuard).
    PrivateKey,
    /// Address that lets its holder post (chat, pager).
    Webhook,
    /// Anything else that is called secret.
    Other,
}

impl fmt::Display for SecretKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            SecretKind::WalletKey => "wallet key",
            SecretKind::PeerKey => "peer key",
            SecretKind::JwtSecret => "token-signing secret",
            SecretKind::ApiToken => "token",
            SecretKind::Password => "password",
            SecretKind::DefaultPassword => "default password",
            SecretKind::PrivateKey => "private key",
            SecretKind::Webhook => "webhook",
            SecretKind::Other => "secret",
        })
    }
}

/// A secret that is there. Holds its kind and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Redacted(pub SecretKind);

impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[redacted: {}]", self.0)
    }
}

/// Parts of a key's name that make its value a secret, lower case, without `_` and `-`.
const SECRET_KEYS: [(&str, SecretKind); 12] = [
    ("password", SecretKind::Password),
    ("passwd", SecretKind::Password),
    ("passphrase", SecretKind::Password),
    ("jwtsecret", SecretKind::JwtSecret),
    ("privatekey", SecretKind::PrivateKey),
    ("integrationkey", SecretKind::Webhook),
    ("webhook", SecretKind::Webhook),
    ("apiinfo", SecretKind::ApiToken),
    ("apikey", SecretKind::ApiToken),
    ("token", SecretKind::ApiToken),
    ("secret", SecretKind::Other),
    ("credential", SecretKind::Other),
];

/// Passwords that products ship with.
const DEFAULT_PASSWORDS: [&str; 6] = ["yugabyte", "postgres", "admin", "password", "changeme", "root"];

/// Shortest run of hexadecimal digits taken for key material: 32 bytes.
const HEX_KEY_DIGITS: usize = 64;

/// The kind a name such as `Password`, `--api-key` or `FULLNODE_API_INFO` announces, if any.
pub fn kind_of_name(name: &str) -> Option<SecretKind> {
    let plain: String = name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect();
    // `TokenTTL`, `password_file`, `token-path`: about a secret, not the secret.
    if ["file", "path", "ttl", "length", "minimum", "dir", "encryption", "command", "reload"].iter().any(|end| plain.ends_with(end)) {
        return None;
    }
    SECRET_KEYS.iter().find(|(part, _)| plain.contains(part)).map(|&(_, kind)| kind)
}

/// The text without secrets, and what was in it. Line structure is kept.
pub fn redact(text: &str) -> (String, Vec<Redacted>) {
    let mut found = Vec::new();
    let mut out = String::with_capacity(text.len());
    let mut in_pem = false;
    for line in text.split_inclusive('\n') {
        let (body, end) = line.strip_suffix('\n').map_or((line, ""), |b| (b, "\n"));
        if in_pem {
            in_pem = !body.contains("-----END");
        } else if let Some((before, _)) = body.split_once("-----BEGIN").filter(|(_, rest)| rest.contains("PRIVATE KEY")) {
            in_pem = !body.contains("-----END");
            push(&mut out, &mut found, before, SecretKind::PrivateKey);
        } else {
            redact_line(body, &mut out, &mut found);
        }
        out.push_str(end);
    }
    found.sort_unstable();
    found.dedup();
    (out, found)
}

/// Arguments of a command without secrets; understands `--token X` besides `--token=X`.
pub fn redact_argv<S: AsRef<str>>(argv: &[S]) -> Vec<String> {
    let mut announced: Option<SecretKind> = None;
    argv.iter()
        .map(|arg| {
            let arg = arg.as_ref();
            match announced.take() {
                Some(kind) if !arg.starts_with('-') => Redacted(kind).to_string(),
                _ => {
                    announced = arg.strip_prefix('-').filter(|a| !a.contains('=')).and_then(kind_of_name);
                    redact(arg).0
                }
            }
        })
        .collect()
}

fn push(out: &mut String, found: &mut Vec<Redacted>, before: &str, kind: SecretKind) {
    out.push_str(before);
    out.push_str(&Redacted(kind).to_string());
    found.push(Redacted(kind));
}

/// One line: `key = value` where the key announces a secret, else word by word.
fn redact_line(line: &str, out: &mut String, found: &mut Vec<Redacted>) {
    let mut left = line;
    while let Some(value) = redact_setting(left, out, found) {
        left = value;
    }
}

/// The first `name = value` of a line; what is left to look at, if anything is.
fn redact_setting<'a>(line: &'a str, out: &mut String, found: &mut Vec<Redacted>) -> Option<&'a str> {
    let Some(at) = line.find(['=', ':']) else {
        redact_words(line, out, found);
        return None;
    };
    let (head, rest) = line.split_at(at);
    // The name is the last word before the sign: `Environment="FULLNODE_API_INFO=..."` is met on the second turn.
    let name = head.rsplit([' ', '\t', '"', '\'', ',', '{', ';']).find(|w| !w.is_empty()).unwrap_or("");
    let sign_end = 1 + rest[1..].len() - rest[1..].trim_start_matches([' ', '\t']).len();
    let (sign, value) = rest.split_at(sign_end);
    let is_url = rest.starts_with("://");
    match kind_of_name(name).filter(|_| !is_url && !harmless(value)) {
        Some(kind) => {
            let bare = value.trim().trim_matches(['"', '\'', ',']);
            let kind = if DEFAULT_PASSWORDS.contains(&bare) { SecretKind::DefaultPassword } else { kind };
            out.push_str(head);
            push(out, found, sign, kind);
            None
        }
        None if is_url => {
            redact_words(line, out, found);
            None
        }
        None => {
            redact_words(head, out, found);
            out.push_str(sign);
            Some(value)
        }
    }
}

/// Nothing, a number or a truth value: configuration, not a secret.
fn harmless(value: &str) -> bool {
    let bare = value.trim().trim_matches(['"', '\'', ',']);
    bare.is_empty() || ["true", "false", "null", "nil"].contains(&bare) || (bare.len() < 6 && bare.bytes().all(|b| b.is_ascii_digit()))
}

/// Words that are secrets by their own look.
fn redact_words(text: &str, out: &mut String, found: &mut Vec<Redacted>) {
    for word in text.split_inclusive([' ', '\t', '"', '\'', ',', ';']) {
        let end = word.len() - word.trim_end_matches([' ', '\t', '"', '\'', ',', ';']).len();
        let (body, tail) = word.split_at(word.len() - end);
        redact_word(body, out, found);
        out.push_str(tail);
    }
}

fn redact_word(word: &str, out: &mut String, found: &mut Vec<Redacted>) {
    if let Some(at) = word.find("eyJ").filter(|&at| word[at..].matches('.').count() >= 2) {
        return push(out, found, &word[..at], SecretKind::ApiToken);
    }
    if let Some((scheme, rest)) = word.split_once("://") {
        if let Some((before, after)) = rest.split_once('@').filter(|(b, _)| b.contains(':') && !b.contains('/')) {
            let (user, password) = before.split_once(':').unwrap_or((before, ""));
            let kind = if DEFAULT_PASSWORDS.contains(&password) { SecretKind::DefaultPassword } else { SecretKind::Password };
            push(out, found, &format!("{scheme}://{user}:"), kind);
            out.push('@');
            return out.push_str(after);
        }
        if rest.starts_with("hooks.slack.com/") || rest.starts_with("discord.com/api/webhooks/") {
            let host = rest.split('/').next().unwrap_or("");
            return push(out, found, &format!("{scheme}://{host}/"), SecretKind::Webhook);
        }
    }
    let longest = word.split(|c: char| !c.is_ascii_hexdigit()).map(str::len).max().unwrap_or(0);
    if longest >= HEX_KEY_DIGITS {
        // 7b2254797065 is `{"Type` in hexadecimal: how wallets are exported.
        let kind = if word.contains("7b2254797065") { SecretKind::WalletKey } else { SecretKind::Other };
        return push(out, found, "", kind);
    }
    out.push_str(word);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const JWT: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJBbGxvdyI6WyJyZWFkIl19.abcDEF123_-";

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let cases = [
            (format!("Environment=\"FULLNODE_API_INFO={JWT}:/ip4/10.0.0.1/tcp/1234/http\""), SecretKind::ApiToken),
            (format!("curl -H Authorization: Bearer {JWT}"), SecretKind::ApiToken),
            ("Password = \"hunter2hunter2\"".into(), SecretKind::Password),
            ("  Password = \"yugabyte\"".into(), SecretKind::DefaultPassword),
            ("dsn: postgres://curio:hunter2hunter2@10.0.0.9:5433/yb".into(), SecretKind::Password),
            ("hook = https://hooks.slack.com/services/T0/B0/hunter2hunter2".into(), SecretKind::Webhook),
            (format!("7b2254797065223a22{}", "ab".repeat(40)), SecretKind::WalletKey),
            ("PagerDutyIntegrationKey = \"hunter2hunter2\"".into(), SecretKind::Webhook),
        ];
        for (text, kind) in cases {
            let (clean, found) = redact(&text);
            assert_eq!(found, [Redacted(kind)], "{text} -> {clean}");
            assert!(!clean.contains("hunter2") && !clean.contains("eyJ") && !clean.contains("abab"), "{clean}");
        }
    }

    #[test]
    fn plain_configuration_is_untouched() {
        for text in [
            "password_encryption = scram-sha-256",
            "ListenAddress = \"/ip4/0.0.0.0/tcp/1234/http\"",
            "EnableWebhook = false",
            "Password = \"\"",
            "User=lotus",
        ] {
            assert_eq!(redact(text), (text.to_owned(), vec![]));
        }
    }

    #[test]
    fn a_private_key_goes_whole() {
        let (clean, found) = redact("a\n-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\n-----END EC PRIVATE KEY-----\nb\n");
        assert_eq!(clean, "a\n[redacted: private key]\n\n\nb\n");
        assert_eq!(found, [Redacted(SecretKind::PrivateKey)]);
    }

    #[test]
    fn a_long_line_of_settings_needs_no_deep_stack() {
        assert_eq!(redact(&"a=".repeat(200_000)).1, []);
    }

    #[test]
    fn arguments_announce_secrets() {
        let argv = ["curio", "--db-password", "hunter2", "--db-host=10.0.0.1", "--token=abc123x", "--token-path", "/x"];
        assert_eq!(
            redact_argv(&argv),
            ["curio", "--db-password", "[redacted: password]", "--db-host=10.0.0.1", "--token=[redacted: token]", "--token-path", "/x"]
        );
    }

    proptest! {
        #[test]
        fn a_token_never_survives(before in "[ -~]{0,20}", after in "[ -~]{0,20}") {
            let (clean, _) = redact(&format!("{before} {JWT} {after}"));
            prop_assert!(!clean.contains(JWT));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let lines = text.matches('\n').count();
            prop_assert_eq!(redact(&text).0.matches('\n').count(), lines);
        }
    }
}
