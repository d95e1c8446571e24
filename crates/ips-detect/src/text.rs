//! Looking for one byte string, and the case of letters. Linear in what is looked through, whatever it holds.

use memchr::memmem::Finder;

/// A byte string to look for; where case is ignored it is kept in small letters and looked for in bytes in small letters.
#[derive(Debug)]
pub(crate) struct Needle {
    finder: Finder<'static>,
    pub nocase: bool,
}

impl Needle {
    pub fn new(bytes: &[u8], nocase: bool) -> Self {
        // Without letters there is no case.
        let nocase = nocase && bytes.iter().any(u8::is_ascii_alphabetic);
        let bytes = if nocase { bytes.to_ascii_lowercase() } else { bytes.to_vec() };
        Self { finder: Finder::new(&bytes).into_owned(), nocase }
    }
    pub fn bytes(&self) -> &[u8] {
        self.finder.needle()
    }
    pub fn len(&self) -> usize {
        self.finder.needle().len()
    }
    pub fn find(&self, haystack: &[u8]) -> Option<usize> {
        self.finder.find(haystack)
    }
}

/// Writes bytes in small letters, in place of what was there.
pub(crate) fn lower(bytes: &[u8], into: &mut Vec<u8>) {
    into.clear();
    into.extend_from_slice(bytes);
    into.make_ascii_lowercase();
}
