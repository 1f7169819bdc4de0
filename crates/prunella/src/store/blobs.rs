//! Content-addressed files: run reports, reproductions, patches.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use prunella_core::id::BlobId;

use super::StoreError;

/// A directory of blobs, each named by the SHA-256 of its content.
#[derive(Clone, Debug)]
pub struct Blobs {
    dir: PathBuf,
}

impl Blobs {
    /// Opens the directory, creating it if it is not there.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(|source| StoreError::Unwritable {
            path: dir.to_owned(),
            source,
        })?;
        Ok(Self { dir: dir.to_owned() })
    }

    fn path(&self, id: &BlobId) -> PathBuf {
        self.dir.join(&id.as_str()[..2]).join(id.as_str())
    }

    /// Stores the content. When this returns, the blob survives a power cut.
    ///
    /// # Errors
    /// If the directory cannot be written; then there is no blob, never half of one.
    pub fn put(&self, content: &[u8]) -> Result<BlobId, StoreError> {
        let id = BlobId::of(content);
        let path = self.path(&id);
        if self.get(&id).is_ok() {
            return Ok(id);
        }
        write_durably(&path, content).map_err(|source| StoreError::Unwritable { path, source })?;
        Ok(id)
    }

    /// Reads a blob back and checks that it is what its name says.
    ///
    /// # Errors
    /// If it is missing or was changed.
    pub fn get(&self, id: &BlobId) -> Result<Vec<u8>, StoreError> {
        let wrong = |what| StoreError::Blob {
            id: id.to_string(),
            dir: self.dir.clone(),
            what,
        };
        let content = fs::read(self.path(id)).map_err(|_| wrong("is missing"))?;
        if BlobId::of(&content) == *id {
            Ok(content)
        } else {
            Err(wrong("was changed on the disk"))
        }
    }
}

/// Writes a file so that after a crash it has either its old or its new content.
///
/// # Errors
/// What the system says; then the old content is untouched.
pub fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let dir = path
        .parent()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no parent directory"))?;
    fs::create_dir_all(dir)?;
    let mut temp = tempfile::NamedTempFile::new_in(dir)?;
    temp.write_all(content)?;
    temp.as_file().sync_all()?;
    temp.persist(path).map_err(|e| e.error)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_blob_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        let id = blobs.put(b"report").unwrap();
        assert_eq!(blobs.get(&id).unwrap(), b"report");
        fs::write(blobs.path(&id), b"forged").unwrap();
        assert!(blobs.get(&id).unwrap_err().to_string().contains("changed"));
        // Storing it again mends it.
        blobs.put(b"report").unwrap();
        assert_eq!(blobs.get(&id).unwrap(), b"report");
    }
}
