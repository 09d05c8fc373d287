//! "Did you mean": the known word that is nearest to the one that was written.

/// The candidate that `word` was probably meant to be; `None` when nothing is near.
///
/// Case, `-` and `_` do not count. Otherwise one slip for each three letters is forgiven, a slip
/// being a letter too many, too few, wrong, or two swapped; a word that was cut short is near
/// its long form.
#[must_use]
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    /// Longer words are no typing slips, and the table below is quadratic.
    const LONGEST: usize = 64;
    let word = plain(word);
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let allowed = (word.len() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let known = plain(candidate);
        if known.len() > LONGEST {
            continue;
        }
        let cut_short = word.len() >= 3 && known.starts_with(&word);
        let distance = if cut_short { 1 } else { slips(&word, &known) };
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn plain(word: &str) -> Vec<char> {
    word.chars()
        .map(|letter| if letter == '-' { '_' } else { letter })
        .flat_map(char::to_lowercase)
        .collect()
}

/// Optimal string alignment distance.
fn slips(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, right) in b.iter().enumerate() {
            let wrong = above[j] + usize::from(left != right);
            let mut least = wrong.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *left == b[j - 1] && a[i - 1] == *right {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_forgiven_and_other_words_are_not() {
        let known = ["programs", "packages", "files", "optional_files", "users"];
        let table = [
            ("program", Some("programs")),
            ("porgrams", Some("programs")),
            ("Programs", Some("programs")),
            ("optional-files", Some("optional_files")),
            ("file", Some("files")),
            ("prog", Some("programs")),
            ("pacakges", Some("packages")),
            ("run", None),
            ("", None),
            ("usrs", Some("users")),
            ("xyz", None),
        ];
        for (word, want) in table {
            assert_eq!(nearest(word, known), want, "{word}");
        }
        assert_eq!(nearest(&"p".repeat(100_000), known), None);
    }
}
