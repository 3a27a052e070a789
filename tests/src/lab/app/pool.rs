//! A bounded number of threads that all do the same.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, ScopedJoinHandle, scope};
use std::time::Duration;

use anyhow::Context;

/// Stack of a thread: its buffers are on the heap, and there are many threads.
const STACK_BYTES: usize = 128 * 1024;

/// Runs `job` in `threads` threads of their own, which go on until the program ends.
pub(super) fn start(threads: usize, job: impl Fn() + Clone + Send + 'static) -> anyhow::Result<()> {
    for _ in 0..threads {
        let builder = Builder::new().stack_size(STACK_BYTES);
        builder.spawn(job.clone()).context("starting a thread")?;
    }
    Ok(())
}

/// Runs `job` in `threads` threads and collects what they return.
pub(super) fn join<T: Send>(
    threads: usize,
    job: impl Fn() -> T + Copy + Send,
) -> anyhow::Result<Vec<T>> {
    scope(|scope| {
        let spawned: Result<Vec<ScopedJoinHandle<'_, T>>, _> = (0..threads)
            .map(|_| {
                let builder = Builder::new().stack_size(STACK_BYTES);
                builder.spawn_scoped(scope, job)
            })
            .collect();
        let joined = spawned.context("starting a thread")?.into_iter();
        Ok(joined
            .map(|thread| thread.join().expect("the threads do not panic"))
            .collect())
    })
}

/// How many threads have work, so that the last totals can wait for them.
#[derive(Default)]
pub(super) struct Busy {
    count: Mutex<usize>,
    change: Condvar,
}

/// Held by a thread that has work.
pub(super) struct Work<'a>(&'a Busy);

impl Busy {
    /// Work begins.
    pub(super) fn begin(&self) -> Work<'_> {
        *self.lock() += 1;
        Work(self)
    }

    /// Waits until nobody has work, but not longer than `patience`.
    pub(super) fn wait_until_idle(&self, patience: Duration) {
        let busy = |count: &mut usize| *count > 0;
        let _ = self
            .change
            .wait_timeout_while(self.lock(), patience, busy)
            .unwrap_or_else(PoisonError::into_inner);
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        let mut count = self.0.lock();
        *count = count.saturating_sub(1);
        self.0.change.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_thread_reports() {
        let next = AtomicUsize::new(0);
        let mut found = join(5, || next.fetch_add(1, Ordering::Relaxed)).unwrap();
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn the_wait_for_idle_threads_ends_either_way() {
        let busy = Busy::default();
        let work = busy.begin();
        busy.wait_until_idle(Duration::from_millis(1));
        drop(work);
        busy.wait_until_idle(Duration::MAX);
    }
}
