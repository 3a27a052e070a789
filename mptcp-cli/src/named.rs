//! A writer whose errors say where it writes to.

use std::io::{self, Write};

/// Passes everything on to `inner`; when that fails, the error names the place.
#[derive(Debug)]
pub struct NamedWriter<W> {
    name: String,
    inner: W,
}

/// Writing failed.
#[derive(Debug, thiserror::Error)]
#[error("writing to {name}")]
struct WriteError {
    name: String,
    source: io::Error,
}

impl<W> NamedWriter<W> {
    /// `inner`, which people know as `name`.
    pub fn new(name: impl Into<String>, inner: W) -> Self {
        let name = name.into();
        NamedWriter { name, inner }
    }

    /// The kind stays, so that a closed pipe can still be told from a full disk.
    fn name<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|source| match source.kind() {
            // Callers try again, so nobody reads this one.
            io::ErrorKind::Interrupted => source,
            kind => io::Error::new(
                kind,
                WriteError {
                    name: self.name.clone(),
                    source,
                },
            ),
        })
    }
}

impl<W: Write> Write for NamedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.inner.write(bytes);
        self.name(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.inner.flush();
        self.name(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn an_error_names_the_place_and_keeps_its_kind() {
        let mut writer = NamedWriter::new("out.pcapng", Full);
        let error = writer.write(b"x").expect_err("the disk is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let text = format!("{:#}", anyhow::Error::from(error));
        assert_eq!(text, "writing to out.pcapng: no storage space");
        let error = writer.flush().expect_err("the pipe is closed");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
