//! A second thread for the writer's arithmetic: sealing half of a large batch, hashing while the disk syncs.
//!
//! It never touches disk, keys or shared state: the order of operations on the disk stays that of the one writer.

use std::{
    io,
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
};

type Task = Box<dyn FnOnce() + Send>;

/// The thread. It ends when this is dropped, which waits for it.
pub(crate) struct Second {
    /// Holds at most what one batch asks for: the writer waits for each result before the next task.
    tasks: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

/// A result on its way.
pub(crate) struct Promise<T>(Receiver<T>);

impl<T> Promise<T> {
    /// Waits for the result; an error if the thread panicked.
    pub(crate) fn wait(self) -> Result<T, String> {
        self.0.recv().map_err(|_| "the writer's second thread panicked".to_owned())
    }
}

impl Second {
    pub(crate) fn start() -> io::Result<Self> {
        let (tasks, taken) = channel::<Task>();
        let thread = std::thread::Builder::new()
            .name("journal-second".to_owned())
            .spawn(move || taken.into_iter().for_each(|task| task()))?;
        Ok(Self { tasks: Some(tasks), thread: Some(thread) })
    }

    /// Begins `task` there.
    pub(crate) fn run<T: Send + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) -> Promise<T> {
        let (done, result) = channel();
        if let Some(tasks) = &self.tasks {
            // After a panic nobody takes it, and the promise says so. Nobody may want the result any more.
            drop(tasks.send(Box::new(move || drop(done.send(task())))));
        }
        Promise(result)
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // A panic there failed the batch that asked.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_back_and_a_panic_is_an_error_not_a_wait() {
        let second = Second::start().unwrap();
        let (first, other) = (second.run(|| 1), second.run(|| "two"));
        assert_eq!((other.wait(), first.wait()), (Ok("two"), Ok(1)));
        drop(second.run(|| 3));
        assert!(second.run(|| -> u8 { panic!("on purpose") }).wait().is_err());
        assert!(second.run(|| 4).wait().is_err());
    }
}
