//! Bytes in JSON: a string where they are UTF-8, an array of numbers where they are not.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Utf8(String),
    Bytes(Vec<u8>),
}

impl Text {
    fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Utf8(text.to_owned()),
            Err(_) => Self::Bytes(bytes.to_vec()),
        }
    }

    fn into_os(self) -> OsString {
        match self {
            Self::Utf8(text) => text.into(),
            Self::Bytes(bytes) => OsString::from_vec(bytes),
        }
    }
}

pub(super) mod path {
    use super::{Deserialize, Deserializer, OsStrExt, Path, PathBuf, Serialize, Serializer, Text};

    pub(crate) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        Text::new(path.as_os_str().as_bytes()).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        Text::deserialize(from).map(|text| PathBuf::from(text.into_os()))
    }
}

pub(super) mod words {
    use super::{Deserialize, Deserializer, OsStrExt, OsString, Serialize, Serializer, Text};

    pub(crate) fn serialize<S: Serializer>(words: &[OsString], to: S) -> Result<S::Ok, S::Error> {
        let texts: Vec<Text> = words
            .iter()
            .map(|word| Text::new(word.as_bytes()))
            .collect();
        texts.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<OsString>, D::Error> {
        Vec::<Text>::deserialize(from).map(|all| all.into_iter().map(Text::into_os).collect())
    }
}
