//! Opens an input, and finds out what it is by its first bytes.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use crate::model::Compression;

use super::window::Window;
use super::zstd::ZstdReader;

/// Where a capture comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file.
    File(PathBuf),
    /// Standard input, `-` on the command line.
    Stdin,
}

impl Input {
    /// The input that a command-line argument names.
    pub fn from_argument(argument: impl Into<PathBuf>) -> Self {
        let path = argument.into();
        if path.as_os_str() == "-" {
            Self::Stdin
        } else {
            Self::File(path)
        }
    }

    /// Its name as on the command line.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Stdin => "-".to_owned(),
        }
    }
}

/// Why an input cannot be read as a capture. What is wrong further on in a file is no error: it
/// stands in the file's summary.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refuses it.
    #[error("opening {file}")]
    Io {
        /// Name of the input.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// The operating system refuses it to this user.
    #[error("opening {file}: you may not read it; try sudo, or ask its owner for `chmod a+r`")]
    NotPermitted {
        /// Name of the input.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// It is compressed, and its first bytes cannot be decompressed.
    #[error("{file} cannot be decompressed: {what}")]
    NotDecompressed {
        /// Name of the input.
        file: String,
        /// What the decompressor says.
        what: String,
    },
    /// It begins with bytes of no format we know.
    #[error(
        "{file} is not a capture: begins with {begins_with}; \
         expected pcap or pcapng, possibly gzip or zstd"
    )]
    NotACapture {
        /// Name of the input.
        file: String,
        /// Its first bytes in words.
        begins_with: String,
    },
    /// It ends before it says what it is.
    #[error("{file} is not a capture: {what}; expected pcap or pcapng, possibly gzip or zstd")]
    TooShort {
        /// Name of the input.
        file: String,
        /// What is there.
        what: String,
    },
    /// More inputs than are read at once.
    #[error("{given} inputs are more than the limit of {limit}; merge some with mergecap first")]
    TooMany {
        /// How many were given.
        given: usize,
        /// How many are read.
        limit: usize,
    },
}

/// An input after its compression has been found out.
pub(super) struct Opened {
    /// Its bytes, decompressed.
    pub(super) window: Window,
    /// Compression around it.
    pub(super) compression: Compression,
    /// Bytes read so far, compressed ones if compressed.
    pub(super) bytes_read: Arc<AtomicU64>,
    /// Size of the file; unknown of pipes.
    pub(super) bytes_total: Option<u64>,
}

/// Counts the bytes that pass.
struct Counted<R> {
    source: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(target)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Opens `input` and looks through its compression.
pub(super) fn open(input: &Input) -> Result<Opened, OpenError> {
    let refuse = |source: io::Error| {
        let file = input.name();
        match source.kind() {
            io::ErrorKind::PermissionDenied => OpenError::NotPermitted { file, source },
            _ => OpenError::Io { file, source },
        }
    };
    match input {
        Input::Stdin => open_reader(io::stdin(), None).map_err(refuse),
        Input::File(path) => {
            let file = File::open(path).map_err(refuse)?;
            let facts = file.metadata().map_err(refuse)?;
            let size = facts.is_file().then_some(facts.len());
            open_reader(file, size).map_err(refuse)
        }
    }
}

/// Looks through the compression of `source`.
pub(super) fn open_reader(
    source: impl Read + Send + 'static,
    bytes_total: Option<u64>,
) -> io::Result<Opened> {
    let bytes_read = Arc::new(AtomicU64::new(0));
    let mut source = Counted {
        source,
        count: Arc::clone(&bytes_read),
    };
    let (begin, len) = read_begin(&mut source)?;
    let begin = io::Cursor::new(begin).take(len as u64);
    let compression = compression_of(*begin.get_ref().get_ref());
    let whole = begin.chain(source);
    let reader: Box<dyn Read + Send> = match compression {
        Compression::None => Box::new(whole),
        Compression::Gzip => Box::new(MultiGzDecoder::new(whole)),
        Compression::Zstd => Box::new(ZstdReader::new(BufReader::new(whole))),
    };
    Ok(Opened {
        window: Window::new(reader),
        compression,
        bytes_read,
        bytes_total,
    })
}

/// The first four bytes, or as many as there are.
fn read_begin(source: &mut impl Read) -> io::Result<([u8; 4], usize)> {
    let mut begin = [0; 4];
    let mut len = 0;
    while let Some(free) = begin.get_mut(len..).filter(|free| !free.is_empty()) {
        match source.read(free) {
            Ok(0) => break,
            Ok(count) => len += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((begin, len))
}

fn compression_of(begin: [u8; 4]) -> Compression {
    match begin {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// The first bytes of a file in words, with the formats that people mistake for captures.
pub(super) fn describe_begin(begin: &[u8]) -> String {
    let known = match begin {
        [b'P', b'K', 3, 4, ..] => "a zip archive",
        [0xfd, b'7', b'z', b'X', ..] => "xz compression, which is not read",
        [b'B', b'Z', b'h', ..] => "bzip2 compression, which is not read",
        [0x04, 0x22, 0x4d, 0x18, ..] => "lz4 compression, which is not read",
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => "another layer of compression",
        [0x7f, b'E', b'L', b'F', ..] => "a program",
        [b's', b'n', b'o', b'o', ..] => "a snoop capture, which is not read",
        [b'{' | b'[', ..] => "JSON text",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let text: String = begin.iter().map(|byte| char::from(*byte)).collect();
    if text.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        return format!("the text {text:?}");
    }
    let bytes: Vec<String> = begin.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("the bytes {}", bytes.join(" "))
}
