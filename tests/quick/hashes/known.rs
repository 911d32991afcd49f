//! Passwords as programs have stored them that need not be installed here: known answers.

use nginx_mail_auth::secret::{Secret, SecretError, WeakSchemes};

use crate::support::hashes::{near, proof, read};

#[test]
fn known_answers_of_other_programs_are_verified() {
    for (maker, password, stored) in MADE {
        let secret = read(stored);
        assert!(secret.matches(&proof(password)), "{maker}: {stored}");
        for wrong in near(password) {
            let what = wrong.escape_ascii();
            assert!(!secret.matches(&proof(&wrong)), "{maker}: {stored}: {what}");
        }
    }
}

/// What `doveadm pw -t` refuses of what only crypt_blowfish makes.
#[test]
fn the_changed_bit_of_crypt_blowfish_is_of_2a_alone() {
    let (password, of_2a) = (b"\xff\xff\xa3", "Ias9ej8rVP83dbQWecz/ebYDer7Sfq6");
    for (version, fits) in [("2a", true), ("2b", false), ("2y", false)] {
        let stored = format!("${version}$04$/OK.fbVrR/bpIqNJ5ianF.{of_2a}");
        assert_eq!(read(&stored).matches(&proof(password)), fits, "{stored}");
    }
}

#[test]
fn what_cannot_be_checked_says_why() {
    let digest = ".".repeat(43);
    let yescrypt = |params: &str| format!("$y${params}$abcd${digest}");
    let argon2 = |params: &str| format!("$argon2id$v=19${params}$c29tZXNhbHQ$MTIzNDU2Nzg");
    let refused =
        |stored: &str| Secret::parse(stored.as_bytes(), WeakSchemes::Allowed).unwrap_err();
    for (stored, why) in [
        (
            yescrypt("j8567F"),
            SecretError::Unsupported("yescrypt with a ROM"),
        ),
        (
            yescrypt("j751/"),
            SecretError::Unsupported("yescrypt that was upgraded"),
        ),
        (
            yescrypt("i75"),
            SecretError::Unsupported("yescrypt of another flavour"),
        ),
        (
            yescrypt("jET"),
            SecretError::TooCostly("more than 256 MiB of memory"),
        ),
        (
            yescrypt("j9T.8"),
            SecretError::TooCostly("more than 8 lanes"),
        ),
        (
            yescrypt("j.T"),
            SecretError::Damaged("the parameters are damaged"),
        ),
        (
            yescrypt("j0../"),
            SecretError::Damaged("the parameters are damaged"),
        ),
        (
            yescrypt(".75/2"),
            SecretError::Damaged("the parameters are damaged"),
        ),
        (
            yescrypt("j75."),
            SecretError::Damaged("the parameters are damaged"),
        ),
        (
            yescrypt("j75.../"),
            SecretError::Damaged("the parameters are damaged"),
        ),
        (
            yescrypt("j75z"),
            SecretError::Damaged("the parameters are damaged"),
        ),
        (
            argon2("m=64,t=11,p=1"),
            SecretError::TooCostly("more than 10 passes"),
        ),
        (
            argon2("m=256,t=1,p=9"),
            SecretError::TooCostly("more than 8 lanes"),
        ),
        (
            argon2("m=64,t=1,p=9"),
            SecretError::Damaged("less than 8 KiB of memory for each lane"),
        ),
        (
            argon2("m=64,t=1,p=1,keyid=x"),
            SecretError::Unsupported("Argon2 with a key or with data of its own"),
        ),
        (
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbA$MTIzNDU2Nzg".to_owned(),
            SecretError::Damaged("the salt is shorter than 8 bytes"),
        ),
        (
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$MTIz".to_owned(),
            SecretError::Damaged("the digest is shorter than 4 bytes"),
        ),
        (
            "{PBKDF2-SHA512}2000001$c2FsdA$c2FsdA".to_owned(),
            SecretError::TooCostly("more than 2,000,000 rounds"),
        ),
        (
            "{PBKDF2-SHA256}0$c2FsdA$c2FsdA".to_owned(),
            SecretError::Damaged("the rounds are damaged"),
        ),
        (
            "{PBKDF2-SHA256}10$c2FsdA$c2FsdA".to_owned(),
            SecretError::Damaged("the digest is damaged"),
        ),
        (
            "{PBKDF2-SHA256}10$c2Fs!A$c2FsdA".to_owned(),
            SecretError::Damaged("the salt is damaged"),
        ),
        (
            "{PBKDF2_SHA256}AAAgAKhL".to_owned(),
            SecretError::Damaged("not 324 bytes long"),
        ),
        (
            format!("{{PBKDF2_SHA256.HEX}}0003d091{}", "0".repeat(640)),
            SecretError::TooCostly("more than 2,000,000 rounds"),
        ),
        (
            "{SCRAM-SHA-1}4096,c2FsdA==,c2FsdA==,c2FsdA==".to_owned(),
            SecretError::Damaged("a key is damaged"),
        ),
        (
            "{SCRAM-SHA-1}4096,c2FsdA==".to_owned(),
            SecretError::Damaged("not of the form rounds,salt,StoredKey,ServerKey"),
        ),
        (
            "$bcrypt-sha256$v=3,t=2b,r=4$UQG9vSTWycf/E/8C4f/vX.$5aehKehBei5Kldbzua3gpuOvPHBrUmi"
                .to_owned(),
            SecretError::Damaged("not of the form $bcrypt-sha256$v=2,t=2b,r=$salt$digest"),
        ),
        (
            "$bcrypt-sha256$v=2,t=2b,r=16$UQG9vSTWycf/E/8C4f/vX.$5aehKehBei5Kldbzua3gpuOvPHBrUmi"
                .to_owned(),
            SecretError::TooCostly("a cost of more than 15"),
        ),
    ] {
        assert_eq!(refused(&stored), why, "{stored}");
    }
}

/// The program that made it, the password, and the stored text: with perl's `crypt` of libxcrypt 4.4.33
/// those of libxcrypt and crypt_blowfish, with 2.3.1 of 389 Directory Server, 1.7.4 of passlib,
/// 2.3.19 of Dovecot, 15 of PostgreSQL.
#[rustfmt::skip]
const MADE: [(&str, &[u8], &str); 86] = [
    ("slappasswd with pw-pbkdf2", b"pass word", "{PBKDF2}10000$Sjl3G4JqhYjaT00N0uUn2w$pOW8Y8Ny7P6UWHMU6VLqf3Qd2no"),
    ("slappasswd with pw-pbkdf2", b"pass word", "{PBKDF2-SHA1}10000$BAWL3gPqU3PIjmSZ0wk.Hg$yEMiAqZLpYxJHjQayRt2yYIEF4k"),
    ("slappasswd with pw-pbkdf2", b"pass word", "{PBKDF2-SHA256}10000$wO3htJiWq8O/SH67AuIqog$hnPqJPEnQgBjbytlUnCAaLavy8j7Of3lvbwFPmhFBwY"),
    ("slappasswd with pw-pbkdf2", b"pass word", "{PBKDF2-SHA512}10000$ha05aCNClm9B1M5jYBWKnA$lQCCxFNbfUnZN/OrNgXVpCPszrtiwbKj641PgucohXdWuUCbCKTS29eI9ohbsnl0gQiUcT0BdtKKR0eK7KQSCg"),
    ("slappasswd with pw-sha2", b"pass word", "{SHA384}LlnPWsqEDheyBL8u8wq3gh+S7YN4HMz6mxNxhAWDTR50DctnOhF27xWC8maQuEqX"),
    ("slappasswd with pw-sha2", b"pass word", "{SSHA384}JWpd6uKs4Ye0J7fxTL/2dEBtE1zwTg3XzsWk3jDNPfuq1m8HTrzf6xgQVOgSGP3vn9BkQOYQA+E="),
    ("pwdhash of 389 Directory Server", b"pass word", "{PBKDF2_SHA256}AAAgAKhLCc8mDkJMOntHgG0nAnKV3XUTmr4+e1WYV908km6s8Hp88AJ1YSjnZHwuwON6OXoU93xKS6DDEVabTxmH6zhxETUH4wph/lUdXkIIQIbQ8C/HnZ1tGK98CIO7yfJyW4oBO3uzNPEKUEkRm3bUrEdjRfP+fv0DyEHtfeGOCxC053HYkL9jVgadz7PggLi7yrPD4FsfhP78cRi0flCRPfrS5rG1DaQ40WuXPzohTQabuy4/ut4lWDgizHi9O5U4gau6VzdSKLM0+6sbtdm+3aFGaxrlA7nDuNHbqmPQmqttPod6P3IYjcmpUTue5PV1SU/Rcjifm8niSrlaixm8kvF1O1cYv9wtY2V9SEfoXva7M5cklr48H1ANnv7gOmOx2MFsBw3LPP160/bO0FHo8a7PmbNboYGEP+zfErC3cDUF"),
    ("pwdhash of 389 Directory Server", b"pass word", "{PBKDF2-SHA512}10000$eP3/IGeel5s//vYidLUdtpD39AoNkPdT$UBAjNCITK82ewjxgc85/MTrp4Attm9rsCi8fxwnvi5HaZcrxMu+xUO+PspEUCfF/VgEXqOm6fbM9vqbaCVsa8Q=="),
    ("pwdhash of 389 Directory Server", b"pass word", "{PBKDF2-SHA256}10000$CuOZy01g0zd26aoGJHHeFrub6OeLTJep$uU6m3Bp8SG92YfuSd2BpD74q5rJOABKeZ/TarY2xJ1Q="),
    ("pwdhash of 389 Directory Server", b"pass word", "{PBKDF2-SHA1}10000$vAOkyERE87DU261KR0BwjUiSntEKULiH$q4fhUswwe+RfyrBoTJc6WE6GhgE="),
    ("pwdhash of 389 Directory Server", b"pass word", "{SSHA384}9j65FwtMrJ5A6fTNOD2MoUW5+cZCE3uTfamiDqPDUg23HgPU5839mcHW3NvL0ko2hNjV98loCWg="),
    ("pwdhash of 389 Directory Server", b"pass word", "{crypt}$6$fc$rL/hab8/rH36FDRdq6gQ2D0OGbRpp2uKYc4knuhlFDx17ak3g6X5ThMVTsOdreZS3uOBphm1XwzvS0EZ92yjj."),
    ("passlib", b"pass word", "$pbkdf2$100$0/pfa03pXQvh3Lv3XsuZsw$vMa/iX8CCt9Q8v9pT3/9NzdyLhw"),
    ("passlib", b"pass word", "$pbkdf2-sha256$100$D.E8R6jV.j9HSIlRqnXO2Q$z3kf0xBphLYVUKJoNiXNlMgtjXTSoC0Oga3GatJXx7E"),
    ("passlib", b"pass word", "$pbkdf2-sha512$100$5Nx7D6GUkjJmjDFGCCEkxA$v.QdVHvzurUkXTAEPMP.9zDPDAwXE7INOugDZcAMejq3cxOupvM9JLIW.stA76gD41T2l.uUD72V/.doV8vnnw"),
    ("passlib", b"pass word", "{PBKDF2}100$0fpfS2mNMeacs7Z2ztm7dw$nUvHPOcdBFeJAgpOBSVij2jky5U"),
    ("passlib", b"pass word", "{PBKDF2-SHA256}100$SunduxfCGINQytm7t/Y.hw$G8lTrzKqYz/./K/Kx9udgV1PGiQWER6.0p9HrkwkpdM"),
    ("passlib", b"pass word", "{PBKDF2-SHA512}100$Pgcg5Py/t3buvff./x8DYA$yGb6FwPtT4lHc2Xl1aa1ucsfCxImkM0NEttJ8kGSUf1kARN7fSYsm03MHnGmELUGo2DV//NzwLvM9QMZzDKccg"),
    ("passlib", b"pass word", "$pbkdf2-sha256$7$$BOO7RVrZRO9OtydjNJ/xfNcrxHTf20GrEP1HaKVDxZA"),
    ("passlib", b"pass word", "$bcrypt-sha256$v=2,t=2b,r=4$UQG9vSTWycf/E/8C4f/vX.$5aehKehBei5Kldbzua3gpuOvPHBrUmi"),
    ("passlib", b"pass word", "$bcrypt-sha256$2b,4$.oDErA2xH6MX5e930VIlPe$3GzUsAR1GJ1od0iTtDRsP6/Jj6WSCzu"),
    ("passlib", b"p\xc3\xa4ssw\xc3\xb6rd", "$pbkdf2$2$wtg7Zyw$NLI/Vf4Y7VcE1YjVb5QFcB5/Bi0"),
    ("passlib", b"p\xc3\xa4ssw\xc3\xb6rd", "$pbkdf2-sha256$2$pLR2bm0$tmM1mVlgBMSp7iIJQ19QQhwjmpNhtsSGzjXoNsaKv5A"),
    ("passlib", b"p\xc3\xa4ssw\xc3\xb6rd", "$pbkdf2-sha512$2$TAmBsPY$LPfd2vqO7zH8AtXLgAoExOnZA7W6hcy9l2mdtyCiHeIJiC/lyFehdxE/Q6R4HDTalQuxLHkgng2Qllv5e2TkgQ"),
    ("passlib", b"p\xc3\xa4ssw\xc3\xb6rd", "{PBKDF2}2$v7e29t4$c1Y4u1VqjVLtY.vluc09Ga1ulEc"),
    ("passlib", b"p\xc3\xa4ssw\xc3\xb6rd", "{PBKDF2-SHA256}2$dI4RAkA$hGhz9g2iqi8oKcSa5t4omnCSI.Gst.2XB9NO4/cRZmI"),
    ("passlib", b"p\xc3\xa4ssw\xc3\xb6rd", "{PBKDF2-SHA512}2$fG.tNQY$s.f30KKVBNfzQrV5b59rhj0F.uUW2FQr0xvbw.gJu.hYo4EJEPSVixgoxRpM6Gf6SC9RmF4kMnYZrEKbokEyzA"),
    ("passlib", b"p\xc3\xa4ssw\xc3\xb6rd", "$bcrypt-sha256$v=2,t=2b,r=4$chdd5RKC/a7Pl5VBaXIiGO$WH78YbunjbjzY3cRUrIxLT795hF.3Me"),
    ("passlib", b"p\xc3\xa4ssw\xc3\xb6rd", "$bcrypt-sha256$2a,4$I4JmGiF1u5NFNgvoWFF/j.$nL5yFrQsYhpla68ODDUz2zKc5ogydKK"),
    ("passlib", &[b'a'; 200], "$bcrypt-sha256$v=2,t=2b,r=4$j2PrpITOEXC45o8u4vKFGe$uR5x5El5jVX282BeTn/.3Epws9L.Otq"),
    ("OpenLDAP's pw-bcrypt", b"x", "{BCRYPT}$2y$05$SBz6jyo4dwn.msWw3lJeOusGBnwZHEHU1EtRsgh5oD04tfj1oLTFG"),
    ("doveadm pw", b"pass word", "{SCRAM-SHA-1}4096,ftFDNC7Pgf4iXyU1eUJDxA==,K7V6pTy6TCYAxYgmIgCMDFxM4sI=,nAu85mD+cooQ2/okYO0oi6pa3JQ="),
    ("doveadm pw", b"pass word", "{SCRAM-SHA-256}4096,PQg5oNhgfnGr4auJ8+3p8g==,cVm5v4cEolKleXEmXGu79ZhxFxi50j8X8LUda+Vw7/w=,vUJ5XWlkeBrpt+hFJ9MJsuX/EWmtNrWjDmIzX/pVDIY="),
    ("doveadm pw, which leaves what SASLprep would change", b"\xef\xac\x81sh \xc2\xaa", "{SCRAM-SHA-256}4096,ep1oVOa2ikIpkFPPwnqp6A==,T9+meD3PEo8M/oXl0GeKhbtXZ0ebWsMKJNdoDWlYwGU=,AiuzLQIfk9ePXoqcMl77d97ukhe8r3n+ed5AVfyrKRg="),
    ("doveadm pw, which leaves what SASLprep would change", b"\xef\xac\x81sh \xc2\xaa", "{SCRAM-SHA-1}4096,CGFy6uEJ+6Uj8HQsfjeBkw==,q3aT2Magv2L8YWzlMrGWn8wrAQY=,Dj49Ltq3tLhGa9ZAN3iFZs3yFq0="),
    ("PostgreSQL", b"pass word", "SCRAM-SHA-256$4096:djY5AhsddQyYGQBjys6L3A==$ISdntybwx8Y6CZx1mTL4ywKcQVEjbo6LzvottozEpC4=:CTniTXGimiM1KN3Kt5pGogD/LeAT3wOhl1XK9BYYKLU="),
    ("Python's hashlib", b"pass word", "{SCRAM-SHA-512}100,MDEyMzQ1Njc4OWFiY2RlZg==,BtQqR4Xgd35aVj7XuyHTktzX5mDv/OYS1RxUNjfLlSgULHxHzpG+VBwgxepb0odQejQzBL/jQLeVkH3L8oMBAw==,OrWMVxV6cq39wRSTZVw/CxeFHe+6GHk8vEB/T9MAxFVALaW/oKGtW7LleyVUOn492kqtcjKA0uBIMjrj3+rywg=="),
    ("libxcrypt", b"pass word", "$y$///$abcd$lhXV6AeU77lvTzhYzYx9AiPUn5Lma0i4lg5skt/nVB/"),
    ("libxcrypt", b"pass word", "$y$.//$abcd$VACIz3NKhr0sEvaN72NXPVovw4ovVA5RIJkAQGnUtn3"),
    ("libxcrypt", b"pass word", "$y$.75$abcd$UtyKw..4rrkjMxp.9/5XSyjGNamdZumP4QcPROGmBq2"),
    ("libxcrypt", b"pass word", "$y$/75$abcd$IKTxrNX1EptqHfAtB5ZVZ4V5epgonpqij0FqDC.KEP5"),
    ("libxcrypt", b"pass word", "$y$j75..$abcd$/oeMUgp9C1O8I9hgNdd8jphrgpydBwUW2HyMpgIwlu3"),
    ("libxcrypt", b"pass word", "$y$j75/.$abcd$V3eI7No1UzSqLPzkguEIt2qjwefSAxkN2R9EiimclJB"),
    ("libxcrypt", b"pass word", "$y$j750..$abcd$ZPGVkXzxV9mpTgqw04WfpFVd.AVgWMrClTc9vdoFMx9"),
    ("libxcrypt", b"pass word", "$y$j75$$lsZRv9xoEcDxX3SuRm4j.nW8IfHBpcYVjJHal9IJ0G4"),
    ("libxcrypt", b"pass word", "$y$j/.$abcd$xfpfpfZZ2GOzWXvV84AsCMHjqXpfAJpbU1vRIDjHt97"),
    ("libxcrypt", b"pass word", "$y$j75/0$abcd$Q5cI5Gc.ywky0891Ku.fvB75.pV9cyDno2ZB1XWuTcC"),
    ("libxcrypt", b"pass word", "$y$/75/0$abcd$jtmoNgIjfJeHqcHd3fHhsPQ2l/YlfyhEoLpmAyss3aD"),
    ("libxcrypt", b"pass word", "$y$/75/2$abcd$lVQoG5WmIogGJVeiJiPFld3/2MKLD1rzVFlwZZNSxqC"),
    ("libxcrypt", b"pass word", "$y$j0...$abcd$6sPKdy86co6FDG6Drbe6Yxw8AdlDkknP.IVzPKvq4t3"),
    ("libxcrypt", b"pass word", "$y$j1../$abcd$Dwv.xQUcUj7Mb/ab7ua1UN7hr3kcvO68p3N8p/Dz3Z5"),
    ("libxcrypt", b"pass word", "$y$/0../$abcd$GgCE03i9i.jXr86vZpIkat./.3d8j.evCMovvthGjg/"),
    ("libxcrypt", b"pass word", "$y$.0..0$abcd$hbd/MS.PCZyGty8F3szjbUiLtZflok0IMnXnfd/ckFC"),
    ("libxcrypt", b"pass word", "$y$j75D$abcd$njrj9CBCFmC1M.XXEZFN3ZzRV83cwws3K5n2.tJiYCC"),
    ("libxcrypt", b"pass word", "$y$j75/6$abcd$uGsTlWG2U8p3T2GupJ9TITrE.WpiceOla7ETBsHxrY2"),
    ("libxcrypt", b"pass word", "$y$.75..$abcd$aH23q5L0I1O5svGIzzb2DqRTaw2.xW3aNmdTfo3DHL2"),
    ("libxcrypt", b"pass word", "$y$j750.0$abcd$rgkFaNJfQcYz46QQ85OPsYsO94/POOUHl31z8fqVbI2"),
    ("argon2-cffi", b"pass word", "$argon2id$v=19$m=8,t=1,p=1$AQgPFh0kKzI$DJ2Ekg"),
    ("argon2-cffi", b"pass word", "$argon2i$v=19$m=16,t=1,p=1$AQgPFh0kKzI$7gkNaEtX2wKy39Ih"),
    ("argon2-cffi", b"pass word", "$argon2id$v=19$m=64,t=2,p=2$AQgPFh0kKzI5QEdOVVxjanF4f4aNlJuiqbC3vsXM09rh6O/2/QQLEhkgJy41PENKUVhfZm10e4KJkJeepayzusHIz9bd5Ovy+QAHDhUcIyoxOD9GTVRbYmlwd36FjJOaoaivtg$rJQN6/+6BIPs0iOlBxfU"),
    ("argon2-cffi", b"pass word", "$argon2id$v=19$m=32,t=1,p=1$AQgPFh0kKzI5QEdOVVxjag$OpOGoQ3NqXq63XSM4pMpprCkmBlCnaAEvW8eR6OgUKo/XOXIctHeqqszk8R4xzdZ/esGEGhARFQv23jN1kbtivW3boHrFUR1reFW5RkgNUGfXLo/0tuMVi27e5MKc4x8dStPcXSFf4bpCZtqg6vkTtuxCnb9gPWdudxqVoGWPxnCRcsoqQ00qibuwTQN93yTcmrJjVESh8yjE9GGLevrHp3Et9hYkcEaUTcanTRPUkwiBWdUZhlhf9A82anOJifka/BkYLG+Bs4"),
    ("argon2-cffi", b"pass word", "$argon2i$v=16$m=64,t=1,p=8$AQgPFh0kKzI5QEc$bfMrQeJ02kwp1drEuThptw"),
    ("crypt_blowfish", b"\xff\xff\xa3", "$2a$04$/OK.fbVrR/bpIqNJ5ianF.Ias9ej8rVP83dbQWecz/ebYDer7Sfq6"),
    ("crypt_blowfish", b"\xff\xff\xa3", "$2y$04$/OK.fbVrR/bpIqNJ5ianF.79F7iyfPXU.AMPgYp2WOmvgKQ4Ez/5."),
    ("crypt_blowfish", b"\xff\xff\xa3", "$2b$04$/OK.fbVrR/bpIqNJ5ianF.79F7iyfPXU.AMPgYp2WOmvgKQ4Ez/5."),
    ("crypt_blowfish", b"\xff\xa345", "$2a$04$/OK.fbVrR/bpIqNJ5ianF./3sEoYTrCdRugzxZKzOB.6bPU/RwvQq"),
    ("crypt_blowfish", b"\xff\xa345", "$2y$04$/OK.fbVrR/bpIqNJ5ianF./3sEoYTrCdRugzxZKzOB.6bPU/RwvQq"),
    ("crypt_blowfish", b"\xff\xa345", "$2b$04$/OK.fbVrR/bpIqNJ5ianF./3sEoYTrCdRugzxZKzOB.6bPU/RwvQq"),
    ("crypt_blowfish", b"1\xff\xff\xff\xa3", "$2a$04$/OK.fbVrR/bpIqNJ5ianF.VW7WRURXj6iqzdwnVRdIvYZZXMR.Qq."),
    ("crypt_blowfish", b"1\xff\xff\xff\xa3", "$2y$04$/OK.fbVrR/bpIqNJ5ianF.VW7WRURXj6iqzdwnVRdIvYZZXMR.Qq."),
    ("crypt_blowfish", b"1\xff\xff\xff\xa3", "$2b$04$/OK.fbVrR/bpIqNJ5ianF.VW7WRURXj6iqzdwnVRdIvYZZXMR.Qq."),
    ("crypt_blowfish", b"\xff", "$2a$04$/OK.fbVrR/bpIqNJ5ianF.x7M8iEyRg78zXLr6eYwkudzmAhYzFQq"),
    ("crypt_blowfish", b"\xff", "$2y$04$/OK.fbVrR/bpIqNJ5ianF.x7M8iEyRg78zXLr6eYwkudzmAhYzFQq"),
    ("crypt_blowfish", b"\xff", "$2b$04$/OK.fbVrR/bpIqNJ5ianF.x7M8iEyRg78zXLr6eYwkudzmAhYzFQq"),
    ("crypt_blowfish", b"\xff\xff\xff\xff", "$2a$04$/OK.fbVrR/bpIqNJ5ianF.b35teVfH5zGMiyZwaOybKp1dKeQcjSC"),
    ("crypt_blowfish", b"\xff\xff\xff\xff", "$2y$04$/OK.fbVrR/bpIqNJ5ianF.b35teVfH5zGMiyZwaOybKp1dKeQcjSC"),
    ("crypt_blowfish", b"\xff\xff\xff\xff", "$2b$04$/OK.fbVrR/bpIqNJ5ianF.b35teVfH5zGMiyZwaOybKp1dKeQcjSC"),
    ("crypt_blowfish", b"abc\xe9", "$2a$04$/OK.fbVrR/bpIqNJ5ianF.JB3JvyQrx4wCJyGBt3IM5WxO/gNBY.2"),
    ("crypt_blowfish", b"abc\xe9", "$2y$04$/OK.fbVrR/bpIqNJ5ianF.JB3JvyQrx4wCJyGBt3IM5WxO/gNBY.2"),
    ("crypt_blowfish", b"abc\xe9", "$2b$04$/OK.fbVrR/bpIqNJ5ianF.JB3JvyQrx4wCJyGBt3IM5WxO/gNBY.2"),
    ("crypt_blowfish", &[0xff; 72], "$2a$04$/OK.fbVrR/bpIqNJ5ianF.ANvvLMzSCxQBmnQyvM8T67yjOUrJNzS"),
    ("crypt_blowfish", &[0xff; 72], "$2y$04$/OK.fbVrR/bpIqNJ5ianF.08bOJFQyl.kN4l8QCb5oKG0hVWpnCbm"),
    ("crypt_blowfish", &[0xff; 72], "$2b$04$/OK.fbVrR/bpIqNJ5ianF.08bOJFQyl.kN4l8QCb5oKG0hVWpnCbm"),
    ("crypt_blowfish", b"\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9", "$2a$04$/OK.fbVrR/bpIqNJ5ianF.Y6ay9AcL9Bhm7KEkJdn3WB9MMGTAzMS"),
    ("crypt_blowfish", b"\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9", "$2y$04$/OK.fbVrR/bpIqNJ5ianF.nwC8N.Oj1aS8Y36vksbtbLk6VfB5yFK"),
    ("crypt_blowfish", b"\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9\xff\xff\xff\xe9", "$2b$04$/OK.fbVrR/bpIqNJ5ianF.nwC8N.Oj1aS8Y36vksbtbLk6VfB5yFK"),
];
