use std::fs::File;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use super::super::sink::OutputKind;
use super::*;

/// Line number so and so.
fn line(number: u64) -> Vec<u8> {
    format!("2026-01-31T00:00:00Z INFO nginx-mail-auth[1]: login=\"{number:0100}\"\n").into()
}

fn queue<F: AsFd + Send + Sync + 'static>(file: F, kind: OutputKind) -> Arc<Queue<F>> {
    let queue = Arc::new(Queue::new(file));
    assert_eq!(queue.lock().sink.kind(), kind);
    queue
}

/// All that was written, which is lines in their order; how many they were, and how many are
/// said to be missing. What is missing is missing where that is said.
fn read(text: &str) -> (u64, u64) {
    let (mut lines, mut next) = (0, 0);
    for part in text.split_terminator('\n') {
        if let Some((_, rest)) = part.split_once(" WARN nginx-mail-auth[") {
            let (_, rest) = rest.split_once("]: ").unwrap();
            let (lost, rest) = rest.split_once(' ').unwrap();
            assert_eq!(
                rest,
                "log lines were dropped: the reader of the log did not keep up"
            );
            next += lost.parse::<u64>().unwrap();
        } else {
            assert_eq!(part.as_bytes(), line(next).trim_ascii_end());
            next += 1;
            lines += 1;
        }
    }
    (lines, next - lines)
}

/// Reads in the background, for as long as the test runs.
fn reading(mut reader: impl Read + Send + 'static) -> Arc<Mutex<Vec<u8>>> {
    let text = Arc::<Mutex<Vec<u8>>>::default();
    let all = Arc::clone(&text);
    thread::spawn(move || {
        let mut bytes = vec![0; 4096];
        while let Ok(count @ 1..) = reader.read(&mut bytes) {
            all.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
    });
    text
}

fn wait_until(what: &str, so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        thread::yield_now();
    }
}

/// Far more than fits, without a reader; then there is one, and another line comes.
fn nobody_reads<F>(queue: &Arc<Queue<F>>, reader: impl Read + Send + 'static)
where
    F: AsFd + Send + Sync + 'static,
{
    const LINES: u64 = 10_000;
    queue.serve();
    let slowest = (0..LINES).map(|number| {
        let start = Instant::now();
        queue.take(&line(number));
        start.elapsed()
    });
    let slowest = slowest.max().unwrap();
    assert!(slowest < WRITE_TIMEOUT / 2, "one has waited: {slowest:?}");
    let start = Instant::now();
    queue.finish();
    assert!(
        start.elapsed() < FINAL_TIMEOUT * 10,
        "it ends, though nobody reads"
    );
    let text = reading(reader);
    wait_until("all that waits to be read", || {
        let state = queue.lock();
        state.waiting.is_empty() && state.thread == Thread::Idle
    });
    queue.take(&line(LINES));
    let end = line(LINES);
    wait_until("the last line", || text.lock().unwrap().ends_with(&end));
    let (lines, lost) = read(&String::from_utf8_lossy(&text.lock().unwrap()));
    assert!(lines > 1_000 && lost > 1_000, "{lines} {lost}");
    assert_eq!(lines + lost, LINES + 1);
}

#[test]
fn nobody_reads_the_pipe() {
    let (reader, writer) = io::pipe().unwrap();
    let queue = queue(writer, OutputKind::Pipe);
    queue.get_ready();
    nobody_reads(&queue, reader);
}

/// As a file on a slow disk, or a pipe of another user.
#[test]
fn a_writer_waits_for_a_slow_reader() {
    let (reader, writer) = io::pipe().unwrap();
    nobody_reads(&queue(writer, OutputKind::Pipe), reader);
}

#[test]
fn nobody_reads_the_socket() {
    let (reader, writer) = UnixStream::pair().unwrap();
    nobody_reads(&queue(writer, OutputKind::Socket), reader);
}

#[test]
fn a_line_that_is_taken_is_there_at_once_and_needs_no_thread() {
    let (mut reader, writer) = io::pipe().unwrap();
    let queue = queue(writer, OutputKind::Pipe);
    queue.get_ready();
    queue.serve();
    queue.take(&line(0));
    assert!(queue.lock().thread == Thread::None);
    let mut text = vec![0; line(0).len()];
    reader.read_exact(&mut text).unwrap();
    assert_eq!(text, line(0));
}

#[test]
fn lines_that_are_held_are_written_at_the_end() {
    let (mut reader, writer) = io::pipe().unwrap();
    let queue = queue(writer, OutputKind::Pipe);
    queue.hold();
    for number in 0..3 {
        queue.take(&line(number));
    }
    rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).unwrap();
    assert!(reader.read(&mut [0]).is_err(), "there is something");
    queue.finish();
    drop(queue);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(read(&text), (3, 0));
}

#[test]
fn the_reader_has_gone() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let queue = queue(writer, OutputKind::Pipe);
    queue.take(&line(0));
    assert_eq!(queue.lock().losses.lost, 1);
    queue.get_ready();
    queue.serve();
    queue.take(&line(1));
    wait_until("the end", || queue.lock().losses.lost == 2);
}

#[test]
fn the_disk_is_full() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let queue = queue(full(), OutputKind::Pipe);
    for phase in [Phase::Start, Phase::Served] {
        queue.lock().phase = phase;
        queue.take(&line(0));
        queue.take(&line(1));
    }
    wait_until("the end", || queue.lock().losses.lost == 4);
}

#[test]
fn what_was_torn_off_ends_its_line() {
    let mut losses = MissingLines::default();
    let text = [line(0), line(1)].concat();
    let (told, first) = losses.with_notice(&text);
    losses.note(&first, told, 200);
    assert_eq!((losses.lost, losses.torn), (1, true));
    let third = line(2);
    let (told, second) = losses.with_notice(&third);
    let said = String::from_utf8(second[..told].to_vec()).unwrap();
    assert!(said.starts_with("\n20") && said.contains("Z WARN nginx-mail-auth["));
    losses.note(&second, told, 3);
    assert_eq!((losses.lost, losses.torn), (2, true));
    losses.note(&second, told, second.len());
    assert_eq!((losses.lost, losses.torn), (0, false));
}
