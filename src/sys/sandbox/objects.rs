//! Restricts files, TCP ports to listen on, abstract sockets and signals, by Landlock
//! (landlock(7)).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

use super::{GrantedPaths, Unavailable, folders_of};

/// The Landlock version whose rules are used; older kernels enforce the part that they know.
const KNOWN: ABI = ABI::V6;

/// The files that libraries read while the program runs. A rule applies to the file or folder that
/// exists at the start. If a file is replaced by another later (resolv.conf, hosts, certificates),
/// its folder is granted.
const SYSTEM: [&str; 20] = [
    // Rules of the resolver, hosts, users, certificates of authorities.
    "/etc",
    // Modules of the resolver (NSS), certificates.
    "/lib",
    "/lib64",
    "/usr",
    // Targets of the link /etc/resolv.conf; containers; certificates, and the cache of users
    // (sssd).
    "/run/NetworkManager",
    "/run/connman",
    "/run/resolvconf",
    "/run/systemd",
    "/var/lib/ca-certificates",
    "/var/lib/sss/mc",
    // Random numbers, the number of usable processors, the available address families.
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/proc/self/cgroup",
    "/proc/self/mountinfo",
    "/proc/self/net",
    "/proc/sys/kernel",
    "/proc/sys/net",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
];

/// Files of the system that may be links to folders that are not in [`SYSTEM`].
const LINKS: [&str; 3] = ["/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf"];

/// The files that every sandboxed process reads.
pub(super) fn of_the_system() -> BTreeSet<PathBuf> {
    // Certificates that the environment names.
    let bundle = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let folders = std::env::var_os("SSL_CERT_DIR").unwrap_or_default();
    let links = LINKS.into_iter().map(PathBuf::from).chain(bundle);
    SYSTEM
        .into_iter()
        .map(PathBuf::from)
        .chain(std::env::split_paths(&folders))
        .filter_map(|path| path.canonicalize().ok())
        .chain(links.flat_map(|file| folders_of(&file).collect::<Vec<_>>()))
        .collect()
}

/// Denies everything that is not granted, to this thread and the threads that it starts. Returns
/// what is enforced; `None` if the kernel has no Landlock.
pub(super) fn restrict(granted: &GrantedPaths) -> Result<Option<&'static str>, Unavailable> {
    let status = rules(granted)
        .and_then(RulesetCreated::restrict_self)
        .map_err(|error| Unavailable(format!("Landlock: {error}")))?;
    let LandlockStatus::Available { effective_abi, .. } = status.landlock else {
        return Ok(None);
    };
    if status.ruleset == RulesetStatus::NotEnforced {
        return Ok(None);
    }
    Ok(Some(match effective_abi {
        ABI::Unsupported | ABI::V1 | ABI::V2 | ABI::V3 => "files",
        ABI::V4 | ABI::V5 => "files, TCP listeners",
        _ => "files, TCP listeners, abstract sockets, signals",
    }))
}

fn rules(granted: &GrantedPaths) -> Result<RulesetCreated, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // Journals of SQLite and our lock files: create, write, truncate, remove. No folders, devices
    // or links.
    let write =
        read | AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::RemoveFile | AccessFs::Truncate;
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?
        .create()?;
    // Libraries write here what they discard.
    rules = beneath(rules, Path::new("/dev/null"), AccessFs::WriteFile.into())?;
    for (paths, access) in [
        (&granted.read, read),
        (&granted.written, write),
        (&granted.cleared, AccessFs::RemoveFile.into()),
    ] {
        for path in paths {
            rules = beneath(rules, path, access)?;
        }
    }
    Ok(rules)
}

/// A path that does not exist or cannot be reached needs no rule.
fn beneath(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(opened) = PathFd::new(path) else {
        return Ok(rules);
    };
    let access = match path.is_dir() {
        true => access,
        false => access & AccessFs::from_file(KNOWN),
    };
    rules.add_rule(PathBeneath::new(opened, access))
}
