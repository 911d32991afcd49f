//! CRAM-MD5 (RFC 2195): the keyed digest of a challenge; and Dovecot's `{CRAM-MD5}`, which stores
//! the states of MD5 after the key and before the challenge.

use md5::block_api::compress;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The block size of MD5, and of HMAC-MD5 (RFC 2104, 2).
const BLOCK: usize = 64;

/// The initial state of MD5 (RFC 1321, 3.3).
const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// The two states of HMAC-MD5 after its key: the outer, then the inner, in the byte order of MD5.
/// They are enough to log in with CRAM-MD5, so they are wiped on drop.
#[derive(Clone)]
pub(super) struct CramMd5(Zeroizing<[u8; 32]>);

impl CramMd5 {
    /// Reads the 32 bytes that Dovecot stores, in the same order.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// The states that Dovecot would store for this password.
    pub(super) fn of(password: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; BLOCK]);
        let hashed;
        let short = if password.len() > BLOCK {
            hashed = Zeroizing::new(finish(START, 0, password));
            hashed.as_slice()
        } else {
            password
        };
        for (place, byte) in key.iter_mut().zip(short) {
            *place = *byte;
        }
        let mut states = Zeroizing::new([0; 32]);
        for (half, pad) in states.as_chunks_mut::<16>().0.iter_mut().zip([0x5c, 0x36]) {
            let mut state = START;
            compress(&mut state, &[*Zeroizing::new(key.map(|byte| byte ^ pad))]);
            *half = written(state);
        }
        Self(states)
    }

    /// The digest of a challenge: HMAC-MD5 with the password as key.
    pub(super) fn digest(&self, challenge: &[u8]) -> [u8; 16] {
        let (outer, inner) = self.states();
        finish(outer, BLOCK, &finish(inner, BLOCK, challenge))
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        Self::of(password).0.ct_eq(self.0.as_slice()).into()
    }

    fn states(&self) -> ([u32; 4], [u32; 4]) {
        let mut words = self.0.as_chunks::<4>().0.iter().copied();
        let mut state = || std::array::from_fn(|_| words.next().map_or(0, u32::from_le_bytes));
        (state(), state())
    }
}

/// Completes MD5 from a state that has processed `before` bytes, a multiple of its block (RFC 1321,
/// 3).
fn finish(mut state: [u32; 4], before: usize, message: &[u8]) -> [u8; 16] {
    let bits = (before as u64).wrapping_add(message.len() as u64) << 3;
    let mut rest = Zeroizing::new(message.to_vec());
    rest.push(0x80);
    while rest.len() % BLOCK != BLOCK - 8 {
        rest.push(0);
    }
    rest.extend_from_slice(&bits.to_le_bytes());
    compress(&mut state, rest.as_chunks().0);
    written(state)
}

fn written(state: [u32; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (place, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *place = word.to_le_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use md5::Md5;

    use super::*;
    use crate::secret::digest::digest;
    use crate::secret::encoding::from_hex;

    fn hex(text: &str) -> Vec<u8> {
        from_hex(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_example_of_rfc_2195() {
        let digest =
            CramMd5::of(b"tanstaaftanstaaf").digest(b"<1896.697170952@postoffice.reston.mci.net>");
        assert_eq!(digest.as_slice(), hex("b913a602c7eda7a495b4e6e7334d3890"));
    }

    #[test]
    fn the_examples_of_rfc_2202() {
        for (key, data, digest) in [
            (
                vec![0x0b; 16],
                b"Hi There".to_vec(),
                "9294727a3638bb1c13f48ef8158bfc9d",
            ),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?".to_vec(),
                "750c783e6ab0b503eaa86e310a5db738",
            ),
            (
                vec![0xaa; 16],
                vec![0xdd; 50],
                "56be34521d144c88dbb8c733f0e8b3f6",
            ),
            (
                vec![0xaa; 80],
                b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data"
                    .to_vec(),
                "6f630fad67cda0ee1fb1f562db3aa53e",
            ),
        ] {
            assert_eq!(CramMd5::of(&key).digest(&data).as_slice(), hex(digest));
        }
    }

    #[test]
    fn a_cram_md5_hash_of_dovecot() {
        // `doveadm pw -s CRAM-MD5`
        for (password, kept) in [
            (
                b"secret".to_vec(),
                "cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56",
            ),
            (
                vec![b'x'; 100],
                "52197db948d0932512a61b183e7d05b04e94d60a3bb0d00f92d3df52a5d275ca",
            ),
        ] {
            let states = CramMd5::parse(&hex(kept)).unwrap();
            assert!(states.matches(&password));
            assert!(!states.matches(b"secret "));
            assert_eq!(
                states.digest(b"<1.2@x>"),
                CramMd5::of(&password).digest(b"<1.2@x>")
            );
        }
        assert!(CramMd5::parse(&[0; 31]).is_none());
        assert!(CramMd5::parse(&[0; 33]).is_none());
    }

    #[test]
    fn md5_of_every_length_around_a_block() {
        for length in 0..200 {
            let message = vec![b'm'; length];
            assert_eq!(
                finish(START, 0, &message).as_slice(),
                digest::<Md5>(&[&message]).as_slice()
            );
        }
    }
}
