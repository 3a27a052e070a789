//! How far the reading is, on a terminal, when it takes long enough that a person wonders.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar on standard error that appears late, and only on a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    total: Option<u64>,
    wanted: bool,
    began: Instant,
    packets: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Progress through `total` bytes, if that is known.
    pub(crate) fn new(total: Option<u64>, quiet: bool) -> Self {
        Progress {
            total,
            wanted: !quiet,
            began: Instant::now(),
            packets: 0,
            bar: None,
        }
    }

    /// Progress that nobody sees.
    pub(crate) fn silent() -> Self {
        Progress::new(None, true)
    }

    /// Counts a packet. Whether it is time to call [`Progress::show`].
    #[inline]
    pub(crate) fn is_due(&mut self) -> bool {
        self.packets = self.packets.wrapping_add(1);
        self.wanted && self.packets.is_multiple_of(STEP)
    }

    /// Shows that `read` bytes have been read.
    pub(crate) fn show(&mut self, read: u64) {
        if self.bar.is_none() && self.began.elapsed() < PATIENCE {
            return;
        }
        let total = self.total;
        // indicatif draws nothing when standard error is no terminal.
        self.bar
            .get_or_insert_with(|| bar(total))
            .set_position(read);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::new(total),
            "reading {bar:30} {percent}% eta {eta}",
        ),
        None => (ProgressBar::no_length(), "reading {bytes} {bytes_per_sec}"),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template is well formed"))
}

/// Packets between two looks at the clock.
const STEP: u64 = 4096;
/// A file that is read within this time needs no progress bar.
const PATIENCE: Duration = Duration::from_secs(1);
