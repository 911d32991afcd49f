//! Files, TCP ports, abstract sockets and signals, by Landlock (landlock(7)).

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope,
};

use super::{Granted, Unavailable};

/// What is ruled is ruled as this version knows it; older kernels do what they can.
const KNOWN: ABI = ABI::V6;

/// What everybody may read, and what the libraries look at while the program runs: certificates of
/// authorities, random numbers, how many processors there are for us.
const COMMON: [&str; 18] = [
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates/extracted",
    "/usr/lib/ssl/certs",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/var/lib/ca-certificates",
    "/proc/self/cgroup",
    "/proc/self/mountinfo",
    "/sys/fs/cgroup",
    "/sys/devices/system/cpu",
];

/// Rules out what is not granted, for this thread and those that it starts. Tells what is ruled;
/// `None` if the kernel has no Landlock.
pub(super) fn restrict(granted: &Granted) -> Result<Option<String>, Unavailable> {
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
        ABI::Unsupported | ABI::V1 | ABI::V2 | ABI::V3 => "files".to_owned(),
        ABI::V4 | ABI::V5 => format!("files, TCP ports {}", ports(granted)),
        _ => format!(
            "files, TCP ports {}, abstract sockets, signals",
            ports(granted)
        ),
    }))
}

fn ports(granted: &Granted) -> String {
    let ports: Vec<_> = granted.ports.iter().map(u16::to_string).collect();
    match ports.is_empty() {
        true => "(none)".to_owned(),
        false => ports.join(" "),
    }
}

fn rules(granted: &Granted) -> Result<RulesetCreated, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // SQLite's journals and our locks: made, written, cut, removed. No folders, devices, links.
    let write =
        read | AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::RemoveFile | AccessFs::Truncate;
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?
        .create()?;
    for path in COMMON {
        rules = beneath(rules, Path::new(path), read)?;
    }
    // The folder of the file: it is replaced by another.
    let bundle = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    for folder in bundle.iter().flat_map(|file| super::folders_of(file)) {
        rules = beneath(rules, &folder, read)?;
    }
    let folders = std::env::var_os("SSL_CERT_DIR").unwrap_or_default();
    for path in std::env::split_paths(&folders) {
        rules = beneath(rules, &path, read)?;
    }
    // For what a library prints nowhere.
    rules = beneath(rules, Path::new("/dev/null"), AccessFs::WriteFile.into())?;
    for folder in &granted.read {
        rules = beneath(rules, folder, read)?;
    }
    for folder in &granted.written {
        rules = beneath(rules, folder, write)?;
    }
    for folder in &granted.cleared {
        rules = beneath(rules, folder, AccessFs::RemoveFile.into())?;
    }
    for port in &granted.ports {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    Ok(rules)
}

/// What is not there, or not to be got at, needs no rule.
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
