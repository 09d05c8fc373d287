//! grub.cfg, as far as it says what is started from where. It is a script; variables are not
//! followed, and what cannot be known is not guessed.

use super::config::{Config, Entry, Format, empty};
use crate::model::RootPath;

const LONGEST_LINE: usize = 64 << 10;
const MOST_ENTRIES: usize = 500;

/// Reads a whole grub.cfg.
#[must_use]
pub fn parse(path: &RootPath, text: &str) -> Config {
    let mut config = empty(path, Format::Grub);
    let mut state = State::default();
    for (at, line) in text.lines().enumerate() {
        if line.len() <= LONGEST_LINE {
            state.line(at + 1, line.trim(), &mut config);
        }
    }
    state.close(&mut config);
    if state.open_entry || state.depth > 0 {
        config.broken = Some("it is cut off: a block has no closing brace".into());
    } else if config.entries.is_empty() && !config.refers {
        config.broken = Some("it has no menu entry".into());
    }
    let default = state.default.unwrap_or_else(|| "0".into());
    mark_default(&mut config.entries, &default, &state.tops);
    config
}

#[derive(Default)]
struct State {
    /// Braces of menuentry, submenu and function blocks that are open.
    depth: usize,
    /// Depth at which submenus opened.
    submenus: Vec<usize>,
    open_entry: bool,
    entry_depth: usize,
    current: Entry,
    /// For each entry of the top level and each submenu, the index of its first entry.
    tops: Vec<Option<usize>>,
    default: Option<String>,
}

impl State {
    fn line(&mut self, number: usize, line: &str, config: &mut Config) {
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        let words = words(line);
        let Some(first) = words.first().map(String::as_str) else {
            return;
        };
        let opens = line.ends_with('{');
        match first {
            "menuentry" => {
                self.close(config);
                self.open_entry = true;
                self.entry_depth = self.depth;
                let title = words.get(1).cloned().unwrap_or_default();
                self.current = Entry {
                    minor: !self.submenus.is_empty() || title.contains("recovery mode"),
                    title,
                    ..Entry::default()
                };
                if self.submenus.is_empty() {
                    self.tops.push(Some(config.entries.len()));
                }
            }
            "submenu" => {
                if self.submenus.is_empty() {
                    self.tops.push(Some(config.entries.len()));
                }
                self.submenus.push(self.depth);
            }
            "linux" | "linuxefi" | "linux16" if self.open_entry => {
                self.current.line = number;
                self.current.kernel = words.get(1).cloned();
                self.current.options = words.get(2..).unwrap_or_default().join(" ");
            }
            "initrd" | "initrdefi" | "initrd16" if self.open_entry => {
                self.current
                    .initrds
                    .extend(words.get(1..).unwrap_or_default().iter().cloned());
            }
            "search" | "search.fs_uuid" => self.search(number, first, &words, config),
            "configfile" | "blscfg" | "source" | "." => config.refers = true,
            "set" => {
                let value = words.get(1).and_then(|word| word.strip_prefix("default="));
                if let Some(value) = value.filter(|value| !value.contains('$')) {
                    self.default.get_or_insert_with(|| value.to_string());
                }
            }
            _ => {}
        }
        if opens {
            self.depth += 1;
        } else if line == "}" {
            self.depth = self.depth.saturating_sub(1);
            if self.open_entry && self.depth == self.entry_depth {
                self.close(config);
            } else if self.submenus.last() == Some(&self.depth) {
                self.submenus.pop();
            }
        }
    }

    fn search(&mut self, number: usize, first: &str, words: &[String], config: &mut Config) {
        let by_uuid = first == "search.fs_uuid"
            || words.iter().any(|word| word == "--fs-uuid" || word == "-u");
        let is_uuid = |word: &&String| {
            word.len() >= 8 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
        };
        let Some(uuid) = words.iter().skip(1).rfind(is_uuid).filter(|_| by_uuid) else {
            return;
        };
        if self.open_entry {
            self.current.search = Some((number, uuid.clone()));
        } else if config.searches.len() < MOST_ENTRIES {
            config.searches.push((number, uuid.clone()));
        }
    }

    fn close(&mut self, config: &mut Config) {
        if std::mem::take(&mut self.open_entry) && config.entries.len() < MOST_ENTRIES {
            config.entries.push(std::mem::take(&mut self.current));
        }
    }
}

/// `set default="0"`, `"1>2"`, or a title.
fn mark_default(entries: &mut [Entry], default: &str, tops: &[Option<usize>]) {
    let first = default.split('>').next().unwrap_or_default();
    let index = match first.parse::<usize>() {
        Ok(number) => tops.get(number).copied().flatten(),
        Err(_) => entries.iter().position(|entry| entry.title == first),
    };
    if let Some(entry) = index.and_then(|index| entries.get_mut(index)) {
        entry.default = true;
    }
}

/// Splits as GRUB's shell does: blanks, both quotes, a backslash.
fn words(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = String::new();
    let mut begun = false;
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some('\''), _) => word.push(letter),
            (_, '\\') => word.extend(letters.next()),
            (Some(_), _) => word.push(letter),
            (None, '\'' | '"') => (quote, begun) = (Some(letter), true),
            (None, ' ' | '\t' | ';') => {
                if begun || !word.is_empty() {
                    found.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            (None, _) => word.push(letter),
        }
    }
    if begun || !word.is_empty() {
        found.push(word);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CFG: &str = r#"
if [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
else
   set default="0"
fi
function gfxmode {
	set gfxpayload="${1}"
}
search --no-floppy --fs-uuid --set=root 1111-aaaa
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'x' {
	insmod ext2
	if [ x$feature_platform_search_hint = xy ]; then
	  search --no-floppy --fs-uuid --set=root --hint-bios=hd0,gpt2  9d2f62a8-8e6e-4b11-a7b7-64d0ff8b6ad1
	fi
	linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=9d2f62a8-8e6e-4b11-a7b7-64d0ff8b6ad1 ro  quiet
	initrd	/boot/initrd.img-6.1.0-40-amd64
}
submenu 'Advanced options' $menuentry_id_option 'y' {
	menuentry 'Debian, with Linux 6.1.0-9 (recovery mode)' {
		linux /boot/vmlinuz-6.1.0-9 root=/dev/sda1 single
	}
}
"#;

    #[test]
    fn entries_come_with_their_lines_and_the_default() {
        let config = parse(&RootPath::new("/boot/grub/grub.cfg"), CFG);
        assert_eq!(config.broken, None);
        assert_eq!(config.entries.len(), 2);
        let first = &config.entries[0];
        assert_eq!(
            first.kernel.as_deref(),
            Some("/boot/vmlinuz-6.1.0-40-amd64")
        );
        assert_eq!(
            first.root(),
            Some("UUID=9d2f62a8-8e6e-4b11-a7b7-64d0ff8b6ad1")
        );
        assert_eq!((first.line, first.default, first.minor), (19, true, false));
        assert_eq!(first.search.as_ref().map(|it| it.0), Some(17));
        assert!(config.entries[1].minor && !config.entries[1].default);
        assert_eq!(config.searches.len(), 1);
    }

    #[test]
    fn what_is_cut_off_or_empty_says_so() {
        let path = RootPath::new("/g");
        let cut = &CFG[..CFG.find("initrd").unwrap()];
        assert!(parse(&path, cut).broken.unwrap().contains("cut off"));
        assert!(parse(&path, "set timeout=5\n").broken.is_some());
        assert_eq!(parse(&path, "blscfg\n").broken, None);
    }

    #[test]
    fn quotes_are_grubs() {
        assert_eq!(
            words(r#"set a="b c" 'd"e' f\ g"#),
            ["set", "a=b c", "d\"e", "f g"]
        );
        assert_eq!(words("''"), [""]);
    }
}
