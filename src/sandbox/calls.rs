//! System calls that a server has no need of, by seccomp.
//!
//! A list of what is denied, not of what is allowed: the latter would have to hold what every
//! version of glibc, SQLite and the async runtime may call, and one that was forgotten is a login
//! that fails, perhaps only where memory is short. What is denied fails with EPERM, so that a
//! library that tries it can do without.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
};

/// `PROT_EXEC`.
const EXECUTABLE: u64 = 4;
/// `CLONE_THREAD`.
const THREAD: u64 = 0x1_0000;
/// `MSG_FASTOPEN`: to connect and send in one call.
const FAST_OPEN: u64 = 0x2000_0000;
/// The low bits of a socket's type; flags are above.
const TYPE: u64 = 0xf;
/// In the numbers of system calls of x32, which are others of the same architecture.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

/// Denied whatever the arguments.
const NEVER: &[libc::c_long] = &[
    // Other programs and processes.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // Another user, or more rights.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_personality,
    // Another view of the file system.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    // Large parts of the kernel that have had many holes. What io_uring does, seccomp does not see.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Those that only this architecture has; the last are x32's own numbers of execve, ptrace,
/// kexec_load, process_vm_readv, process_vm_writev and execveat.
#[cfg(target_arch = "x86_64")]
const NEVER_HERE: &[libc::c_long] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_kexec_file_load,
    libc::SYS_uselib,
    520,
    521,
    528,
    539,
    540,
    545,
];
#[cfg(not(target_arch = "x86_64"))]
const NEVER_HERE: &[libc::c_long] = &[];

/// Denies the calls to all threads of this process, for good.
pub(super) fn restrict() -> Result<(), Box<dyn std::error::Error>> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    // The first filter must let the second one in.
    for program in [no_new_way_to_clone(arch)?, denied(arch)?] {
        apply_filter_all_threads(&program)?;
    }
    Ok(())
}

/// The arguments of clone3 are out of sight, so there is none: glibc then takes clone, which stands
/// below.
fn no_new_way_to_clone(arch: TargetArch) -> Result<BpfProgram, seccompiler::BackendError> {
    let rules = numbers(libc::SYS_clone3).map(|number| (number, Vec::new()));
    program(rules.collect(), libc::ENOSYS, arch)
}

fn denied(arch: TargetArch) -> Result<BpfProgram, seccompiler::BackendError> {
    let never = NEVER.iter().chain(NEVER_HERE).copied();
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = never
        .flat_map(numbers)
        .map(|number| (number, Vec::new()))
        .collect();
    for (call, chain) in [
        // A process of its own.
        (libc::SYS_clone, vec![rule(&[bits(0, THREAD, 0)])?]),
        // Code that was not there at the start.
        (
            libc::SYS_mmap,
            vec![rule(&[bits(2, EXECUTABLE, EXECUTABLE)])?],
        ),
        (
            libc::SYS_mprotect,
            vec![rule(&[bits(2, EXECUTABLE, EXECUTABLE)])?],
        ),
        (
            libc::SYS_pkey_mprotect,
            vec![rule(&[bits(2, EXECUTABLE, EXECUTABLE)])?],
        ),
        (libc::SYS_socket, sockets()?),
        // Landlock rules connect(2) alone.
        (
            libc::SYS_sendto,
            vec![rule(&[bits(3, FAST_OPEN, FAST_OPEN)])?],
        ),
        (
            libc::SYS_sendmsg,
            vec![rule(&[bits(2, FAST_OPEN, FAST_OPEN)])?],
        ),
        (
            libc::SYS_sendmmsg,
            vec![rule(&[bits(3, FAST_OPEN, FAST_OPEN)])?],
        ),
    ] {
        for number in numbers(call) {
            rules.insert(number, chain.clone());
        }
    }
    program(rules, libc::EPERM, arch)
}

/// Sockets that are neither Unix nor TCP ones. Landlock rules no others: data could leave by UDP.
fn sockets() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let [unix, inet, inet6] =
        [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6].map(i32::cast_unsigned);
    let mut rules = vec![rule(&[
        Test(0, SeccompCmpOp::Ne, unix.into()),
        Test(0, SeccompCmpOp::Ne, inet.into()),
        Test(0, SeccompCmpOp::Ne, inet6.into()),
    ])?];
    for family in [inet, inet6] {
        let family = || Test(0, SeccompCmpOp::Eq, family.into());
        for kind in [
            libc::SOCK_DGRAM,
            libc::SOCK_RAW,
            libc::SOCK_RDM,
            libc::SOCK_SEQPACKET,
        ] {
            rules.push(rule(&[
                family(),
                bits(1, TYPE, kind.cast_unsigned().into()),
            ])?);
        }
        // Multipath TCP and others that have streams too.
        rules.push(rule(&[
            family(),
            Test(2, SeccompCmpOp::Ne, 0),
            Test(
                2,
                SeccompCmpOp::Ne,
                libc::IPPROTO_TCP.cast_unsigned().into(),
            ),
        ])?);
    }
    Ok(rules)
}

/// A call's number, and what else it is known as.
fn numbers(call: libc::c_long) -> impl Iterator<Item = i64> {
    #[cfg(target_arch = "x86_64")]
    let also = Some(call | X32);
    #[cfg(not(target_arch = "x86_64"))]
    let also = None;
    [call].into_iter().chain(also)
}

/// What an argument must be like: its number, the comparison, the value.
#[derive(Clone)]
struct Test(u8, SeccompCmpOp, u64);

fn bits(argument: u8, mask: u64, value: u64) -> Test {
    Test(argument, SeccompCmpOp::MaskedEq(mask), value)
}

/// All of them must be so.
fn rule(tests: &[Test]) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions = tests.iter().map(|Test(argument, operator, value)| {
        SeccompCondition::new(*argument, Dword, operator.clone(), *value)
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    error: i32,
    arch: TargetArch,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let denied = SeccompAction::Errno(error.cast_unsigned());
    SeccompFilter::new(rules, SeccompAction::Allow, denied, arch)?.try_into()
}
