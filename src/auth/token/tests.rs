use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::*;

/// The example of RFC 7515, A.2.
const RSA: [&str; 2] = [
    r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#,
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
];

/// The example of RFC 7515, A.3.
const EC: [&str; 2] = [
    r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
];

/// The key of RFC 8037, A.1.
const ED: &str =
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// A key with some members added or replaced.
fn with(key: &str, changes: Value) -> String {
    let mut key: Value = serde_json::from_str(key).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        key[name] = value.clone();
    }
    key.to_string()
}

fn set(keys: &[String]) -> KeySet {
    KeySet::parse(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes()).unwrap()
}

fn claims(keys: &[String], token: &str) -> Result<Value, &'static str> {
    let claims = set(keys).claims(token.as_bytes());
    claims.map(|(claims, _)| Value::Object(claims))
}

/// The token of RFC 7515, A.3, with another header: its signature does not fit any more.
fn with_header(header: Value) -> String {
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    let (_, rest) = EC[1].split_once('.').unwrap();
    format!("{header}.{rest}")
}

#[test]
fn signatures_of_every_kind_of_key() {
    let is_root = "http://example.com/is_root";
    for [key, token] in [RSA, EC] {
        let outcome = claims(&[key.to_owned()], token).unwrap();
        assert_eq!(
            outcome,
            json!({"iss": "joe", "exp": 1_300_819_380, is_root: true})
        );
    }
    let all = [RSA[0], EC[0], ED].map(str::to_owned);
    assert!(claims(&all, RSA[1]).is_ok());
    assert!(claims(&all, EC[1]).is_ok());
    // The private key of RFC 8037, A.1 signs: the example itself has no claims in it.
    let der = [
        hex("302e020100300506032b657004220420"),
        URL_SAFE_NO_PAD
            .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
            .unwrap(),
    ]
    .concat();
    let token = jsonwebtoken::encode(
        &jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA),
        &json!({"email": "a@b"}),
        &jsonwebtoken::EncodingKey::from_ed_der(&der),
    )
    .unwrap();
    assert_eq!(claims(&all, &token).unwrap(), json!({"email": "a@b"}));
}

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn a_changed_token_is_refused() {
    let keys = [EC[0].to_owned()];
    let [header, body, signature] = parts(EC[1]);
    let other = URL_SAFE_NO_PAD.encode(r#"{"iss":"joe","exp":9999999999}"#);
    for changed in [
        format!("{header}.{other}.{signature}"),
        format!("{header}.{body}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
        format!("{header}.{body}.{}", URL_SAFE_NO_PAD.encode([1; 64])),
        format!("{header}.{body}.{}", &signature[..80]),
        format!("{header}.{body}.AA"),
        format!("{header}.{body}.{signature}A"),
        with_header(json!({"alg": "ES256", "x": 1})),
    ] {
        assert_eq!(
            claims(&keys, &changed),
            Err("its signature is wrong"),
            "{changed}"
        );
    }
    for broken in ["a.b", "a", "..", "a..c", "a.b.", &format!("{}.x", EC[1])] {
        assert_eq!(
            claims(&keys, broken),
            Err("it is not a signed token"),
            "{broken}"
        );
    }
    for (header, why) in [
        (json!({}), "its header cannot be read"),
        (json!([]), "its header cannot be read"),
        (json!({"alg": 1}), "its header cannot be read"),
        (json!({"alg": "none"}), "its algorithm is not accepted"),
        (json!({"alg": "None"}), "its algorithm is not accepted"),
        (json!({"alg": ""}), "its algorithm is not accepted"),
        (json!({"alg": "HS256"}), "its algorithm is not accepted"),
        (json!({"alg": "ES256K"}), "its algorithm is not accepted"),
        (json!({"alg": "es256"}), "its algorithm is not accepted"),
        (json!({"alg": "RS256"}), "it is signed with an unknown key"),
        (json!({"alg": "ES384"}), "it is signed with an unknown key"),
        (json!({"alg": "EdDSA"}), "it is signed with an unknown key"),
        (
            json!({"alg": "ES256", "kid": "1"}),
            "it is signed with an unknown key",
        ),
        (
            json!({"alg": "ES256", "crit": ["exp"]}),
            "it requires an unknown extension",
        ),
        (
            json!({"alg": "ES256", "typ": "dpop+jwt"}),
            "it is a token of another kind",
        ),
        (
            json!({"alg": "ES256", "typ": "logout+jwt"}),
            "it is a token of another kind",
        ),
    ] {
        assert_eq!(
            claims(&keys, &with_header(header.clone())),
            Err(why),
            "{header}"
        );
    }
    let broken = format!("!.{body}.{signature}");
    assert_eq!(claims(&keys, &broken), Err("its header cannot be read"));
}

/// A public key is not a secret: an HMAC with it proves nothing.
#[test]
fn a_public_key_is_not_taken_for_a_shared_secret() {
    let n = serde_json::from_str::<Value>(RSA[0]).unwrap()["n"].clone();
    let n = n.as_str().unwrap();
    for secret in [
        n.as_bytes().to_vec(),
        URL_SAFE_NO_PAD.decode(n).unwrap(),
        Vec::new(),
    ] {
        let token = jsonwebtoken::encode(
            &jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256),
            &json!({"email": "a@b"}),
            &jsonwebtoken::EncodingKey::from_secret(&secret),
        )
        .unwrap();
        let outcome = claims(&[RSA[0].to_owned()], &token);
        assert_eq!(outcome, Err("its algorithm is not accepted"));
    }
    let oct = r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#;
    let refused = KeySet::parse(oct.as_bytes()).err().unwrap();
    assert_eq!(
        refused,
        "the file has no usable key: a key is a shared secret"
    );
}

#[test]
fn keys_are_chosen_by_their_use() {
    let unknown = Err("it is signed with an unknown key");
    let named = |id: &str| with(EC[0], json!({"kid": id}));
    // A token without a name may be signed with any key.
    assert!(claims(&[named("1"), RSA[0].to_owned()], EC[1]).is_ok());
    let other = with(
        EC[0],
        json!({"x": "WKn-ZIGevcwGIyyrzFoZNBdaq9_TsqzGl96oc0CWuis", "y": "y77t-RvAHRKTsSGdIYUfweuOvwrvDD-Q3Hv5J0fSKbE"}),
    );
    assert!(claims(&[other.clone(), EC[0].to_owned()], EC[1]).is_ok());
    assert_eq!(claims(&[other], EC[1]), Err("its signature is wrong"));
    for changes in [
        json!({"alg": "ES256"}),
        json!({"use": "sig"}),
        json!({"key_ops": ["verify"]}),
    ] {
        assert!(claims(&[with(EC[0], changes)], EC[1]).is_ok());
    }
    let other = [with(EC[0], json!({"alg": "ES384"})), RSA[0].to_owned()];
    assert_eq!(claims(&other, EC[1]), unknown);
    for changes in [
        json!({"use": "enc"}),
        json!({"key_ops": ["sign"]}),
        json!({"key_ops": []}),
    ] {
        let keys = [with(EC[0], changes), RSA[0].to_owned()];
        assert_eq!(claims(&keys, EC[1]), unknown);
    }
}

#[test]
fn keys_that_cannot_be_used() {
    for (key, why) in [
        (
            json!({"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}),
            "a key is of another kind",
        ),
        (
            json!({"kty": "OKP", "crv": "X25519", "x": "AA"}),
            "a key is of another kind",
        ),
        (json!({"kty": "new"}), "a key is of another kind"),
        (json!({}), "a key has no kty"),
    ] {
        let refused = KeySet::parse(json!({"keys": [key]}).to_string().as_bytes()).err();
        assert_eq!(
            refused.unwrap(),
            format!("the file has no usable key: {why}")
        );
    }
    for text in ["", "{}", "[]", "{\"keys\":{}}", "{\"keys\":[]}", "\u{0}"] {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
    let many = format!("{{\"keys\":[{}]}}", vec![EC[0]; 65].join(","));
    assert!(KeySet::parse(many.as_bytes()).is_err());
}

/// A usable key beside one of them is used. The unusable key is reported in a warning, or in the error if it
/// is the only one.
#[test]
fn keys_that_no_signature_ever_fits() {
    let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let modulus = [&[0xff; 255][..], &[1]].concat();
    let rsa =
        |n: &[u8], e: &[u8]| json!({"kty": "RSA", "kid": "one", "n": number(n), "e": number(e)});
    let even = [&[0xff; 255][..], &[2]].concat();
    let barely = [&[0x7f][..], &[0xff; 255]].concat();
    let (length, exponent) = (
        "its modulus is shorter than 2048 or longer than 4096 bits",
        "its exponent is even, below 3 or above 2^33",
    );
    let point = |x: u8, y: u8| json!({"kty": "EC", "crv": "P-256", "kid": "one", "x": number(&[x; 32]), "y": number(&[y; 32])});
    let missing = "a number of it is missing, or is not base64url";
    let curve = "its point is not on its curve";
    let other_alg = "its alg is none of a key of this kind";
    let json_of = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let other_length = "a coordinate has another length than its curve";
    for (key, why) in [
        (rsa(&[0xff; 128], &[1, 0, 1]), length),
        (rsa(&[0xff; 513], &[1, 0, 1]), length),
        (rsa(&barely, &[1, 0, 1]), length),
        (rsa(&[&[0][..], &barely].concat(), &[1, 0, 1]), length),
        (rsa(&[0; 256], &[1, 0, 1]), "its modulus is zero"),
        (rsa(&even, &[1, 0, 1]), "its modulus is even"),
        (rsa(&modulus, &[]), exponent),
        (rsa(&modulus, &[0]), exponent),
        (rsa(&modulus, &[1]), exponent),
        (rsa(&modulus, &[0, 0, 2]), exponent),
        (rsa(&modulus, &[4]), exponent),
        (rsa(&modulus, &[2, 0, 0, 0, 1]), exponent),
        (rsa(&modulus, &[1; 9]), exponent),
        (json!({"kty": "RSA", "kid": "one", "e": "AQAB"}), missing),
        (
            json!({"kty": "RSA", "kid": "one", "n": "!", "e": "AQAB"}),
            missing,
        ),
        (point(1, 1), curve),
        (point(0, 0), curve),
        (point(0xff, 0xff), curve),
        (
            json!({"kty": "EC", "crv": "P-256", "kid": "one", "x": "AA", "y": "AA"}),
            other_length,
        ),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": number(&[1; 31])}),
            other_length,
        ),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": number(&[2; 32])}),
            curve,
        ),
        (
            json_of(&with(EC[0], json!({"kid": "one", "alg": "ES384"}))),
            other_alg,
        ),
        (
            json_of(&with(EC[0], json!({"kid": "one", "alg": "RS256"}))),
            other_alg,
        ),
        (
            json_of(&with(EC[0], json!({"kid": "one", "alg": ""}))),
            other_alg,
        ),
        (
            json_of(&with(RSA[0], json!({"kid": "one", "alg": "none"}))),
            other_alg,
        ),
        (
            json_of(&with(RSA[0], json!({"kid": "one", "alg": "HS256"}))),
            other_alg,
        ),
        (
            json_of(&with(RSA[0], json!({"kid": "one", "alg": "RSA-OAEP"}))),
            other_alg,
        ),
        (
            json_of(&with(ED, json!({"kid": "one", "alg": "ES256"}))),
            other_alg,
        ),
    ] {
        let sound: serde_json::Value = serde_json::from_str(EC[0]).unwrap();
        let set = json!({"keys": [sound, key]}).to_string();
        let read = KeySet::parse(set.as_bytes()).unwrap();
        let what =
            |number| format!("key {number} (kid \"one\") can never check a signature: {why}");
        assert_eq!(
            read.warnings(),
            [format!("{}; the key is skipped", what(2))]
        );
        assert!(read.claims(EC[1].as_bytes()).is_ok(), "{set}");
        let alone = KeySet::parse(json!({"keys": [key]}).to_string().as_bytes()).err();
        let expected = format!("the file has no usable key: {}", what(1));
        assert_eq!(alone, Some(expected), "{set}");
    }
    // The modulus of a real key of 2048 bits is odd, and its exponent may have leading zeros.
    let padded = rsa(&modulus, &[0, 0, 1, 0, 1]);
    assert!(KeySet::parse(json!({"keys": [padded]}).to_string().as_bytes()).is_ok());
}

/// All encodings of the points of small order: for each the signature of the neutral point and zero fits
/// some messages, for the neutral point itself every message.
#[test]
fn a_key_of_small_order_accepts_no_signature() {
    let neutral = {
        let mut bytes = [0; 64];
        bytes[0] = 1;
        URL_SAFE_NO_PAD.encode(bytes)
    };
    let low =
        |first: &str, middle: &str, last: &str| hex(&format!("{first}{}{last}", middle.repeat(30)));
    let mut points = vec![
        hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
        hex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
        hex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
    ];
    for first in ["00", "01"] {
        points.extend(["00", "80"].map(|last| low(first, "00", last)));
    }
    for first in ["ec", "ed", "ee"] {
        points.extend(["7f", "ff"].map(|last| low(first, "ff", last)));
    }
    assert_eq!(points.len(), 14);
    for point in points {
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(&point)});
        let refused = KeySet::parse(json!({"keys": [key]}).to_string().as_bytes()).err();
        let why = "the file has no usable key: key 1 can never check a signature: its point is of \
            small \
                   order, so anyone can forge its signatures";
        assert_eq!(refused.as_deref(), Some(why), "{point:02x?}");
    }
    let header = URL_SAFE_NO_PAD.encode(json!({"alg": "EdDSA"}).to_string());
    let body = URL_SAFE_NO_PAD.encode(json!({"email": "a@b"}).to_string());
    let token = format!("{header}.{body}.{neutral}");
    let outcome = claims(&[ED.to_owned()], &token);
    assert_eq!(outcome, Err("its signature is wrong"));
}

fn parts(token: &str) -> [&str; 3] {
    let mut parts = token.split('.');
    [(); 3].map(|()| parts.next().unwrap())
}

#[test]
fn what_refused_clients_are_told() {
    let rules = |scope: Option<&str>| Rules {
        issuer: Some("https://id.example".to_owned()),
        audience: None,
        scope: scope.map(str::to_owned),
        login: "email".to_owned(),
    };
    let told = |text: String| -> Value {
        serde_json::from_slice(&STANDARD.decode(text).unwrap()).unwrap()
    };
    assert_eq!(
        told(sasl_error(&rules(None), None)),
        json!({"status": "invalid_token"})
    );
    assert_eq!(
        told(sasl_error(
            &rules(Some("imap \"x\"")),
            Some("https://id.example/c")
        )),
        json!({
            "status": "invalid_token",
            "scope": "imap \"x\"",
            "openid-configuration": "https://id.example/c",
        })
    );
}
