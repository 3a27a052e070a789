//! Files that a run writes beside its output.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A file that can be written, and has what it had before until there is something to write.
///
/// It is opened early, because root may not write everywhere any more once its capabilities are dropped;
/// and a run that cannot begin must not cost the user the file of the last one.
#[derive(Debug)]
pub(crate) struct OutFile {
    path: PathBuf,
    file: File,
}

impl OutFile {
    /// Makes sure that it can be written.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(false).open(path);
        Ok(Self {
            path: path.to_owned(),
            file: opened.with_context(|| cannot(path))?,
        })
    }

    /// Empties it: now it is written. Gives back its path too, for errors.
    pub(crate) fn begin(self) -> anyhow::Result<(File, PathBuf)> {
        let is_regular = self.file.metadata().is_ok_and(|data| data.is_file());
        if is_regular {
            let emptied = self.file.set_len(0);
            emptied.with_context(|| cannot(&self.path))?;
        }
        Ok((self.file, self.path))
    }
}

/// What an error of such a file begins with.
pub(crate) fn cannot(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_file_keeps_what_it_has_until_it_is_begun() {
        let path = std::env::temp_dir().join(format!("mptcp-tracebox-out-{}", std::process::id()));
        fs::write(&path, "the run before").unwrap();
        drop(OutFile::open(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"the run before");
        let (mut file, _) = OutFile::open(&path).unwrap().begin().unwrap();
        file.write_all(b"now").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"now");
        fs::remove_file(&path).unwrap();
        let (mut device, _) = OutFile::open(Path::new("/dev/null"))
            .unwrap()
            .begin()
            .unwrap();
        device.write_all(b"now").unwrap();
    }
}
