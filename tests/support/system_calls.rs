//! The calls that a sandbox shuts out, with arguments to try them with.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use libc::{EACCES, ENOSYS, EPERM, c_long};

/// What the calls are tried on.
pub(crate) struct World {
    /// A file that is granted, and open for reading.
    pub(crate) config: File,
    pub(crate) own: CString,
    pub(crate) other: CString,
    pub(crate) new: CString,
    pub(crate) folder: CString,
    pub(crate) word: CString,
    pub(crate) zeros: Vec<u64>,
    pub(crate) socket: std::os::unix::net::UnixStream,
    pub(crate) parent: c_long,
    pub(crate) shared: c_long,
}

impl World {
    pub(crate) fn new(folder: &Path) -> Self {
        let path = |name: &str| CString::new(folder.join(name).as_os_str().as_bytes()).unwrap();
        Self {
            config: File::open(folder.join("etc/auth.toml")).unwrap(),
            own: path("etc/auth.toml"),
            other: path("other/file"),
            new: path("other/new"),
            folder: path("other"),
            word: c"user.word".to_owned(),
            zeros: vec![0; 64],
            socket: std::os::unix::net::UnixStream::pair().unwrap().0,
            parent: std::os::unix::process::parent_id().into(),
            shared: call(libc::SYS_shmget, &[0, 4096, 0o600]).unwrap(),
        }
    }

    pub(crate) fn own(&self) -> c_long {
        self.config.as_raw_fd().into()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // For the process that goes on outside; in the sandbox it stays denied.
        let _ = call(libc::SYS_shmctl, &[self.shared, 0, 0]);
    }
}

pub(crate) struct Denied {
    pub(crate) name: &'static str,
    pub(crate) number: c_long,
    pub(crate) arguments: Vec<c_long>,
    pub(crate) errno: i32,
    /// Not to be tried outside.
    pub(crate) harms: bool,
}

/// Each with arguments by which it works, or at least fails otherwise, where it is allowed.
pub(crate) fn denied(world: &World) -> Vec<Denied> {
    let text = |text: &CString| text.as_ptr() as c_long;
    let [own, other, new, folder, word] = [
        &world.own,
        &world.other,
        &world.new,
        &world.folder,
        &world.word,
    ]
    .map(text);
    let zeros = world.zeros.as_ptr() as c_long;
    let (file, socket) = (world.own(), c_long::from(world.socket.as_raw_fd()));
    let (parent, at) = (world.parent, c_long::from(libc::AT_FDCWD));
    let mut all = Vec::new();
    macro_rules! denied {
        ($errno:ident: $($name:ident $(as $label:literal)? ($($argument:expr),* $(,)?)),* $(,)?) => {
            $(all.push(Denied {
                name: [stringify!($name) $(, $label)?].last().unwrap(),
                number: libc::$name,
                arguments: vec![$($argument),*],
                errno: $errno,
                harms: $errno == EACCES,
            });)*
        };
    }
    denied![EPERM:
        // Other processes of the user.
        SYS_prlimit64(parent, 0, 0, zeros),
        SYS_prlimit64 as "prlimit64 that sets a limit of its own"(0, 4, zeros, 0),
        SYS_setrlimit(99, zeros),
        SYS_setpriority(0, parent, 0),
        SYS_getpriority(0, parent),
        SYS_ioprio_set(1, parent, 0),
        SYS_sched_setaffinity(parent, 8, 0),
        SYS_sched_setscheduler(parent, 99, zeros),
        SYS_sched_setparam(parent, 0),
        SYS_sched_setattr(parent, 0, 0),
        SYS_kill(parent, 0),
        SYS_kill as "kill of all"(-1, 99),
        SYS_tkill(parent, 0),
        SYS_tgkill(parent, parent, 0),
        SYS_rt_sigqueueinfo(parent, 0, 0),
        SYS_rt_tgsigqueueinfo(parent, parent, 0, 0),
        SYS_ptrace(99, parent),
        SYS_process_vm_readv(parent, 0, 0, 0, 0, 1),
        SYS_process_vm_writev(parent, 0, 0, 0, 0, 1),
        SYS_kcmp(parent, parent, 99),
        SYS_migrate_pages(parent, 0, 0, 0),
        SYS_move_pages(parent, 0, 0, 0, 0, 99),
        SYS_setpgid(parent, -1),
        SYS_setsid as "setsid"(),
        SYS_fcntl as "fcntl(F_SETOWN)"(socket, libc::F_SETOWN.into(), 0),
        SYS_fcntl as "fcntl(F_SETLEASE)"(file, libc::F_SETLEASE.into(), 2),
        SYS_fcntl as "fcntl(F_NOTIFY)"(file, libc::F_NOTIFY.into(), 0),
        SYS_fcntl as "fcntl(F_SETPIPE_SZ)"(file, libc::F_SETPIPE_SZ.into(), 4096),
        // What is of itself, and keeps it from others.
        SYS_prctl as "prctl(PR_SET_DUMPABLE)"(libc::PR_SET_DUMPABLE.into(), 1),
        SYS_prctl as "prctl(PR_SET_PTRACER)"(libc::PR_SET_PTRACER.into(), 0),
        SYS_prctl as "prctl(PR_SET_PDEATHSIG)"(libc::PR_SET_PDEATHSIG.into(), 0),
        SYS_prctl as "prctl(PR_SET_SECCOMP)"(libc::PR_SET_SECCOMP.into(), 99),
        SYS_prctl as "prctl(PR_CAP_AMBIENT)"(libc::PR_CAP_AMBIENT.into(), 4, 0, 0, 0),
        SYS_umask(0o007),
        SYS_chdir(folder),
        SYS_fchdir(file),
        SYS_mlock(zeros, 8),
        SYS_mlockall(99),
        // Modes, owners, times and attributes.
        SYS_fchmodat(at, other, 0o600),
        SYS_fchmod(file, 0o644),
        SYS_fchownat(at, other, -1, -1, 0),
        SYS_utimensat(at, other, 0, 0),
        SYS_setxattr(other, word, zeros, 1, 0),
        SYS_lsetxattr(other, word, zeros, 1, 0),
        SYS_fsetxattr(file, word, zeros, 1, 0),
        SYS_removexattr(other, word),
        SYS_lremovexattr(other, word),
        SYS_fremovexattr(file, word),
        // Names and devices.
        SYS_linkat(at, other, at, own, 0),
        SYS_symlinkat(other, at, other),
        SYS_mkdirat(at, folder, 0o700),
        SYS_mknodat(at, other, 0o010_600, 0),
        SYS_truncate(other, 0),
        SYS_inotify_init1(0),
        SYS_inotify_add_watch(-1, folder, 2),
        SYS_fanotify_init(0, 0),
        SYS_name_to_handle_at(at, other, zeros, 0, 0),
        SYS_open_by_handle_at(-1, zeros, 0),
        SYS_ioctl as "ioctl(TIOCSTI)"(file, 0x5412, zeros),
        SYS_ioctl as "ioctl(TIOCLINUX)"(file, 0x541c, zeros),
        SYS_ioctl as "ioctl(FIOASYNC)"(socket, 0x5452, zeros),
        SYS_ioctl as "ioctl(FS_IOC_SETFLAGS)"(file, 0x4008_6602, zeros),
        // Code, shared memory, messages.
        SYS_mmap as "mmap(PROT_EXEC)"(0, 4096, 5, 0x22, -1, 0),
        SYS_mmap as "mmap(PROT_EXEC) of a file that is written"(0, 4096, 7, 2, file, 0),
        SYS_mmap as "mmap(PROT_EXEC) of a file that is shared"(0, 4096, 5, 1, file, 0),
        SYS_mprotect as "mprotect(PROT_EXEC)"(0, 0, 4),
        SYS_pkey_mprotect(0, 0, 4, -1),
        SYS_shmget(0, 4096, 0o1600),
        SYS_shmat as "shmat(SHM_EXEC)"(world.shared, 0, 0o100_000),
        SYS_shmat(world.shared, 0, 0),
        SYS_shmctl(world.shared, 2, zeros),
        SYS_semget(0, 1, 0o600),
        SYS_msgget(0, 0o600),
        SYS_mq_open(word, 0, 0, 0),
        SYS_memfd_create(word, 0),
        SYS_execve(0, 0, 0),
        SYS_execveat(at, 0, 0, 0, 0),
        SYS_clone as "clone that shares no memory"(0x1_0000, 0, 0, 0, 0),
        SYS_clone as "clone into namespaces"(0x1001_0900, 0, 0, 0, 0),
        // Another user, another view, the machine.
        SYS_setuid(0),
        SYS_setgid(0),
        SYS_setreuid(-1, -1),
        SYS_setregid(-1, -1),
        SYS_setresuid(-1, -1, -1),
        SYS_setresgid(-1, -1, -1),
        SYS_setfsuid(-1),
        SYS_setfsgid(-1),
        SYS_setgroups(-1, 0),
        SYS_capset(0, 0),
        SYS_personality(0xffff_ffff),
        SYS_mount(0, 0, 0, 0, 0),
        SYS_umount2(0, 0),
        SYS_pivot_root(0, 0),
        SYS_chroot(0),
        SYS_unshare(0),
        SYS_setns(-1, 0),
        SYS_quotactl(0, 0, 0, 0),
        SYS_swapon(0, 0),
        SYS_swapoff(0),
        SYS_reboot(0, 0, 0, 0),
        SYS_kexec_load(0, 99, 0, 0),
        SYS_init_module(0, 0, 0),
        SYS_finit_module(-1, 0, 0),
        SYS_delete_module(0, 0),
        SYS_acct(1),
        SYS_syslog(99, 0, 0),
        SYS_settimeofday(1, 0),
        SYS_clock_settime(0, 0),
        SYS_clock_adjtime(0, 0),
        SYS_adjtimex(0),
        SYS_sethostname(0, -1),
        SYS_setdomainname(0, -1),
        // Parts of the kernel that have had many holes.
        SYS_bpf(99, 0, 0),
        SYS_perf_event_open(0, 0, 0, -1, 0),
        SYS_add_key(0, 0, 0, 0, 0),
        SYS_request_key(0, 0, 0, 0),
        SYS_keyctl(99, 0),
        SYS_userfaultfd(0),
        SYS_io_setup(0, 0),
        SYS_splice(-1, 0, -1, 0, 1, 0),
        SYS_vmsplice(-1, 0, 0, 0),
        SYS_tee(-1, -1, 1, 0),
        SYS_lookup_dcookie(0, 0, 0),
        SYS_remap_file_pages(0, 0, 0, 0, 0),
        SYS_timer_create(0, 0, 0),
        // Sockets.
        SYS_socket as "socket(NETLINK_AUDIT)"(16, 3, 9),
        SYS_socket as "socket(AF_PACKET)"(17, 3, 0),
        SYS_socket as "socket(AF_VSOCK)"(40, 1, 0),
        SYS_socket as "socket(AF_ALG)"(38, 5, 0),
        SYS_socket as "socket(AF_BLUETOOTH)"(31, 3, 0),
        SYS_socket as "socket of ICMP"(2, 2, 1),
        SYS_socket as "raw socket"(2, 3, 255),
        SYS_socket as "socket of multipath TCP"(2, 1, 262),
        SYS_socket as "socket of SCTP"(2, 1, 132),
        SYS_socketpair as "pair of Unix datagrams"(1, 2, 0, 0),
        SYS_setsockopt as "setsockopt(SO_ATTACH_FILTER)"(socket, 1, 26, 0, 0),
        SYS_setsockopt as "setsockopt(TCP_ULP)"(socket, 6, 31, 0, 0),
    ];
    denied![EACCES:
        SYS_renameat2 as "renameat2 elsewhere"(at, other, at, new, 0),
        SYS_unlinkat as "unlinkat elsewhere"(at, other, 0),
        SYS_openat as "open for writing"(at, own, 1, 0),
        SYS_openat as "open with truncation"(at, own, 0o1001, 0),
        SYS_openat as "read elsewhere"(at, other, 0, 0),
    ];
    denied![ENOSYS:
        SYS_seccomp(99, 0, 0),
        SYS_clone3(0, 0),
        SYS_pidfd_open(parent, 0),
        SYS_pidfd_send_signal(-1, 0, 0, 0),
        SYS_pidfd_getfd(-1, 0, 0),
        SYS_process_madvise(-1, 0, 0, 0, 0),
        SYS_process_mrelease(-1, 0),
        SYS_io_uring_setup(0, 0),
        SYS_io_uring_enter(-1, 0, 0, 0, 0, 0),
        SYS_io_uring_register(-1, 99, 0, 0),
        SYS_open_tree(-1, 0, 0),
        SYS_move_mount(-1, 0, -1, 0, 0),
        SYS_fsopen(0, 0),
        SYS_fsconfig(-1, 99, 0, 0, 0),
        SYS_fsmount(-1, 0, 0),
        SYS_fspick(-1, 0, 0),
        SYS_mount_setattr(-1, 0, 0, 0, 0),
        SYS_quotactl_fd(-1, 0, 0, 0),
        SYS_landlock_create_ruleset(0, 0, 99),
        SYS_landlock_add_rule(-1, 0, 0, 0),
        SYS_landlock_restrict_self(-1, 0),
        SYS_fchmodat2(at, other, 0o600, 0),
    ];
    let named = |name, number, arguments: Vec<c_long>, errno, harms| Denied {
        name,
        number,
        arguments,
        errno,
        harms,
    };
    all.extend([
        named("open_tree_attr", 467, vec![-1, 0, 0, 0, 0], ENOSYS, false),
        named(
            "setxattrat",
            463,
            vec![at, other, 0, word, 0, 0],
            ENOSYS,
            false,
        ),
        named("file_setattr", 469, vec![at, other, 0, 0, 0], ENOSYS, false),
    ]);
    #[cfg(target_arch = "x86_64")]
    all.extend([
        named("fork", libc::SYS_fork, vec![], EPERM, true),
        named("vfork", libc::SYS_vfork, vec![], EPERM, true),
        named("vhangup", libc::SYS_vhangup, vec![], EPERM, true),
        named("chmod", libc::SYS_chmod, vec![other, 0o600], EPERM, false),
        named("chown", libc::SYS_chown, vec![other, -1, -1], EPERM, false),
        named(
            "lchown",
            libc::SYS_lchown,
            vec![other, -1, -1],
            EPERM,
            false,
        ),
        named("utime", libc::SYS_utime, vec![other, 0], EPERM, false),
        named("utimes", libc::SYS_utimes, vec![other, 0], EPERM, false),
        named(
            "futimesat",
            libc::SYS_futimesat,
            vec![at, other, 0],
            EPERM,
            false,
        ),
        named("link", libc::SYS_link, vec![other, own], EPERM, false),
        named(
            "symlink",
            libc::SYS_symlink,
            vec![other, other],
            EPERM,
            false,
        ),
        named(
            "mknod",
            libc::SYS_mknod,
            vec![other, 0o010_600, 0],
            EPERM,
            false,
        ),
        named("mkdir", libc::SYS_mkdir, vec![folder, 0o700], EPERM, false),
        named("creat", libc::SYS_creat, vec![folder, 0], EPERM, false),
        named("inotify_init", libc::SYS_inotify_init, vec![], EPERM, false),
        named("iopl", libc::SYS_iopl, vec![99], EPERM, false),
        named("ioperm", libc::SYS_ioperm, vec![0, -1, 1], EPERM, false),
        named("modify_ldt", libc::SYS_modify_ldt, vec![99], EPERM, false),
        named("arch_prctl", libc::SYS_arch_prctl, vec![99], EPERM, false),
        named(
            "kexec_file_load",
            libc::SYS_kexec_file_load,
            vec![-1, -1],
            EPERM,
            false,
        ),
        named("uselib", libc::SYS_uselib, vec![0], EPERM, false),
        named(
            "unlink elsewhere",
            libc::SYS_unlink,
            vec![other],
            EACCES,
            true,
        ),
        named(
            "rename elsewhere",
            libc::SYS_rename,
            vec![other, new],
            EACCES,
            true,
        ),
    ]);
    all
}

/// A call by its number, with up to six arguments; the number of the error that it ends with.
///
/// The tests need calls that no library makes.
#[allow(unsafe_code)]
pub(crate) fn call(number: c_long, arguments: &[c_long]) -> Result<c_long, i32> {
    let argument = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: the arguments are numbers, null, or point to what outlives the call.
    let result = unsafe {
        libc::syscall(
            number,
            argument(0),
            argument(1),
            argument(2),
            argument(3),
            argument(4),
            argument(5),
        )
    };
    match result {
        -1 => Err(std::io::Error::last_os_error().raw_os_error().unwrap()),
        done => Ok(done),
    }
}
