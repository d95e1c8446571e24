//! Values that are written as one word each: on the command line, in files, in reports. In comes a type with its list `ALL` and its `word`,
//! out come printing and reading, so that what is printed is read again.

/// Gives a type `Display` and `FromStr` from its `ALL` and `word`. `what` stands in the refusal, which names all words: "`x` is no step: lock, verify".
#[macro_export]
macro_rules! by_word {
    ($type:ty, $what:literal) => {
        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.word())
            }
        }

        impl ::std::str::FromStr for $type {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                let known = || Self::ALL.map(Self::word).join(", ");
                Self::ALL.into_iter().find(|v| v.word() == text).ok_or_else(|| format!("`{text}` is no {}: {}", $what, known()))
            }
        }
    };
}

#[cfg(test)]
mod tests {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Way {
        In,
        Out,
    }

    impl Way {
        const ALL: [Way; 2] = [Way::In, Way::Out];
        fn word(self) -> &'static str {
            match self {
                Way::In => "in",
                Way::Out => "out",
            }
        }
    }

    by_word!(Way, "way");

    #[test]
    fn what_is_printed_is_read_and_a_refusal_names_all_words() {
        assert!(Way::ALL.iter().all(|w| w.to_string().parse() == Ok(*w)));
        assert_eq!(format!("[{:<4}]", Way::In), "[in  ]");
        assert_eq!("up".parse::<Way>(), Err("`up` is no way: in, out".to_owned()));
    }
}
