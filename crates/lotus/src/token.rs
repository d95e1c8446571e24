//! Tokens. In comes a file, out comes its token, which no text of ours can show. A file that others may read is refused, as lotus refuses
//! such key files.

use deadline::{Fault, Trouble};
use facts::secret::{Redacted, SecretKind};
use std::{fmt, io::Read, os::unix::fs::MetadataExt, path::Path};

/// Largest token file in bytes: lotus' tokens have some 140, Forest's 200.
const MAX_TOKEN: u64 = 8_192;
/// Permissions of others and of the group.
const OTHERS: u32 = 0o077;

/// A token of an API.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Redacted(SecretKind::ApiToken))
    }
}

impl Token {
    /// From text: one word of printable characters.
    pub fn new(text: &str) -> Option<Self> {
        let word = text.trim();
        let fine = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b));
        fine.then(|| Self(word.to_owned()))
    }
    /// From a file.
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let fault = |why: String| Fault { trouble: Trouble::NotAsked, why };
        let shown = path.display();
        let file = std::fs::File::open(path).map_err(|e| fault(format!("its token file {shown}: {e}")))?;
        let is = file.metadata().map_err(|e| fault(format!("its token file {shown}: {e}")))?;
        if !is.is_file() {
            return Err(fault(format!("its token file {shown} is no file")));
        }
        if is.mode() & OTHERS != 0 {
            return Err(fault(format!("its token file {shown} can be read by others: chmod 600 {shown}")));
        }
        let mut text = String::new();
        let read = file.take(MAX_TOKEN + 1).read_to_string(&mut text).map_err(|e| fault(format!("its token file {shown}: {e}")))?;
        if read as u64 > MAX_TOKEN {
            return Err(fault(format!("its token file {shown} is larger than a token can be")));
        }
        Self::new(&text)
            .ok_or_else(|| fault(format!("its token file {shown} holds no token: one word, as `lotus auth create-token` prints it")))
    }
    /// For the `Authorization` header, and nothing else.
    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::new(" eyJhbGciOiJIUzI1NiJ9.eyJBbGxvdyI6WyJyZWFkIl19.c2ln\n").expect("a token");
        assert_eq!(format!("{token:?}"), "[redacted: token]");
        assert!(token.bearer().starts_with("Bearer eyJ"));
        assert!(Token::new("a\r\nX: y").is_none() && Token::new("  ").is_none() && Token::new("two words").is_none());
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("token");
        let refused = |path: &Path| Token::read(path).expect_err("refused").why;
        assert!(refused(&path).contains("token file"));
        std::fs::write(&path, "eyJhbGciOi.J9.x\n").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("mode");
        assert!(refused(&path).contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("mode");
        assert!(Token::read(&path).is_ok());
        std::fs::write(&path, "x".repeat(9_000)).expect("written");
        assert!(refused(&path).contains("larger"));
        std::fs::write(&path, "TOKEN:/ip4/ 127.0.0.1").expect("written");
        assert!(refused(&path).contains("holds no token") && !refused(&path).contains("ip4"));
        assert!(refused(dir.path()).contains("no file"));
    }
}
