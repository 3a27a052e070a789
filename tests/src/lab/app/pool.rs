//! A bounded number of threads that all do the same.

use std::thread::{Builder, ScopedJoinHandle, scope};

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
}
