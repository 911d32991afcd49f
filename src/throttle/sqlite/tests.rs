use std::env::temp_dir;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn sqlite(name: &str, counting: CountingMode) -> (Sqlite, PathBuf) {
    let folder = temp_dir().join(format!("nma-throttle-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let spans = Spans {
        window: MINUTE,
        exempt: MINUTE,
    };
    (
        Sqlite::new(folder.join("state.db"), spans, counting),
        folder,
    )
}

fn fail(sqlite: &Sqlite) -> Result<Vec<Record>, ChangeError> {
    let fail: &mut Change<'_> = &mut |records, now| records[0].fail(None, now, 0);
    let key = Key::Login(b"alice".to_vec());
    sqlite.change(&[key], fail, Instant::now() + MINUTE)
}

#[test]
fn a_count_does_not_wait_for_the_disk_and_a_damaged_file_is_replaced() {
    let (sqlite, folder) = sqlite("damaged", CountingMode::Server);
    assert_eq!(fail(&sqlite).unwrap()[0].failures, 1);
    let number = |what: &str| {
        let opened = sqlite.opened.lock().unwrap();
        let connection = &opened.as_ref().unwrap().connection;
        let ask = format!("PRAGMA {what}");
        connection.query_row(&ask, [], |row| row.get::<_, u16>(0))
    };
    assert_eq!(number("synchronous"), Ok(0));
    let size = usize::from(number("page_size").unwrap());
    *sqlite.opened.lock().unwrap() = None;
    let mut bytes = fs::read(&sqlite.path).unwrap();
    bytes[size..].fill(0xa5);
    fs::write(&sqlite.path, bytes).unwrap();
    let Err(ChangeError::Failed(what)) = fail(&sqlite) else {
        panic!("a damaged file has been taken");
    };
    assert!(
        what.ends_with("malformed; the file was removed and is created again"),
        "{what}"
    );
    assert_eq!(fail(&sqlite).unwrap()[0].failures, 1);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_process_of_one_request_reports_a_locked_file() {
    let held = |counting, name: &str| {
        let (sqlite, folder) = sqlite(name, counting);
        fail(&sqlite).unwrap();
        let other = Connection::open(&sqlite.path).unwrap();
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        let changed = sqlite.change(&[], &mut |_, _| {}, soon);
        let read = sqlite.read(&[Key::Login(Vec::new())], soon);
        fs::remove_dir_all(folder).unwrap();
        (changed.unwrap_err(), read.unwrap_err())
    };
    let both = held(CountingMode::OneRequest, "once");
    assert!(matches!(
        both,
        (ChangeError::Contended, ChangeError::Contended)
    ));
    let both = held(CountingMode::Server, "for-long");
    assert!(matches!(
        both,
        (ChangeError::Failed(_), ChangeError::Failed(_))
    ));
}
