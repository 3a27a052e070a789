//! Zstandard files: any number of frames, skippable ones between them.

use std::error::Error;
use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Largest window a frame may ask for: what `zstd -d` accepts without `--long`, 128 MiB.
const MAX_WINDOW_BYTES: u64 = 128 << 20;

/// An empty raw block marked as the last one, and a checksum: ends a frame that the file does not.
const END_OF_FRAME: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];

/// Decompresses all frames of a file.
pub(super) struct ZstdReader<R> {
    source: R,
    decoder: FrameDecoder,
    in_frame: bool,
    failure: Option<io::Error>,
}

impl<R: BufRead> ZstdReader<R> {
    /// A decompressor of `source`.
    pub(super) fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW_BYTES);
        Self {
            source,
            decoder,
            in_frame: false,
            failure: None,
        }
    }

    /// Begins the next frame; `false` at the end of the file.
    fn begin_frame(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.source) {
                Ok(()) => {
                    self.in_frame = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let mut skipped = self.source.by_ref().take(u64::from(length));
                    io::copy(&mut skipped, &mut io::sink())?;
                }
                Err(error) => return Err(zstd_error(&error)),
            }
        }
        Ok(false)
    }

    /// Decodes a block. The decoder keeps the last window back until its frame ends; when the file
    /// ends first, an end of our own gets those bytes out, and the error is told after them.
    fn decode_block(&mut self) {
        let one = || BlockDecodingStrategy::UptoBlocks(1);
        if let Err(error) = self.decoder.decode_blocks(&mut self.source, one()) {
            self.failure = Some(zstd_error(&error));
            let finished = self.decoder.is_finished();
            if !finished
                && self
                    .decoder
                    .decode_blocks(&END_OF_FRAME[..], one())
                    .is_err()
            {
                self.in_frame = false;
            }
        }
    }
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.in_frame {
                if self.decoder.can_collect() > 0 {
                    return self.decoder.read(target);
                }
                if !self.decoder.is_finished() {
                    self.decode_block();
                    continue;
                }
                self.in_frame = false;
            }
            if let Some(error) = self.failure.take() {
                return Err(error);
            }
            if !self.begin_frame()? {
                return Ok(0);
            }
        }
    }
}

/// The error in words. A file that is merely cut is told from a damaged one: the decoder wraps the
/// end of the file in what it was doing, and prints that for programmers.
fn zstd_error(error: &FrameDecoderError) -> io::Error {
    if ends_early(error) {
        return io::Error::new(io::ErrorKind::UnexpectedEof, "incomplete zstd block");
    }
    io::Error::new(io::ErrorKind::InvalidData, format!("zstd data: {error}"))
}

fn ends_early(error: &FrameDecoderError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::UnexpectedEof;
        }
        cause = error.source();
    }
    false
}
