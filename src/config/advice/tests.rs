use super::*;

#[test]
fn the_keys_of_a_table_come_from_its_type() {
    assert_eq!(keys_of("process"), ["sandbox"]);
    assert!(keys_of("users").contains(&"allow-weak-schemes"));
    assert!(keys_of("").contains(&"throttle"));
    assert!(keys_of("hosts.x").contains(&"master-login"));
    assert_eq!(keys_of("hosts"), <[&str; 0]>::default());
}

/// A table that `keys_of` does not have would get no advice.
#[test]
fn every_table_has_keys() {
    for table in keys_of("") {
        let keys = match table {
            "hosts" | "moves" => keys_of(&format!("{table}.x")),
            table => keys_of(table),
        };
        assert!(!keys.is_empty(), "{table}");
    }
}

#[test]
fn a_line_of_another_table_is_found_among_hosts_and_routes() {
    let names = KeyNames::of_all_tables();
    let hosts = |name| names.misplaced(&["hosts"], name);
    assert_eq!(
        hosts("fold-case").as_deref(),
        Some("`fold-case` belongs to [routes]")
    );
    assert_eq!(
        hosts("nologin-attribute").as_deref(),
        Some("`nologin-attribute` belongs to [[users]]")
    );
    for name in ["imap", "pop3", "smtp", "address", "mailhost01", ""] {
        assert_eq!(hosts(name), None, "{name}");
    }
}

#[test]
fn only_a_likely_key_is_proposed() {
    let known = ["key", "key-file", "allowed-fronts", "timeout"];
    for (wrong, right) in [
        ("keyfile", Some("key-file")),
        ("Key_File", Some("key-file")),
        ("kee", Some("key")),
        ("allowed-front", Some("allowed-fronts")),
        ("tiemout", Some("timeout")),
        ("colour", None),
        ("", None),
    ] {
        assert_eq!(meant(wrong, known), right, "{wrong}");
    }
}
