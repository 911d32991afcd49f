//! How the program is linked: its ELF headers (elf(5)) have what hardening asks for.

use std::fs;

/// Types of segments, flags and tags, as elf.h has them.
const ET_DYN: u64 = 3;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const PT_GNU_STACK: u64 = 0x6474_e551;
const PT_GNU_RELRO: u64 = 0x6474_e552;
const PF_X: u64 = 1;
const PF_W: u64 = 2;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_TEXTREL: u64 = 22;
const DT_RUNPATH: u64 = 29;
const DT_FLAGS: u64 = 30;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DF_BIND_NOW: u64 = 8;
const DF_1_NOW: u64 = 1;
const DF_1_PIE: u64 = 0x0800_0000;

/// A program of 64 bits, in the byte order of this machine.
struct Elf(Vec<u8>);

struct Segment {
    kind: u64,
    flags: u64,
    offset: u64,
    address: u64,
    size: u64,
}

impl Elf {
    fn number(&self, at: u64, bytes: usize) -> u64 {
        let at = usize::try_from(at).unwrap();
        let mut number = [0; 8];
        let (low, high) = match cfg!(target_endian = "little") {
            true => (0, bytes),
            false => (8 - bytes, 8),
        };
        number[low..high].copy_from_slice(&self.0[at..at + bytes]);
        u64::from_ne_bytes(number)
    }

    fn kind(&self) -> u64 {
        self.number(16, 2)
    }

    fn segments(&self) -> Vec<Segment> {
        let (first, size, count) = (self.number(32, 8), self.number(54, 2), self.number(56, 2));
        let segment = |at| Segment {
            kind: self.number(at, 4),
            flags: self.number(at + 4, 4),
            offset: self.number(at + 8, 8),
            address: self.number(at + 16, 8),
            size: self.number(at + 32, 8),
        };
        (0..count).map(|one| segment(first + one * size)).collect()
    }

    /// The values of this tag of the dynamic section.
    fn dynamic(&self, tag: u64) -> Vec<u64> {
        let segments = self.segments();
        let section = segments.iter().find(|one| one.kind == PT_DYNAMIC).unwrap();
        let entries = (section.offset..section.offset + section.size).step_by(16);
        let found = entries.filter(|at| self.number(*at, 8) == tag);
        found.map(|at| self.number(at + 8, 8)).collect()
    }

    /// A string of the dynamic section.
    fn string(&self, number: u64) -> String {
        let address = self.dynamic(DT_STRTAB)[0];
        let segments = self.segments();
        // 1 is PT_LOAD.
        let holds = |one: &&Segment| {
            one.kind == 1 && (one.address..one.address + one.size).contains(&address)
        };
        let segment = segments.iter().find(holds).unwrap();
        let start = usize::try_from(address - segment.address + segment.offset + number).unwrap();
        let bytes = self.0[start..].split(|byte| *byte == 0).next().unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}

fn program() -> Elf {
    let elf = Elf(fs::read(env!("CARGO_BIN_EXE_nginx-mail-auth")).unwrap());
    assert_eq!(&elf.0[..5], b"\x7fELF\x02", "an ELF file of 64 bits");
    elf
}

#[test]
fn the_program_is_position_independent_with_full_relro_and_no_executable_stack() {
    let elf = program();
    assert_eq!(elf.kind(), ET_DYN);
    let segments = elf.segments();
    let has = |kind| segments.iter().filter(|one| one.kind == kind).count() == 1;
    assert!(has(PT_INTERP) && has(PT_GNU_RELRO) && has(PT_GNU_STACK));
    for segment in segments.iter().filter(|one| one.flags & PF_X != 0) {
        assert!(segment.flags & PF_W == 0 && segment.kind != PT_GNU_STACK);
    }
    let flags = |tag| elf.dynamic(tag).iter().fold(0, |all, one| all | one);
    assert_eq!(flags(DT_FLAGS) & DF_BIND_NOW, DF_BIND_NOW);
    assert_eq!(
        flags(DT_FLAGS_1) & (DF_1_NOW | DF_1_PIE),
        DF_1_NOW | DF_1_PIE
    );
    for tag in [DT_RPATH, DT_RUNPATH, DT_TEXTREL] {
        assert!(elf.dynamic(tag).is_empty(), "tag {tag}");
    }
}

#[test]
fn the_program_loads_the_c_library_and_nothing_beyond() {
    let elf = program();
    let needed: Vec<u64> = elf.dynamic(DT_NEEDED);
    let needed: Vec<_> = needed
        .into_iter()
        .map(|number| elf.string(number))
        .collect();
    assert!(needed.iter().any(|library| library == "libc.so.6"));
    let known = ["libc.so.6", "libm.so.6", "libgcc_s.so.1"];
    let others: Vec<_> = needed
        .iter()
        .filter(|library| !known.contains(&library.as_str()) && !library.starts_with("ld-linux"))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}
