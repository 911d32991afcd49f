//! Takes the request's variables out of the environment under CGI, and overwrites them there.
//!
//! The environment that the kernel gave the process stays readable in `/proc/PID/environ` for root,
//! and in a memory dump, for as long as the process lives. `std::env::remove_var` removes only the
//! pointer to it. So this module has unsafe code, and no other has.
#![allow(
    unsafe_code,
    reason = "no safe way leads to the bytes of the environment"
)]

use std::ffi::{CStr, OsString, c_char};
use std::os::unix::ffi::OsStringExt as _;

use zeroize::{Zeroize as _, Zeroizing};

unsafe extern "C" {
    /// environ(7): the strings `NAME=VALUE`, then a null pointer.
    static environ: *const *mut c_char;
}

/// A variable's name, and its value, which is wiped on drop.
pub(crate) type Variable = (OsString, Zeroizing<Vec<u8>>);

/// Takes all variables with such names, and overwrites their values in place: afterwards they are
/// empty. Call it before the process has a second thread.
pub(crate) fn take(wanted: impl Fn(&[u8]) -> bool) -> Vec<Variable> {
    let mut taken = Vec::new();
    // SAFETY: all other code reads or changes the environment through `std::env` or C, and
    // concurrently only in another thread: there is none yet. The list was made by the kernel or
    // the C library, so each pointer before the null one is that of a writable string that ends
    // with a NUL byte, and the slice ends before that byte.
    unsafe {
        let mut entry = environ;
        while let Some(string) = entry.as_ref().copied().filter(|string| !string.is_null()) {
            let length = CStr::from_ptr(string).count_bytes();
            let bytes = std::slice::from_raw_parts_mut(string.cast::<u8>(), length);
            let equals = bytes.iter().position(|byte| *byte == b'=');
            if let Some((name, [_, value @ ..])) =
                equals.and_then(|at| bytes.split_at_mut_checked(at))
                && wanted(name)
            {
                taken.push((
                    OsString::from_vec(name.to_vec()),
                    Zeroizing::new(value.to_vec()),
                ));
                value.zeroize();
            }
            entry = entry.add(1);
        }
    }
    taken
}
