use super::Dialect::{Mysql, Postgres, Sqlite};
use super::*;
use crate::users::placeholder::Placeholder::{ClientIp, Domain, Local, Login, Protocol};

const ALL: [Dialect; 3] = [Sqlite, Postgres, Mysql];

fn parsed(text: &str, dialect: Dialect) -> (String, Vec<Placeholder>) {
    let statement = Statement::parse(text, dialect);
    let statement = statement.unwrap_or_else(|flaw| panic!("{text}: {flaw}"));
    (statement.sql, statement.placeholders)
}

/// What is wrong, and at which byte.
fn flaw(text: &str, dialect: Dialect) -> (String, Option<usize>) {
    let flaw = Statement::parse(text, dialect).expect_err(text);
    (flaw.to_string(), flaw.place())
}

#[test]
fn each_use_of_a_placeholder_is_a_parameter() {
    let text = "SELECT {login}, {local}, {domain}, {protocol}, {client_ip}, {login}";
    let bound = vec![Login, Local, Domain, Protocol, ClientIp, Login];
    let marks = "SELECT ?, ?, ?, ?, ?, ?".to_owned();
    assert_eq!(parsed(text, Sqlite), (marks.clone(), bound.clone()));
    assert_eq!(parsed(text, Mysql), (marks, bound.clone()));
    let numbers = "SELECT $1::text, $2::text, $3::text, $4::text, $5::text, $6::text";
    assert_eq!(parsed(text, Postgres), (numbers.to_owned(), bound));
}

/// The text around placeholders is the database's own.
#[test]
fn all_other_text_is_unchanged() {
    for text in [
        "'{PLAIN}' || password",
        "CONCAT('{BLF-CRYPT}', password)",
        "password LIKE '{SHA}%'",
        "'{1,2}'::int[], '{}', '{imap,pop3}', '{admin}'",
        "'{\"a\":1}'::jsonb, '{ \"login\": 1 }'",
        "'it''s; :nobody', E'it\\'s', $$it's$$, $a$ x $a$",
        "-- it's a comment; with :nobody\n 1",
        "# it's a comment\n 1",
        "/* it's /* nested */ */ 1",
        "a::text, b[1:2], '12:30', '%Y-%m-%d', strftime('%d', now)",
        "DATE_FORMAT(a, '%u'), '$.x', @n:=1, data ? 'a'",
        "'alice@domain.example', '@domain.example', '?', 'a ? b', '$1'",
        "a LIKE '%x'",
    ] {
        for dialect in ALL {
            let (sql, placeholders) = parsed(&format!("SELECT {text}, {{login}} \n;; "), dialect);
            let mark = match dialect {
                Sqlite | Mysql => "?",
                Postgres => "$1::text",
            };
            assert_eq!(sql, format!("SELECT {text}, {mark}"), "{dialect:?}");
            assert_eq!(placeholders, [Login], "{dialect:?} {text}");
        }
    }
}

#[test]
fn a_cast_may_follow_a_placeholder() {
    let (sql, _) = parsed("SELECT {login}::citext, {client_ip}::inet", Postgres);
    assert_eq!(sql, "SELECT $1::text::citext, $2::text::inet");
}

#[test]
fn a_placeholder_in_quotes_is_an_error_that_says_what_to_write() {
    let value = "{login} is a value, not text: write it without quotes";
    for (text, at) in [
        ("SELECT a WHERE b = '{login}'", 20),
        ("SELECT a WHERE b = \"{login}\"", 20),
        ("SELECT a WHERE b = `{login}` AND c = {login}", 20),
    ] {
        for dialect in ALL {
            assert_eq!(flaw(text, dialect), (value.to_owned(), Some(at)), "{text}");
        }
    }
    for text in [
        "SELECT a WHERE b LIKE '%{login}%'",
        "SELECT a WHERE b = '{login}@example.org'",
        "SELECT a WHERE b = 'mail={login}'",
        "SELECT a WHERE b = ' {login} '",
    ] {
        let at = text.find('{');
        for (dialect, join) in [
            (Sqlite, "('text' || {login})"),
            (Postgres, "('text' || {login})"),
            (Mysql, "CONCAT('text', {login})"),
        ] {
            let what = format!("{value}, and join other text to it: {join}");
            assert_eq!(flaw(text, dialect), (what, at), "{text}");
        }
    }
    for text in ["SELECT a WHERE b = x{login}", "SELECT {login}x"] {
        let what = "write a blank before and behind {login}".to_owned();
        assert_eq!(flaw(text, Sqlite), (what, text.find('{')), "{text}");
    }
}

#[test]
fn what_other_programs_write_is_an_error_that_says_what_to_write() {
    for (mark, meant) in [
        (":login", "{login}"),
        (":local", "{local}"),
        (":domain", "{domain}"),
        (":protocol", "{protocol}"),
        (":client_ip", "{client_ip}"),
        (":user", "{login}"),
        (":username::citext", "{login}"),
        ("':login'", "{login}"),
        ("'%u'", "{login}"),
        ("'%Ln'", "{local}"),
        ("LOWER('%u')", "{login}"),
        ("'%{user}'", "{login}"),
        ("'%{user | domain}'", "{login}"),
        ("${login}", "{login}"),
        ("'#{login}'", "{login}"),
        ("{{login}}", "{login}"),
        ("{{ username }}", "{login}"),
    ] {
        for asks in ["", " AND c = {login}"] {
            let text = format!("SELECT é\nWHERE b = {mark}{asks}");
            let written = mark.trim_end_matches("::citext");
            let written = written.trim_start_matches("LOWER(").trim_end_matches(')');
            for dialect in ALL {
                let what = format!("write {meant} in place of {written}");
                assert_eq!(flaw(&text, dialect), (what, text.find(written)), "{text}");
            }
        }
    }
    let known = "known are {login}, {local}, {domain}, {protocol} and {client_ip}";
    for (mark, dialects) in [("?", &[Sqlite, Mysql][..]), ("$1", &[Sqlite, Postgres])] {
        for dialect in dialects {
            let text = format!("SELECT a WHERE b = {mark} AND c = {{login}}");
            let what = format!("write a placeholder in braces in place of {mark}; {known}");
            assert_eq!(flaw(&text, *dialect), (what, Some(19)), "{text}");
        }
    }
    for mark in ["@login", "$login"] {
        let text = format!("SELECT a WHERE b = {mark} AND c = {{login}}");
        let what = format!("write {{login}} in place of {mark}");
        assert_eq!(flaw(&text, Sqlite), (what, Some(19)));
        parsed(&text, Mysql);
    }
    for name in ["user", "username", "loign", "Login"] {
        let text = format!("SELECT a WHERE b = {{{name}}}");
        let what = format!("there is no {{{name}}}; {known}");
        for dialect in ALL {
            assert_eq!(flaw(&text, dialect), (what.clone(), Some(19)));
        }
    }
}

#[test]
fn a_login_is_not_a_pattern() {
    for (text, dialect, placeholder, operator) in [
        ("SELECT x LIKE {login}", Mysql, "{login}", "LIKE"),
        (
            "SELECT x LIKE LOWER({login}) FROM y WHERE 1",
            Sqlite,
            "{login}",
            "LIKE",
        ),
        (
            "SELECT x WHERE a = 1 AND b LIKE /* no */ ('' || {local})",
            Mysql,
            "{local}",
            "LIKE",
        ),
        (
            "SELECT x WHERE b not like CONCAT('%', {domain})",
            Mysql,
            "{domain}",
            "like",
        ),
        (
            "SELECT x WHERE b SIMILAR TO {login}",
            Postgres,
            "{login}",
            "TO",
        ),
        ("SELECT x !~* {local}", Postgres, "{local}", "~"),
        ("SELECT x ~ {local}", Postgres, "{local}", "~"),
        ("SELECT x GLOB {local}", Sqlite, "{local}", "GLOB"),
    ] {
        let what = format!(
            "{placeholder} must not follow {operator}: a login with wildcards would match other \
            users"
        );
        assert_eq!(flaw(text, dialect), (what, text.find('{')), "{text}");
    }
    // A pattern of the administrator's own is not the client's.
    for text in [
        "SELECT {login} LIKE pattern",
        "SELECT x WHERE a LIKE '%x' AND b = {login}",
        "SELECT (a LIKE 'x'), {login}",
        "SELECT f(a LIKE 'x', {login})",
        "SELECT CASE WHEN a LIKE 'x' THEN b ELSE {login} END",
    ] {
        for dialect in ALL {
            parsed(text, dialect);
        }
    }
}

#[test]
fn a_statement_must_ask_about_the_login() {
    let nobody = "it has neither {login} nor {local}, so every login would get the same row";
    for text in ["SELECT password FROM users", "SELECT {domain}, '{ login }'"] {
        assert_eq!(flaw(text, Sqlite), (nobody.to_owned(), None));
    }
    for (text, mark, meant) in [
        ("SELECT a WHERE b IN ('%d', '%u')", "'%d'", "{domain}"),
        ("SELECT a WHERE b LIKE @user", "@user", "{login}"),
    ] {
        let what = format!("{nobody}: write {meant} in place of {mark}");
        assert_eq!(flaw(text, Mysql), (what, text.find(mark)));
    }
    for empty in ["", " \n", " ;; \n"] {
        assert_eq!(flaw(empty, Sqlite), ("it is empty".to_owned(), None));
    }
}

/// Whatever the text is: no panic, and every byte of it comes out, but for the placeholders.
#[test]
fn any_text_is_read_to_its_end() {
    let pieces = [
        "'", "\"", "`", "(", ")", "--", "/*", "*/", "#", "$", "%", "{", "}", ":", "::", "{login}",
        "{local}", "{user}", ";", "?", "\\", "\n", " ", "é", "E", "1", "@", "x", "like", ",",
    ];
    let mut state = 1_u64;
    let mut next = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % bound
    };
    let mut read = 0;
    for _ in 0..20_000 {
        let text: String = (0..next(12)).map(|_| pieces[next(pieces.len())]).collect();
        for dialect in ALL {
            match Statement::parse(&text, dialect) {
                Ok(statement) => {
                    read += 1;
                    assert!(statement.sql.len() <= text.len() + statement.placeholders.len());
                }
                Err(flaw) => {
                    let place = flaw.place().unwrap_or_default();
                    assert!(text.is_char_boundary(place), "{text}");
                }
            }
        }
    }
    assert!(read > 0);
}
