//! What passes, whole and one byte at a time.

use super::*;

fn passes(guard: impl Fn() -> Guard, messages: &[&[u8]]) -> Result<(), String> {
    let bytes = messages.concat();
    let whole = guard().pass(&bytes);
    let mut slow = guard();
    let bytewise = bytes.iter().try_for_each(|byte| slow.pass(&[*byte]));
    assert_eq!(whole, bytewise, "{messages:?}");
    whole
}

fn postgres(proof: ServerProof, messages: &[&[u8]]) -> Result<(), String> {
    passes(|| Guard::postgres(proof, Arc::default()), messages)
}

fn mysql(packets: &[&[u8]]) -> Result<(), String> {
    passes(|| Guard::mysql(Arc::default()), packets)
}

const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const CLEAR: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
const MD5: &[u8] = b"R\0\0\0\x0c\0\0\0\x05salt";
const SASL: &[u8] = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
const FINAL: &[u8] = b"R\0\0\0\x0c\0\0\0\x0cv=eA";
const READY: &[u8] = b"Z\0\0\0\x05I";
const NOTICE: &[u8] = b"N\0\0\0\x05!";
const PARAMETER: &[u8] = b"S\0\0\0\x08a\0b\0";
const ROW: &[u8] = b"D\0\0\0\x0a\0\0\0\0\0\0";
const REFUSAL: &[u8] = b"E\0\0\0\x05\0";

fn first(attributes: &str) -> Vec<u8> {
    let length = u32::try_from(8 + attributes.len()).unwrap().to_be_bytes();
    [
        b"R",
        length.as_slice(),
        b"\0\0\0\x0b",
        attributes.as_bytes(),
    ]
    .concat()
}

#[test]
fn a_server_must_prove_its_identity_before_it_is_trusted() {
    let scram = first("r=x,s=eA==,i=4096");
    let without =
        "without proof of its identity: use its Unix socket, tls = \"verify\" or scram-sha-256";
    let table: [(&[&[u8]], ServerProof, &str); 17] = [
        (
            &[SASL, &scram, FINAL, OK, PARAMETER, READY, ROW],
            ServerProof::Needed,
            "",
        ),
        (&[NOTICE, SASL, NOTICE, REFUSAL], ServerProof::Needed, ""),
        (
            &[OK, READY],
            ServerProof::Needed,
            "the server accepts the login",
        ),
        (
            &[SASL, OK],
            ServerProof::Needed,
            "the server accepts the login",
        ),
        (
            &[CLEAR],
            ServerProof::Needed,
            "the server wants the password in clear text",
        ),
        (
            &[SASL, &scram, CLEAR],
            ServerProof::Needed,
            "the server wants the password in clear text",
        ),
        (
            &[MD5],
            ServerProof::Needed,
            "the server wants the password by MD5",
        ),
        (&[OK, READY, ROW], ServerProof::NotNeeded, ""),
        (&[CLEAR, OK, READY], ServerProof::NotNeeded, ""),
        (&[MD5, OK, READY], ServerProof::NotNeeded, ""),
        (
            &[READY],
            ServerProof::NotNeeded,
            "the server goes on without authentication",
        ),
        (
            &[SASL, &scram, FINAL, READY],
            ServerProof::Needed,
            "the server goes on without authentication",
        ),
        (
            &[PARAMETER],
            ServerProof::Needed,
            "the server goes on without authentication",
        ),
        (
            &[ROW],
            ServerProof::Needed,
            "the server goes on without authentication",
        ),
        (
            &[OK, CLEAR],
            ServerProof::NotNeeded,
            "the server starts a second authentication",
        ),
        (
            &[b"R\0\0\0\x04"],
            ServerProof::Needed,
            "the server sends a message of impossible length",
        ),
        (
            &[b"R\0\0\0\x03"],
            ServerProof::Needed,
            "the server sends a message of impossible length",
        ),
    ];
    for (messages, proof, refused) in table {
        let expected = match refused {
            "" => Ok(()),
            refused if refused.contains("accepts the login") || refused.contains("wants") => {
                Err(format!("{refused} {without}"))
            }
            refused => Err(refused.to_owned()),
        };
        assert_eq!(
            postgres(proof, messages),
            expected,
            "{messages:?} {proof:?}"
        );
    }
}

#[test]
fn iterations_are_neither_cheap_to_guess_at_nor_endless() {
    let refused = Err("the server does not ask for 4096 to 1000000 iterations of SCRAM".to_owned());
    for (attributes, proof, taken) in [
        ("r=x,s=eA==,i=4096", ServerProof::Needed, true),
        ("r=x,s=eA==,i=1000000", ServerProof::Needed, true),
        // The driver then takes 4096.
        ("r=x,s=eA==", ServerProof::Needed, true),
        ("r=x,s=eA==,i=4095", ServerProof::Needed, false),
        ("r=x,s=eA==,i=1", ServerProof::Needed, false),
        ("r=x,s=eA==,i=4096,i=1", ServerProof::Needed, false),
        ("r=x,s=eA==,i=4096,i:1", ServerProof::Needed, false),
        ("r=x,s=eA==,i=1x", ServerProof::Needed, false),
        ("r=x,s=eA==,i=", ServerProof::Needed, false),
        ("r=x,s=eA==,i=4294967295", ServerProof::Needed, false),
        ("r=x,s=eA==,i=4294967295", ServerProof::NotNeeded, false),
        ("r=x,s=eA==,i=1", ServerProof::NotNeeded, true),
    ] {
        let expected = if taken { Ok(()) } else { refused.clone() };
        assert_eq!(
            postgres(proof, &[&first(attributes)]),
            expected,
            "{attributes}"
        );
    }
}

#[test]
fn what_is_announced_is_bounded() {
    let too_much = Err(too_much());
    assert_eq!(
        postgres(ServerProof::NotNeeded, &[OK, b"D\x7f\xff\xff\xff"]),
        too_much
    );
    assert_eq!(
        postgres(ServerProof::NotNeeded, &[OK, b"D\0\x10\0\x01"]),
        too_much
    );
    assert_eq!(
        postgres(ServerProof::NotNeeded, &[OK, b"D\0\x10\0\0"]),
        Ok(())
    );
    assert_eq!(
        postgres(ServerProof::Needed, &[b"R\x7f\xff\xff\xff"]),
        too_much
    );
    assert_eq!(
        postgres(ServerProof::Needed, &[b"N\xff\xff\xff\xff"]),
        too_much
    );
    assert_eq!(
        postgres(ServerProof::Needed, &[b"R\0\0\x08\x01", &[0; 2048]]),
        too_much
    );
    let short = Err("the server sends a message of impossible length".to_owned());
    assert_eq!(
        postgres(ServerProof::NotNeeded, &[OK, b"Z\0\0\0\x03"]),
        short
    );
    let notices: Vec<_> = std::iter::repeat_n(NOTICE, MOST_ASIDES + 1).collect();
    let many = Err("the server sends too many notices".to_owned());
    assert_eq!(postgres(ServerProof::Needed, &notices), many);
    let rounds: Vec<_> = std::iter::once(OK)
        .chain(std::iter::repeat_n(READY, 65))
        .collect();
    let mut guard = Guard::postgres(ServerProof::NotNeeded, Arc::default());
    assert_eq!(guard.pass(&rounds[..65].concat()), Ok(()));
    let rounds = Err("the server asks for too many rounds for one question".to_owned());
    assert_eq!(guard.pass(READY), rounds);

    assert_eq!(mysql(&[b"\xff\xff\xff\0"]), too_much);
    assert_eq!(mysql(&[b"\0\0\x10\0\0"]), Ok(()));
    let columns = Err("the server announces too many columns".to_owned());
    assert_eq!(mysql(&[b"\x04\0\0\x01\xfd\xff\xff\xff"]), columns);
    assert_eq!(
        mysql(&[b"\x09\0\0\x01\xfe\xff\xff\xff\xff\0\0\0\0"]),
        columns
    );
    assert_eq!(mysql(&[b"\x03\0\0\x01\xfc\xff\xff"]), Ok(()));
    let end: &[u8] = b"\x05\0\0\x01\xfe\0\0\x02\0";
    assert_eq!(
        mysql(&[b"\0\0\0\x01", end, b"\x01\0\0\x01\x01", end]),
        Ok(())
    );
    let file = Err("the server asks for a file".to_owned());
    assert_eq!(mysql(&[end, b"\x0c\0\0\x01\xfb/etc/passwd"]), file);
}
