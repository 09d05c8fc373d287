//! A profile's text: no panic and no endless loop, whatever it holds. What parses renders to
//! text that reads back the same, its globs can be matched, and an error points into the text.

use newroot::model::RootPath;
use newroot::profile::{Pattern, parse};

/// Fails by panicking.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match parse(text, "fuzz.toml") {
        Err(error) => {
            assert!(error.line <= text.matches('\n').count() + 1);
            assert!(!error.to_string().is_empty());
            let [line, underline, ..] = &error.excerpt()[..] else {
                panic!("no excerpt");
            };
            assert!(line.chars().count() < 100 && underline.len() < 100);
        }
        Ok(mut profile) => {
            let path = RootPath::new("/usr/lib/python3.11/json/__pycache__/decoder.pyc");
            for pattern in [&profile.files, &profile.optional_files, &profile.exclude]
                .into_iter()
                .flatten()
            {
                let pattern = Pattern::new(pattern).unwrap_or_else(|e| panic!("{e}"));
                assert!(pattern.covers(&path) || !pattern.matches(&path));
            }
            // Included profiles become a comment, and lists hold each entry once after merging.
            profile.include.clear();
            let again = parse(&profile.to_toml(), "fuzz.toml");
            assert_eq!(again.unwrap_or_else(|e| panic!("{e}")), profile);
        }
    }
}
