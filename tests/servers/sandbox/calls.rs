//! Each system call that a sandbox shuts out, tried from inside by its number.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use libc::{ENOSYS, EPERM, c_long};
use nginx_mail_auth::sys::sandbox::{Access, Need, Sandbox};

use crate::support::system_calls::{World, call, denied};
use crate::support::temp_dir::TempDir;

/// Tells the test that it is the one in the sandbox, what to do there, and the folder to play in.
const INSIDE: &str = "NGINX_MAIL_AUTH_TEST_CALLS";
/// nobody.
const NOBODY: libc::uid_t = 65534;

/// getpid(2) as a program of 32 bits calls it.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
fn call_of_32_bits() {
    // SAFETY: it has no arguments, and changes nothing but this register.
    unsafe {
        std::arch::asm!("int 0x80", inout("rax") 20_i64 => _, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
}

/// Runs this test once more, as a process that goes into a sandbox.
fn run(what: &str, folder: &Path) -> std::process::Output {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "sandbox::calls::each_call_that_is_not_needed_fails",
        ])
        .env(INSIDE, format!("{what} {}", folder.display()))
        .output()
        .unwrap()
}

#[test]
fn each_call_that_is_not_needed_fails() {
    if let Ok(what) = std::env::var(INSIDE) {
        let (what, folder) = what.split_once(' ').unwrap();
        return inside(what, &PathBuf::from(folder));
    }
    crate::support::process::need_root();
    let dir = TempDir::new();
    fs::create_dir(dir.path().join("etc")).unwrap();
    fs::create_dir(dir.path().join("other")).unwrap();
    for file in ["etc/auth.toml", "other/file"] {
        fs::write(dir.path().join(file), "").unwrap();
    }
    for file in ["", "etc", "other", "etc/auth.toml", "other/file"] {
        std::os::unix::fs::chown(dir.path().join(file), Some(NOBODY), None).unwrap();
    }
    for what in ["root", "nobody"] {
        let output = run(what, dir.path());
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && printed.contains("1 passed"),
            "{what}: {printed}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    if cfg!(target_arch = "x86_64") {
        let ended = run("32", dir.path()).status;
        // SIGSEGV is the answer of a kernel that has no such programs.
        let shut_out = [Some(libc::SIGSYS), Some(libc::SIGSEGV)];
        assert!(shut_out.contains(&ended.signal()), "{ended}");
    }
}

fn inside(what: &str, folder: &Path) {
    let is_root = what != "nobody";
    if !is_root {
        for number in [libc::SYS_setresgid, libc::SYS_setresuid] {
            let nobody = c_long::from(NOBODY);
            call(number, &[nobody, nobody, nobody]).unwrap();
        }
    }
    let world = World::new(folder);
    // What works, or fails in another way, before: so the failure afterwards says something.
    let before: Vec<_> = denied(&world)
        .into_iter()
        .filter(|denied| !denied.harms)
        .map(|denied| (denied.name, call(denied.number, &denied.arguments)))
        .collect();
    for (name, done) in &before {
        if is_root && !["SYS_kexec_load"].contains(name) {
            assert!(*done != Err(EPERM), "before: {name}: {done:?}");
        }
    }
    let config = Need {
        what: Access::Read(folder.join("etc/auth.toml")),
        position: None,
        key: None,
    };
    let sandbox = Sandbox::enter(&[config]).unwrap();
    assert!(sandbox.is_whole(), "this test needs Landlock and seccomp");
    #[cfg(target_arch = "x86_64")]
    if what == "32" {
        return call_of_32_bits();
    }
    let mut wrong = Vec::new();
    for denied in denied(&world) {
        let done = call(denied.number, &denied.arguments);
        // A child must not go on with the test.
        if denied.harms && done == Ok(0) {
            std::process::exit(3);
        }
        if done != Err(denied.errno) {
            wrong.push(format!("{}: {done:?}, not {}", denied.name, denied.errno));
        }
    }
    // Numbers that nobody has yet, and of x32.
    for (number, errno) in [
        (511, ENOSYS),
        (512, EPERM),
        (600, EPERM),
        (1 << 20, EPERM),
        (0x4000_0000 | libc::SYS_getpid, EPERM),
        (0x4000_0000 | 520, EPERM),
    ] {
        let done = call(number, &[]);
        if done != Err(errno) {
            wrong.push(format!("{number}: {done:?}, not {errno}"));
        }
    }
    if !is_root {
        let done = call(libc::SYS_fchown, &[world.own(), -1, -1]);
        if done != Err(EPERM) {
            wrong.push(format!("fchown: {done:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    works(&world);
}

/// What a server, its libraries and its end need.
fn works(world: &World) {
    use std::io::Read as _;
    let memory = std::thread::spawn(|| vec![1_u8; 8 << 20].len());
    assert_eq!(memory.join().unwrap(), 8 << 20);
    let mut text = String::new();
    (&world.config).read_to_string(&mut text).unwrap();
    rustix::fs::flock(&world.config, rustix::fs::FlockOperation::LockExclusive).unwrap();
    world.socket.set_nonblocking(true).unwrap();
    let own = c_long::from(std::process::id());
    for (name, number, arguments) in [
        (
            "getrandom",
            libc::SYS_getrandom,
            vec![world.zeros.as_ptr() as c_long, 0, 0],
        ),
        (
            "prlimit64 that looks",
            libc::SYS_prlimit64,
            vec![0, 7, 0, 0],
        ),
        ("tgkill of itself", libc::SYS_tgkill, vec![own, own, 0]),
        ("membarrier", libc::SYS_membarrier, vec![0, 0]),
    ] {
        assert!(call(number, &arguments).is_ok(), "{name}");
    }
}
