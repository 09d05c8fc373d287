//! An OCI image layout: as a directory, and as the tar archive of one.
//!
//! The layer's digest stands in its name and in the documents before it, so the compressed layer
//! is kept in a file without a name until it is complete. Memory stays bounded.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::entry::Image;
use super::oci::{Blob, OciConfig, config_json, index_json, layout_json, manifest_json};
use super::{Gzip, ImageError, tar, write_tar};

/// A layout, complete but for its place.
struct Layout {
    /// Small files: name in the layout and content.
    documents: Vec<(String, Vec<u8>)>,
    layer: Blob,
    layer_file: File,
}

impl Layout {
    /// Writes the layer into `spool`, then makes the documents for it.
    fn make(image: &Image, config: &OciConfig, spool: File) -> Result<Self, ImageError> {
        let compressed = Hashing::new(BufWriter::new(spool));
        let mut plain = Hashing::new(Gzip::new(compressed));
        write_tar(image, &mut plain)?;
        let (gzip, diff) = plain.finish();
        let (buffered, layer) = gzip.finish()?.finish();
        let mut layer_file = buffered.into_inner().map_err(io::Error::from)?;
        layer_file.rewind()?;

        let config_text = config_json(config, &diff.digest);
        let config_blob = blob_of(&config_text);
        let manifest_text = manifest_json(&config_blob, &layer);
        let manifest_blob = blob_of(&manifest_text);
        let index = index_json(config, &manifest_blob);
        Ok(Self {
            documents: vec![
                (blob_name(&config_blob), config_text),
                (blob_name(&manifest_blob), manifest_text),
                ("index.json".to_string(), index),
                ("oci-layout".to_string(), layout_json()),
            ],
            layer,
            layer_file,
        })
    }
}

/// Writes the tar archive that `podman load`, skopeo's `oci-archive:` and `ctr image import` take.
/// `spool` is an empty file, best on the file system of the output.
///
/// # Errors
/// A file that cannot be read, or `out` or `spool` cannot take it.
pub fn write_oci_archive(
    image: &Image,
    config: &OciConfig,
    spool: File,
    out: &mut dyn Write,
) -> Result<(), ImageError> {
    let mut layout = Layout::make(image, config, spool)?;
    let modified = config.created;
    tar::write_directory("blobs", modified, out)?;
    tar::write_directory("blobs/sha256", modified, out)?;
    for (name, text) in &layout.documents {
        tar::write_file(name, text.len() as u64, modified, out, |out| {
            Ok(out.write_all(text)?)
        })?;
    }
    let name = blob_name(&layout.layer);
    tar::write_file(&name, layout.layer.size, modified, out, |out| {
        copy(&mut layout.layer_file, out)
    })?;
    tar::finish(out)
}

/// Makes the layout the directory `target`, which is absent or empty. It is made beside, then
/// renamed; a failure leaves nothing.
///
/// # Errors
/// A file that cannot be read, or a file of the layout that cannot be made; ENOTEMPTY when
/// `target` has something in it.
pub fn write_oci_directory(
    image: &Image,
    config: &OciConfig,
    target: &Path,
) -> Result<(), ImageError> {
    let mut beside = super::output::beside(target);
    beside.push(std::process::id().to_string());
    let at = super::output::parent(target).join(beside);
    let mut made = Made::default();
    let done = fill(image, config, &at, &mut made).and_then(|()| {
        std::fs::rename(&at, target).map_err(|source| ImageError::Host {
            path: target.to_path_buf(),
            source,
        })
    });
    if done.is_err() {
        made.remove();
    }
    done
}

fn fill(image: &Image, config: &OciConfig, at: &Path, made: &mut Made) -> Result<(), ImageError> {
    made.directory(at.to_path_buf())?;
    made.directory(at.join("blobs"))?;
    made.directory(at.join("blobs/sha256"))?;
    let spool = super::output::spool(at)?;
    let mut layout = Layout::make(image, config, spool)?;
    for (name, text) in &layout.documents {
        made.file(at.join(name), |file| Ok(file.write_all(text)?))?;
    }
    made.file(at.join(blob_name(&layout.layer)), |file| {
        copy(&mut layout.layer_file, file)
    })
}

/// What was made, for taking it away again: by name and type, never recursively.
#[derive(Default)]
struct Made {
    directories: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Made {
    fn directory(&mut self, path: PathBuf) -> Result<(), ImageError> {
        let made = std::fs::create_dir(&path);
        made.map_err(|source| ImageError::Host {
            path: path.clone(),
            source,
        })?;
        self.directories.push(path);
        Ok(())
    }

    fn file(
        &mut self,
        path: PathBuf,
        content: impl FnOnce(&mut File) -> Result<(), ImageError>,
    ) -> Result<(), ImageError> {
        let host = |source| ImageError::Host {
            path: path.clone(),
            source,
        };
        let mut file = File::create_new(&path).map_err(host)?;
        self.files.push(path.clone());
        content(&mut file)?;
        file.sync_all().map_err(host)
    }

    /// The first error is already on its way to the user; what cannot be removed is logged.
    fn remove(&self) {
        let files = self
            .files
            .iter()
            .map(|path| (path, std::fs::remove_file(path)));
        let directories = self.directories.iter().rev();
        let directories = directories.map(|path| (path, std::fs::remove_dir(path)));
        for (path, removed) in files.chain(directories) {
            if let Err(error) = removed {
                tracing::error!(?path, %error, "left behind");
            }
        }
    }
}

fn copy(from: &mut File, out: &mut dyn Write) -> Result<(), ImageError> {
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => out.write_all(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn blob_name(blob: &Blob) -> String {
    format!("blobs/sha256/{}", blob.digest)
}

fn blob_of(text: &[u8]) -> Blob {
    Blob {
        digest: hex(&Sha256::digest(text)),
        size: text.len() as u64,
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").ok();
    }
    text
}

/// Hashes and counts what passes through.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
    size: u64,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            size: 0,
        }
    }

    fn finish(self) -> (W, Blob) {
        let digest = hex(&self.hash.finalize());
        let size = self.size;
        (self.inner, Blob { digest, size })
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_named_by_its_sha256() {
        // FIPS 180-2, "abc".
        let blob = blob_of(b"abc");
        assert_eq!(
            blob.digest,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(blob.size, 3);
    }
}
