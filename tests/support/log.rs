//! The log of a server.

use rustix::event::{PollFd, PollFlags, poll};
use std::fs;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// The log of a server, by a pipe: a line is in it before the answer leaves. To a file lines go when
/// there is time.
pub(crate) struct Log {
    pipe: Arc<Mutex<(PipeReader, fs::File)>>,
    file: PathBuf,
}

impl Log {
    /// What is written to the pipe goes on to this file, which is up to date whenever somebody looks.
    pub(crate) fn to(file: PathBuf) -> (Self, PipeWriter) {
        let (reader, writer) = std::io::pipe().unwrap();
        rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).unwrap();
        let signal = reader.try_clone().unwrap();
        let pipe = Arc::new(Mutex::new((reader, fs::File::create(&file).unwrap())));
        let all = Arc::clone(&pipe);
        // So that it is never full.
        std::thread::spawn(move || {
            let ready = || {
                let mut files = [PollFd::new(&signal, PollFlags::IN)];
                poll(&mut files, None).is_ok()
            };
            while ready() && on(&all) {}
        });
        (Self { pipe, file }, writer)
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        self.drain();
        String::from_utf8_lossy(&fs::read(&self.file).unwrap_or_default()).into_owned()
    }

    /// Brings the file up to date.
    pub(crate) fn drain(&self) {
        on(&self.pipe);
    }
}

/// Moves what is in the pipe; whether there may be more to come.
fn on(pipe: &Mutex<(PipeReader, fs::File)>) -> bool {
    let mut pipe = pipe.lock().unwrap();
    let (reader, file) = &mut *pipe;
    let mut bytes = vec![0; 1 << 16];
    loop {
        match reader.read(&mut bytes) {
            Ok(0) => return false,
            Ok(count) => file.write_all(&bytes[..count]).unwrap(),
            Err(_) => return true,
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.drain();
    }
}
