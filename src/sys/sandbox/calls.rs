//! Restricts the process to the system calls that a server needs, by seccomp.
//!
//! An allow-list. It has the calls that glibc, the modules of its resolver, SQLite and the async
//! runtime make while the program runs, and harmless calls of the same kind: a newer library may
//! use `epoll_pwait2` in place of `epoll_wait`. Landlock restricts files and abstract sockets; this
//! filter restricts what Landlock does not (modes, owners, times and attributes of files, other
//! processes). A call that is not in the list returns an error and does not end the process, so
//! that a library that tries it can continue without it.

use std::collections::BTreeMap;

use rustix::process::geteuid;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};

/// `PROT_EXEC`, and `PROT_WRITE`.
const EXECUTABLE: u64 = 4;
const WRITABLE: u64 = 2;
/// `MAP_SHARED` and `MAP_ANONYMOUS`: the code of a library has neither.
const NO_LIBRARY: u64 = 1 | 0x20;
/// The options for time-outs of sockets, in the form without the year 2038 problem
/// (asm-generic/socket.h).
const SO_RCVTIMEO_NEW: i32 = 66;
const SO_SNDTIMEO_NEW: i32 = 67;
/// The low bits of a socket's type; the bits above are flags.
const TYPE: u64 = 0xf;
/// `CLONE_VM`, `CLONE_SIGHAND` and `CLONE_THREAD`: a thread has them.
const THREAD: u64 = 0x100 | 0x800 | 0x1_0000;
/// `CLONE_PTRACE`, `CLONE_UNTRACED` and all namespaces: a thread has none of them.
const NO_THREAD: u64 = 0x2000 | 0x80_0000 | 0x80 | 0x2_0000 | 0x7e00_0000;

/// The first of the call numbers that all architectures share. Libraries have a fallback where the
/// kernel lacks one of these calls, and some have it only for ENOSYS (clone3, whose arguments no
/// filter sees).
const NEW: std::ops::Range<i64> = 424..512;

/// Calls that are allowed with any arguments.
const ALWAYS: &[libc::c_long] = &[
    // Open descriptors.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    // Whether a password file has an access control list, before `rehash` replaces it.
    libc::SYS_flistxattr,
    libc::SYS_fgetxattr,
    // Files by name; Landlock restricts which.
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    // Waiting.
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall,
    // Connections. The program binds only abstract sockets, which connect a database driver to its
    // host, and netlink sockets for the kernel's list of addresses (netlink(7)).
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_shutdown,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_msync,
    // Threads, and the end of the process.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_wait4,
    libc::SYS_waitid,
    // Signals to this process.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    // Time, identity, working directory.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_times,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_getrusage,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    // seccomp(2) itself, for the second of the two filters.
    libc::SYS_seccomp,
];

/// Calls from before the architectures shared their numbers.
#[cfg(target_arch = "x86_64")]
const ALWAYS_HERE: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_pause,
    libc::SYS_time,
    libc::SYS_getpgrp,
    libc::SYS_getrlimit,
];
#[cfg(target_arch = "aarch64")]
const ALWAYS_HERE: &[libc::c_long] = &[libc::SYS_renameat, libc::SYS_getrlimit];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ALWAYS_HERE: &[libc::c_long] = &[];

/// Commands of fcntl(2). Denied: the receiver of a file's signals, leases, notifications about a
/// folder, the size of pipes.
const FCNTL: &[i32] = &[
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
    libc::F_OFD_GETLK,
    libc::F_OFD_SETLK,
    libc::F_OFD_SETLKW,
];

/// Requests of ioctl(2): non-blocking mode, available bytes, whether it is a terminal and its size,
/// the number and name of a network interface (a resolver at `fe80::1%eth0`).
const IOCTL: &[u64] = &[
    libc::FIONBIO,
    libc::FIOCLEX,
    libc::FIONREAD,
    libc::TCGETS,
    libc::TIOCGWINSZ,
    libc::SIOCGIFINDEX,
    libc::SIOCGIFNAME,
];

/// Options of prctl(2): names of threads and of memory; the last one adds a filter.
const PRCTL: &[i32] = &[
    libc::PR_SET_NAME,
    libc::PR_GET_NAME,
    libc::PR_SET_VMA,
    libc::PR_SET_NO_NEW_PRIVS,
];

/// Options of setsockopt(2) by level. Denied: filters, devices, other protocols on top of TCP.
const SETSOCKOPT: &[(i32, &[i32])] = &[
    (
        libc::SOL_SOCKET,
        &[
            libc::SO_REUSEADDR,
            libc::SO_KEEPALIVE,
            libc::SO_LINGER,
            libc::SO_SNDBUF,
            libc::SO_RCVBUF,
            libc::SO_SNDTIMEO,
            libc::SO_RCVTIMEO,
            SO_RCVTIMEO_NEW,
            SO_SNDTIMEO_NEW,
            libc::SO_PASSCRED,
        ],
    ),
    // Options that the resolver sets on UDP sockets and on the kernel's list of addresses.
    (libc::IPPROTO_IP, &[libc::IP_RECVERR, libc::IP_MTU_DISCOVER]),
    (
        libc::IPPROTO_IPV6,
        &[
            libc::IPV6_RECVERR,
            libc::IPV6_MTU_DISCOVER,
            libc::IPV6_V6ONLY,
        ],
    ),
    (
        libc::SOL_NETLINK,
        &[
            libc::NETLINK_ADD_MEMBERSHIP,
            libc::NETLINK_PKTINFO,
            libc::NETLINK_EXT_ACK,
            libc::NETLINK_GET_STRICT_CHK,
        ],
    ),
    (
        libc::IPPROTO_TCP,
        &[
            libc::TCP_NODELAY,
            libc::TCP_QUICKACK,
            libc::TCP_KEEPIDLE,
            libc::TCP_KEEPINTVL,
            libc::TCP_KEEPCNT,
            libc::TCP_USER_TIMEOUT,
        ],
    ),
];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Denies everything else to all threads of this process, permanently.
pub(super) fn restrict() -> Result<(), Box<dyn std::error::Error>> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let allowed = allowed()?;
    let new = NEW
        .filter(|number| !allowed.contains_key(number))
        .chain([libc::SYS_seccomp])
        .map(|number| (number, Vec::new()))
        .collect();
    let errno = |error: i32| SeccompAction::Errno(error.cast_unsigned());
    let first = SeccompFilter::new(allowed, errno(libc::EPERM), SeccompAction::Allow, arch)?;
    // If two filters deny a call, the later one decides the error (seccomp(2)).
    let second = SeccompFilter::new(new, SeccompAction::Allow, errno(libc::ENOSYS), arch)?;
    for filter in [first, second] {
        apply_filter_all_threads(&BpfProgram::try_from(filter)?)?;
    }
    Ok(())
}

fn allowed() -> Result<Rules, seccompiler::BackendError> {
    let always = ALWAYS.iter().chain(ALWAYS_HERE);
    let mut rules: Rules = always.map(|number| (*number, Vec::new())).collect();
    // SQLite and this program, run by root, give new files to the owner of the folder or database.
    if geteuid().is_root() {
        rules.insert(libc::SYS_fchown, Vec::new());
    }
    let us = u64::from(std::process::id());
    let unix = u64::from(libc::AF_UNIX.cast_unsigned());
    let stream = u64::from(libc::SOCK_STREAM.cast_unsigned());
    rules.extend([
        // A thread, not a process.
        (
            libc::SYS_clone,
            vec![rule(&[bits(0, THREAD | NO_THREAD, THREAD)])?],
        ),
        // Executable memory must come from a file, not from the program's data. Libraries are
        // loaded later too: /etc/nsswitch.conf may name another module while the server runs.
        (
            libc::SYS_mmap,
            vec![
                rule(&[bits(2, EXECUTABLE, 0)])?,
                rule(&[
                    bits(2, EXECUTABLE | WRITABLE, EXECUTABLE),
                    bits(3, NO_LIBRARY, 0),
                ])?,
            ],
        ),
        (libc::SYS_mprotect, vec![rule(&[bits(2, EXECUTABLE, 0)])?]),
        (libc::SYS_socket, sockets()?),
        (
            libc::SYS_socketpair,
            vec![rule(&[is(0, unix), bits(1, TYPE, stream)])?],
        ),
        (libc::SYS_setsockopt, socket_options()?),
        (
            libc::SYS_fcntl,
            any_of(1, FCNTL.iter().map(|one| number(*one)))?,
        ),
        (libc::SYS_ioctl, any_of(1, IOCTL.iter().copied())?),
        (
            libc::SYS_prctl,
            any_of(0, PRCTL.iter().map(|one| number(*one)))?,
        ),
        // abort(3), and signals that the process sends to itself after it handled them.
        (libc::SYS_tgkill, vec![rule(&[is(0, us)])?]),
        // Reading its own limits.
        (libc::SYS_prlimit64, vec![rule(&[is(0, 0), is_null(2)])?]),
    ]);
    Ok(rules)
}

/// Unix sockets, TCP, UDP (of the resolver), and the kernel's list of addresses.
fn sockets() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let kind = |kind| bits(1, TYPE, number(kind));
    let family = |family| is(0, number(family));
    let mut rules = vec![rule(&[
        family(libc::AF_NETLINK),
        is(2, number(libc::NETLINK_ROUTE)),
    ])?];
    for (stream_or_not, protocol) in [
        (libc::SOCK_STREAM, libc::IPPROTO_TCP),
        (libc::SOCK_DGRAM, libc::IPPROTO_UDP),
    ] {
        rules.push(rule(&[family(libc::AF_UNIX), kind(stream_or_not)])?);
        for version in [libc::AF_INET, libc::AF_INET6] {
            for protocol in [0, protocol] {
                let protocol = is(2, number(protocol));
                rules.push(rule(&[family(version), kind(stream_or_not), protocol])?);
            }
        }
    }
    Ok(rules)
}

fn socket_options() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let options = SETSOCKOPT
        .iter()
        .flat_map(|(level, options)| options.iter().map(|option| (*level, *option)));
    options
        .map(|(level, option)| rule(&[is(1, number(level)), is(2, number(option))]))
        .collect()
}

/// One rule for each allowed value of an argument.
fn any_of(
    argument: u8,
    values: impl Iterator<Item = u64>,
) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    values.map(|value| rule(&[is(argument, value)])).collect()
}

/// An int as the kernel sees it.
fn number(int: i32) -> u64 {
    int.cast_unsigned().into()
}

/// A condition on an argument: its number, its width, the comparison, the value.
struct Test(u8, SeccompCmpArgLen, SeccompCmpOp, u64);

fn is(argument: u8, value: u64) -> Test {
    Test(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn is_null(argument: u8) -> Test {
    Test(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)
}

fn bits(argument: u8, mask: u64, value: u64) -> Test {
    Test(
        argument,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(mask),
        value,
    )
}

/// All conditions must be true.
fn rule(tests: &[Test]) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions = tests.iter().map(|Test(argument, width, operator, value)| {
        SeccompCondition::new(*argument, width.clone(), operator.clone(), *value)
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}
