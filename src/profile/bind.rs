//! A bind mount as it is written: `SRC[:DST[:ro]]`.

use std::path::PathBuf;
use std::str::FromStr;

use super::check;
use super::model::Bind;
use crate::model::RootPath;

/// What is wrong with a bind, in words that fit behind the quoted text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BindError(String);

impl FromStr for Bind {
    type Err = BindError;

    /// Both paths are absolute; without DST the bind appears under its own path.
    fn from_str(text: &str) -> Result<Self, BindError> {
        let mut parts = text.split(':');
        let source = parts.next().unwrap_or_default();
        let target = parts.next().unwrap_or(source);
        let read_only = match parts.next() {
            None | Some("rw") => false,
            Some("ro") => true,
            Some(other) => {
                let why = format!("ends in `{other}`: SRC[:DST[:ro]] knows `ro` and `rw` only");
                return Err(BindError(why));
            }
        };
        if parts.next().is_some() {
            return Err(BindError("has too many colons: SRC[:DST[:ro]]".to_string()));
        }
        let side = |name: &str, why: String| BindError(format!("has a wrong {name}: it {why}"));
        check::path(source).map_err(|why| side("SRC", why))?;
        check::path_below_root(target).map_err(|why| side("DST", why))?;
        Ok(Self {
            source: PathBuf::from(source),
            target: RootPath::new(target),
            read_only,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_and_what_is_none() {
        let bind = |text: &str| text.parse::<Bind>();
        let all = bind("/srv/www:/www:ro").unwrap();
        assert_eq!(all.source, PathBuf::from("/srv/www"));
        assert_eq!(all.target, RootPath::new("/www"));
        assert!(all.read_only);
        assert_eq!(bind("/usr").unwrap().target, RootPath::new("/usr"));
        assert!(!bind("/a:/b:rw").unwrap().read_only);
        assert!(bind("/:/host").is_ok());
        for wrong in [
            "",
            "a",
            "/a:b",
            "/a:/b:r",
            "/a:/b:ro:",
            "/a:/",
            "/",
            "/a:",
            "/../a",
        ] {
            assert!(bind(wrong).is_err(), "{wrong}");
        }
    }
}
