use super::Dialect::{Mysql, Postgres, Sqlite};
use super::Parameter::{ClientIp, Domain, Local, Login, Protocol};
use super::*;

fn parsed(text: &str, dialect: Dialect) -> (String, Vec<Parameter>) {
    let template = Template::parse(text, dialect).unwrap_or_else(|error| panic!("{text}: {error}"));
    (template.sql, template.parameters)
}

fn error(text: &str, dialect: Dialect) -> String {
    Template::parse(text, dialect).unwrap_err().to_string()
}

#[test]
fn each_database_gets_its_placeholders() {
    let text = "SELECT :login, :local, :domain, :protocol, :client_ip, :login";
    let once = vec![Login, Local, Domain, Protocol, ClientIp];
    assert_eq!(
        parsed(text, Sqlite),
        ("SELECT ?1, ?2, ?3, ?4, ?5, ?1".to_owned(), once.clone())
    );
    assert_eq!(
        parsed(text, Postgres),
        ("SELECT $1, $2, $3, $4, $5, $1".to_owned(), once.clone())
    );
    let each = [once, vec![Login]].concat();
    assert_eq!(
        parsed(text, Mysql),
        ("SELECT ?, ?, ?, ?, ?, ?".to_owned(), each)
    );
}

/// What stands before `:login` must come out as it was, and hide every `:name` in it.
#[test]
fn literals_identifiers_and_comments_are_left_alone() {
    for (text, dialects) in [
        ("':nobody'", &[Sqlite, Postgres, Mysql][..]),
        ("'it''s :nobody'", &[Sqlite, Postgres, Mysql]),
        ("\":nobody\"", &[Sqlite, Postgres, Mysql]),
        ("\"a\"\":nobody\"", &[Sqlite, Postgres, Mysql]),
        ("`:nobody`", &[Sqlite, Mysql]),
        ("`a``:nobody`", &[Sqlite, Mysql]),
        ("[:nobody]", &[Sqlite]),
        ("a[1:2]", &[Postgres]),
        ("-- it's :nobody\n", &[Sqlite, Postgres, Mysql]),
        ("--:nobody'\n", &[Sqlite, Postgres]),
        ("# it's :nobody\n", &[Mysql]),
        ("/* it's :nobody */", &[Sqlite, Postgres, Mysql]),
        ("/*/ :nobody */", &[Sqlite, Postgres, Mysql]),
        ("/* a /* :nobody */ :nobody */", &[Postgres]),
        (r"'it\'s :nobody'", &[Mysql]),
        (r#""it\"s :nobody""#, &[Mysql]),
        (r"'\\', ':nobody'", &[Mysql]),
        (r"'\', ':nobody'", &[Sqlite, Postgres]),
        (r"E'it\'s :nobody'", &[Postgres]),
        (r"e'it\'s' || ':nobody'", &[Postgres]),
        (r"date'\', ':nobody'", &[Postgres]),
        ("$$it's :nobody$$", &[Postgres]),
        ("$a$it's $$ :nobody $b$ $a$", &[Postgres]),
        ("$é$:nobody$é$", &[Postgres]),
        ("a$b, ':nobody$'", &[Sqlite, Postgres, Mysql]),
        ("'1'::text, data ? 'a', ARRAY[1]", &[Postgres]),
        ("@n:=1, @m", &[Mysql]),
        ("N'é', 1e3, 0x3a, _utf8mb4'é'", &[Mysql]),
        ("a - -1 / 2 * 3 : 4", &[Sqlite, Postgres, Mysql]),
    ] {
        for dialect in dialects {
            let (sql, parameters) = parsed(&format!("SELECT {text}, x = :login"), *dialect);
            let mark = match dialect {
                Sqlite => "?1",
                Postgres => "$1",
                Mysql => "?",
            };
            assert_eq!(sql, format!("SELECT {text}, x = {mark}"), "{dialect:?}");
            assert_eq!(parameters, [Login], "{dialect:?} {text}");
        }
    }
}

#[test]
fn a_cast_may_follow_a_parameter() {
    let (sql, _) = parsed("SELECT :login::citext, :client_ip::inet", Postgres);
    assert_eq!(sql, "SELECT $1::citext, $2::inet");
}

#[test]
fn the_semicolon_at_the_end_goes() {
    for end in [";", " ; \n", ";;", "; -- done :nobody", "; /* ; */ ;"] {
        let (sql, _) = parsed(&format!("SELECT :login{end}"), Mysql);
        assert_eq!(sql.trim_end(), "SELECT ?");
    }
}

#[test]
fn errors_have_a_place() {
    let unknown = "there is no parameter :user; there are :login, :local, :domain, :protocol, \
                   :client_ip (line 2, column 10 of the statement)";
    assert_eq!(error("SELECT password\nFROM é = :user", Sqlite), unknown);
    for (text, dialect, message, column) in [
        (
            "SELECT 'a",
            Sqlite,
            "the quote that starts here does not end",
            8,
        ),
        (
            "SELECT E'a\\'",
            Postgres,
            "the quote that starts here does not end",
            9,
        ),
        (
            "SELECT $a$ :login $b$",
            Postgres,
            "the dollar quote that starts here does not end",
            8,
        ),
        (
            "/* /* */ :login",
            Postgres,
            "the comment that starts here does not end",
            1,
        ),
        (
            "/* :login",
            Mysql,
            "the comment that starts here does not end",
            1,
        ),
        (
            "SELECT [:login",
            Sqlite,
            "the bracket that starts here does not end",
            8,
        ),
        (
            "SELECT :login; DROP TABLE a",
            Sqlite,
            "there is more than one statement",
            14,
        ),
        (
            "SELECT :login = ?",
            Mysql,
            "? is a placeholder of the database's own: write :login and the like",
            17,
        ),
        (
            "SELECT $1",
            Postgres,
            "$ is a placeholder of the database's own: write :login and the like",
            8,
        ),
        (
            "SELECT @login",
            Sqlite,
            "@ is a placeholder of the database's own: write :login and the like",
            8,
        ),
        (
            "SELECT x LIKE LOWER(:login) FROM y WHERE 1",
            Sqlite,
            ":login must not follow LIKE: a login with wildcards would be anybody",
            21,
        ),
        (
            "SELECT x WHERE a = 1 AND b LIKE /* no */ ('' || :local)",
            Mysql,
            ":local must not follow LIKE: a login with wildcards would be anybody",
            49,
        ),
        (
            "SELECT x LIKE :login",
            Mysql,
            ":login must not follow LIKE: a login with wildcards would be anybody",
            15,
        ),
        (
            "SELECT x !~* :local",
            Postgres,
            ":local must not follow ~: a login with wildcards would be anybody",
            14,
        ),
    ] {
        let expected = format!("{message} (line 1, column {column} of the statement)");
        assert_eq!(error(text, dialect), expected, "{text}");
    }
}

#[test]
fn a_statement_must_ask_about_the_login() {
    for text in ["SELECT password FROM users", "SELECT ':login', :domain"] {
        assert!(error(text, Sqlite).starts_with("it has neither :login nor :local"));
    }
    assert!(error(" \n", Sqlite).starts_with("it is empty"));
    // A pattern of the administrator's own is none of the client's.
    parsed("SELECT :login LIKE pattern", Sqlite);
    for sql in [
        "SELECT x WHERE a LIKE '%x' AND b = :login",
        "SELECT (a LIKE 'x'), :login",
        "SELECT f(a LIKE 'x', :login)",
        "SELECT CASE WHEN a LIKE 'x' THEN b ELSE :login END",
    ] {
        parsed(sql, Sqlite);
    }
}

/// Whatever the text is: no panic, and every byte of it comes out, but for the parameters.
#[test]
fn any_text_is_read_to_its_end() {
    let pieces = [
        "'", "\"", "`", "[", "]", "--", "/*", "*/", "#", "$", "$a$", "$$", ":", "::", ":login",
        ":=", ";", "?", "\\", "\n", " ", "é", "E", "1", "@", "x",
    ];
    let mut state = 1_u64;
    let mut next = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % bound
    };
    for _ in 0..20_000 {
        let text: String = (0..next(12)).map(|_| pieces[next(pieces.len())]).collect();
        for dialect in [Sqlite, Postgres, Mysql] {
            if let Ok(template) = Template::parse(&text, dialect) {
                assert!(template.sql.len() <= text.len(), "{text}");
            }
        }
    }
}
