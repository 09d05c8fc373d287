//! What a change of a jail in place is about to make. It is written before the first file and
//! taken away after the new manifest: whoever is killed between leaves files that no manifest
//! lists yet, and this says that they are newroot's.

use serde::{Deserialize, Serialize};

use super::{Entry, MANIFEST_VERSION, ManifestError};

/// Where a jail keeps it, while it is being changed.
pub const PENDING: &str = "/.newroot/pending.json";

/// The paths that a change makes or replaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pending {
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    /// BLAKE3 of the manifest that the change began from: with another one in its place the
    /// change was completed, and this says nothing any more.
    pub manifest: String,
    /// Each path as it shall be. A file that is replaced by a rename has its sum.
    pub entries: Vec<Entry>,
}

impl Pending {
    /// Reads the JSON.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let pending: Self = serde_json::from_slice(bytes)?;
        if pending.version == 0 || pending.version > MANIFEST_VERSION {
            return Err(ManifestError::Version(pending.version));
        }
        Ok(pending)
    }

    /// Writes the JSON.
    ///
    /// # Errors
    /// None that can happen with these types; serde_json's.
    pub fn to_json(&self) -> Result<Vec<u8>, ManifestError> {
        let mut out = serde_json::to_vec(self)?;
        out.push(b'\n');
        Ok(out)
    }
}
