use super::*;

#[test]
fn the_keys_of_a_table_come_from_its_type() {
    assert_eq!(keys_of("process"), ["sandbox"]);
    assert!(keys_of("users").contains(&"allow-weak-schemes".to_owned()));
    assert!(keys_of("").contains(&"throttle".to_owned()));
    assert!(keys_of("hosts.x").contains(&"master-login".to_owned()));
    assert_eq!(keys_of("hosts"), <[&str; 0]>::default());
}

#[test]
fn all_keys_are_known_as_stray_ones() {
    let tables = keys_of("");
    let own = |table: &String| keys_of(table);
    let mut keys: Vec<String> = tables.iter().flat_map(own).collect();
    keys.sort();
    keys.dedup();
    keys.retain(|key| !matches!(key.as_str(), "imap" | "pop3" | "smtp"));
    assert_eq!(keys, STRAY);
}

#[test]
fn only_a_likely_key_is_proposed() {
    let known = ["key", "key-file", "allowed-fronts", "timeout"].map(str::to_owned);
    for (wrong, right) in [
        ("keyfile", Some("key-file")),
        ("Key_File", Some("key-file")),
        ("kee", Some("key")),
        ("allowed-front", Some("allowed-fronts")),
        ("tiemout", Some("timeout")),
        ("colour", None),
        ("", None),
    ] {
        assert_eq!(meant(wrong, &known), right, "{wrong}");
    }
}
