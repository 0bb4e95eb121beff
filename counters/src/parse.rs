//! From the bytes of a header and its cold sections to an identity and a reading plan. Trusts nothing.

use super::{
    bytes::{array, text_at, u16_at, u32_at, u64_at},
    counts::FieldKind,
    error::ReadError,
    identity::{NicIdentity, PageIdentity},
    layout::{
        ABI_MAJOR, CONTROL_POLICY, FEATURE_ONLOOKER, FIELD_UNCOUNTED, FIRST_FIELD, HEADER_SIZE, MAGIC,
        MAX_NICS, MAX_PAGE_BYTES, MAX_SCHEMA_FIELDS, MAX_THREADS, NIC_DEVICE, NIC_DOMAIN, NIC_INFO_LEN,
        NIC_LINK_BITS_PER_S, NIC_NETDEV, NIC_NUMA, NIC_PCI, NIC_PORT, NIC_RAIL, SCHEMA_FLAGS, SCHEMA_KIND,
        SCHEMA_NAME, SCHEMA_NAME_LEN, SCHEMA_OFFSET, SCHEMA_SECTION, SCHEMA_STRIDE, SCHEMA_UNIT,
        SCHEMA_UNIT_LEN, Section, header, kind,
    },
};

/// Largest record of a section that is read at every tick.
const MAX_HOT_STRIDE: usize = 1024;

/// Where a header says that everything lies; checked to be inside the page.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) control: Section,
    pub(super) process: Section,
    pub(super) nic_counters: Section,
    pub(super) nic_info: Section,
    pub(super) schema: Section,
}

fn bad<T>(section: &'static str, reason: &'static str) -> Result<T, ReadError> {
    Err(ReadError::BadSection { section, reason })
}

/// Magic and version: the part that is the same in every major version.
pub(super) fn check_version(head: &[u8]) -> Result<(u16, u16), ReadError> {
    match u64_at(head, header::MAGIC) {
        0 => return Err(ReadError::NotReady),
        MAGIC => {}
        _ => return Err(ReadError::NotAPage),
    }
    let (major, minor) = (u16_at(head, header::ABI_MAJOR), u16_at(head, header::ABI_MINOR));
    if major != ABI_MAJOR {
        return Err(ReadError::ForeignVersion { has_major: major, has_minor: minor, wants_major: ABI_MAJOR });
    }
    Ok((major, minor))
}

/// The identity, without its NICs, and the sections of a header of at least [`HEADER_SIZE`] bytes in
/// a file of `file_size` bytes.
pub(super) fn parse_header(
    head: &[u8],
    file_size: u64,
    owner: u32,
) -> Result<(PageIdentity, Plan), ReadError> {
    let abi = check_version(head)?;
    if u32_at(head, header::HEADER_SIZE) as usize != HEADER_SIZE {
        return bad("header", "its size is wrong");
    }
    let total = u64_at(head, header::TOTAL_SIZE);
    if total < HEADER_SIZE as u64 || total > MAX_PAGE_BYTES {
        return bad("header", "the page's size makes no sense");
    }
    if file_size < total {
        return Err(ReadError::Truncated { expected: total, actual: file_size });
    }
    let (nics, threads) = (u16_at(head, header::NICS), u16_at(head, header::THREADS));
    if !(1..=MAX_NICS).contains(&usize::from(nics)) {
        return bad("header", "the number of NICs makes no sense");
    }
    if !(1..=MAX_THREADS).contains(&usize::from(threads)) {
        return bad("header", "the number of threads makes no sense");
    }
    let plan = parse_sections(head, total, usize::from(nics), usize::from(threads))?;
    let known = |value: u64| (value != 0).then_some(value);
    let boot_id: [u8; 16] = array(head, header::BOOT_ID);
    let identity = PageIdentity {
        pid: u32_at(head, header::PID),
        start_ticks: known(u64_at(head, header::START_TICKS)),
        boot_id: (boot_id != [0; 16]).then_some(boot_id),
        pid_ns: known(u64_at(head, header::PID_NS)),
        net_ns: known(u64_at(head, header::NET_NS)),
        uid: owner,
        host: text_at(head, header::HOST),
        node: text_at(head, header::NODE),
        job: text_at(head, header::JOB),
        command: text_at(head, header::COMMAND),
        provider: text_at(head, header::PROVIDER),
        library_version: text_at(head, header::LIBRARY_VERSION),
        rank: u32_at(head, header::RANK),
        world: u32_at(head, header::WORLD),
        local_rank: u32_at(head, header::LOCAL_RANK),
        gpu: text_at(head, header::GPU),
        started_realtime_ns: u64_at(head, header::STARTED_REALTIME_NS),
        started_monotonic_ns: u64_at(head, header::STARTED_MONOTONIC_NS),
        nics: Vec::new(),
        threads,
        onlooker: u64_at(head, header::FEATURES) & FEATURE_ONLOOKER != 0,
        abi,
    };
    Ok((identity, plan))
}

fn parse_sections(head: &[u8], total: u64, nics: usize, threads: usize) -> Result<Plan, ReadError> {
    let count = u32_at(head, header::SECTION_COUNT) as usize;
    if count > header::MAX_SECTIONS {
        return bad("section table", "it has too many entries");
    }
    let mut sections = Vec::with_capacity(count);
    for i in 0..count {
        sections.push(parse_section(head, header::SECTIONS + i * header::SECTION_ENTRY, total)?);
    }
    let find = |kind: u32, name: &'static str, stride: usize, count: std::ops::RangeInclusive<usize>| {
        let mut found = sections.iter().filter(|s| s.kind == kind);
        let Some(section) = found.next() else {
            return bad(name, "it is missing");
        };
        if found.next().is_some() {
            return bad(name, "it is there twice");
        }
        if section.stride < stride {
            return bad(name, "its records are too small");
        }
        if !count.contains(&section.count) {
            return bad(name, "its number of records makes no sense");
        }
        Ok(*section)
    };
    let plan = Plan {
        control: find(kind::CONTROL, "control", CONTROL_POLICY.0 + CONTROL_POLICY.1, 1..=1)?,
        process: find(kind::PROCESS_COUNTERS, "process counters", FIRST_FIELD, 1..=1)?,
        nic_counters: find(kind::NIC_COUNTERS, "NIC counters", FIRST_FIELD, nics * threads..=nics * threads)?,
        nic_info: find(kind::NIC_INFO, "NIC info", NIC_INFO_LEN, nics..=nics)?,
        schema: find(kind::SCHEMA, "schema", SCHEMA_STRIDE, 1..=MAX_SCHEMA_FIELDS)?,
    };
    for hot in [plan.control, plan.process, plan.nic_counters] {
        if hot.stride > MAX_HOT_STRIDE || !hot.stride.is_multiple_of(8) || !hot.offset.is_multiple_of(8) {
            return bad("section table", "counters with a stride or an offset that makes no sense");
        }
    }
    Ok(plan)
}

fn parse_section(head: &[u8], at: usize, total: u64) -> Result<Section, ReadError> {
    let (stride, count) = (u32_at(head, at + 4), u32_at(head, at + 8));
    let offset = u64_at(head, at + 16);
    // 32 bits times 32 bits fits 64; the sum may not.
    let end = offset.checked_add(u64::from(stride) * u64::from(count));
    match (end, usize::try_from(offset)) {
        (Some(end), Ok(start)) if end <= total && start >= HEADER_SIZE => Ok(Section {
            kind: u32_at(head, at),
            stride: stride as usize,
            count: count as usize,
            offset: start,
        }),
        _ => bad("section table", "a section lies outside of the page"),
    }
}

/// The NICs of a `NIC_INFO` section.
pub(super) fn parse_nics(bytes: &[u8], stride: usize) -> Vec<NicIdentity> {
    let known = |value: u64| (value != 0).then_some(value);
    bytes
        .chunks_exact(stride)
        .map(|record| NicIdentity {
            domain: text_at(record, NIC_DOMAIN),
            device: text_at(record, NIC_DEVICE),
            netdev: text_at(record, NIC_NETDEV),
            pci: text_at(record, NIC_PCI),
            numa: u16::try_from(i32::from_le_bytes(array(record, NIC_NUMA))).ok(),
            port: array::<1>(record, NIC_PORT)[0],
            link_bits_per_s: known(u64_at(record, NIC_LINK_BITS_PER_S)),
            rail: u16_at(record, NIC_RAIL),
        })
        .collect()
}

/// A field as the page describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SchemaField {
    pub(super) section: u32,
    pub(super) offset: usize,
    pub(super) kind: FieldKind,
    /// Its values mean something.
    pub(super) counted: bool,
    pub(super) unit: String,
    pub(super) name: String,
}

/// The fields of a `SCHEMA` section.
pub(super) fn parse_schema(bytes: &[u8], stride: usize) -> Vec<SchemaField> {
    bytes
        .chunks_exact(stride)
        .map(|record| SchemaField {
            section: u32_at(record, SCHEMA_SECTION),
            offset: u32_at(record, SCHEMA_OFFSET) as usize,
            kind: FieldKind::from_code(u32_at(record, SCHEMA_KIND)),
            counted: u32_at(record, SCHEMA_FLAGS) & FIELD_UNCOUNTED == 0,
            unit: text_at(record, (SCHEMA_UNIT, SCHEMA_UNIT_LEN)),
            name: text_at(record, (SCHEMA_NAME, SCHEMA_NAME_LEN)),
        })
        .collect()
}
