//! Builds the bytes of a new page from its description.

use super::{
    bytes::{put, put_text},
    counts::{Field, NicCounts, PeCounts},
    error::PageError,
    identity::{NicIdentity, PageSpec},
    layout::{
        ABI_MAJOR, ABI_MINOR, ALIGN, CONTROL_POLICY, CONTROL_RX_SOURCE, CONTROL_STRIDE, FEATURE_ONLOOKER,
        FIELD_UNCOUNTED, FIRST_FIELD, HEADER_SIZE, MAX_NICS, MAX_THREADS, NIC_COUNTERS_STRIDE, NIC_DEVICE,
        NIC_DOMAIN, NIC_INFO_STRIDE, NIC_LINK_BITS_PER_S, NIC_NETDEV, NIC_NUMA, NIC_PCI, NIC_PORT, NIC_RAIL,
        PROCESS_STRIDE, PUBLISHED_NS, SCHEMA_FLAGS, SCHEMA_KIND, SCHEMA_NAME, SCHEMA_NAME_LEN, SCHEMA_OFFSET,
        SCHEMA_SECTION, SCHEMA_STRIDE, SCHEMA_UNIT, SCHEMA_UNIT_LEN, Section, header, kind,
    },
    process_facts::{boot_id, monotonic_ns, namespace, realtime_ns, start_ticks},
};

/// A page as it will be in the file, all but the magic number, and where its moving parts lie.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) bytes: Vec<u8>,
    pub(super) control: Section,
    pub(super) process: Section,
    pub(super) nic_counters: Section,
}

impl Image {
    pub(super) fn new(spec: &PageSpec) -> Result<Self, PageError> {
        let nics = within("NICs", spec.nics.len(), MAX_NICS)?;
        let threads = within("threads", usize::from(spec.threads), MAX_THREADS)?;

        let mut end = HEADER_SIZE;
        let mut section = |kind, stride, count| {
            let section = Section { kind, stride, count, offset: end };
            end = (end + section.bytes()).next_multiple_of(ALIGN);
            section
        };
        let control = section(kind::CONTROL, CONTROL_STRIDE, 1);
        let process = section(kind::PROCESS_COUNTERS, PROCESS_STRIDE, 1);
        let nic_counters = section(kind::NIC_COUNTERS, NIC_COUNTERS_STRIDE, threads * nics);
        let nic_info = section(kind::NIC_INFO, NIC_INFO_STRIDE, nics);
        let fields = fields(&spec.uncounted);
        let schema = section(kind::SCHEMA, SCHEMA_STRIDE, fields.len());

        let mut bytes = vec![0; end.next_multiple_of(HEADER_SIZE)];
        put_header(&mut bytes, spec);
        let sections = [control, process, nic_counters, nic_info, schema];
        put_sections(&mut bytes, &sections);
        for (i, nic) in spec.nics.iter().enumerate() {
            put_nic(&mut bytes, nic_info.offset + i * nic_info.stride, nic);
        }
        for (row, line) in fields.into_iter().enumerate() {
            let flags = if spec.uncounted.contains(&line.2.name) { FIELD_UNCOUNTED } else { 0 };
            put_field(&mut bytes, schema.offset + row * schema.stride, line, flags);
        }

        let now = monotonic_ns().to_le_bytes();
        put(&mut bytes, control.offset + PUBLISHED_NS, &now);
        put(&mut bytes, process.offset + PUBLISHED_NS, &now);
        put(&mut bytes, control.offset + CONTROL_RX_SOURCE, &spec.rx_source.code().to_le_bytes());
        put_text(&mut bytes, (control.offset + CONTROL_POLICY.0, CONTROL_POLICY.1), &spec.policy);
        Ok(Self { bytes, control, process, nic_counters })
    }
}

/// A line of the schema: section, word within the record, and what it is.
type Line = (u32, usize, &'static Field);

/// The schema, but for the fields `uncounted` that readers of 1.0 do without.
fn fields(uncounted: &[&str]) -> Vec<Line> {
    let pe = PeCounts::FIELDS.iter().enumerate().map(|(word, field)| (kind::PROCESS_COUNTERS, word, field));
    let nic = NicCounts::FIELDS.iter().enumerate().map(|(word, field)| (kind::NIC_COUNTERS, word, field));
    let is_there = |field: &Field| field.since_minor == 0 || !uncounted.contains(&field.name);
    pe.chain(nic).filter(|(_, _, field)| is_there(field)).collect()
}

fn within(what: &'static str, got: usize, max: usize) -> Result<usize, PageError> {
    if (1..=max).contains(&got) { Ok(got) } else { Err(PageError::TooMany { what, got, max }) }
}

/// A length that `within` has bounded to far below 2^16; saturates rather than wraps.
fn u16_of(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

fn u32_of(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn put_header(bytes: &mut [u8], spec: &PageSpec) {
    let total = bytes.len() as u64;
    put(bytes, header::ABI_MAJOR, &ABI_MAJOR.to_le_bytes());
    put(bytes, header::ABI_MINOR, &ABI_MINOR.to_le_bytes());
    put(bytes, header::HEADER_SIZE, &u32_of(HEADER_SIZE).to_le_bytes());
    put(bytes, header::TOTAL_SIZE, &total.to_le_bytes());
    put(bytes, header::FEATURES, &(if spec.onlooker { FEATURE_ONLOOKER } else { 0 }).to_le_bytes());
    put(bytes, header::PID, &std::process::id().to_le_bytes());
    put(bytes, header::UID, &nix::unistd::geteuid().as_raw().to_le_bytes());
    put(bytes, header::START_TICKS, &start_ticks().unwrap_or(0).to_le_bytes());
    put(bytes, header::BOOT_ID, &boot_id().unwrap_or([0; 16]));
    put(bytes, header::PID_NS, &namespace("pid").unwrap_or(0).to_le_bytes());
    put(bytes, header::NET_NS, &namespace("net").unwrap_or(0).to_le_bytes());
    put(bytes, header::STARTED_REALTIME_NS, &realtime_ns().to_le_bytes());
    put(bytes, header::STARTED_MONOTONIC_NS, &monotonic_ns().to_le_bytes());
    put(bytes, header::RANK, &spec.rank.to_le_bytes());
    put(bytes, header::WORLD, &spec.world.to_le_bytes());
    put(bytes, header::LOCAL_RANK, &spec.local_rank.to_le_bytes());
    put(bytes, header::THREADS, &spec.threads.to_le_bytes());
    put(bytes, header::NICS, &u16_of(spec.nics.len()).to_le_bytes());
    put_text(bytes, header::HOST, &spec.host);
    put_text(bytes, header::NODE, &spec.node);
    put_text(bytes, header::JOB, &spec.job);
    put_text(bytes, header::COMMAND, &spec.command);
    put_text(bytes, header::PROVIDER, &spec.provider);
    put_text(bytes, header::LIBRARY_VERSION, &spec.library_version);
    put_text(bytes, header::GPU, &spec.gpu);
}

fn put_sections(bytes: &mut [u8], sections: &[Section]) {
    put(bytes, header::SECTION_COUNT, &u32_of(sections.len()).to_le_bytes());
    for (i, section) in sections.iter().enumerate() {
        let at = header::SECTIONS + i * header::SECTION_ENTRY;
        put(bytes, at, &section.kind.to_le_bytes());
        put(bytes, at + 4, &u32_of(section.stride).to_le_bytes());
        put(bytes, at + 8, &u32_of(section.count).to_le_bytes());
        put(bytes, at + 16, &(section.offset as u64).to_le_bytes());
    }
}

fn put_nic(bytes: &mut [u8], at: usize, nic: &NicIdentity) {
    for ((offset, len), text) in
        [(NIC_DOMAIN, &nic.domain), (NIC_DEVICE, &nic.device), (NIC_NETDEV, &nic.netdev), (NIC_PCI, &nic.pci)]
    {
        put_text(bytes, (at + offset, len), text);
    }
    put(bytes, at + NIC_NUMA, &nic.numa.map_or(-1, i32::from).to_le_bytes());
    put(bytes, at + NIC_RAIL, &nic.rail.to_le_bytes());
    put(bytes, at + NIC_PORT, &[nic.port]);
    put(bytes, at + NIC_LINK_BITS_PER_S, &nic.link_bits_per_s.unwrap_or(0).to_le_bytes());
}

fn put_field(bytes: &mut [u8], at: usize, (section, word, field): Line, flags: u32) {
    put(bytes, at + SCHEMA_SECTION, &section.to_le_bytes());
    put(bytes, at + SCHEMA_OFFSET, &u32_of(FIRST_FIELD + word * 8).to_le_bytes());
    put(bytes, at + SCHEMA_KIND, &field.kind.code().to_le_bytes());
    put(bytes, at + SCHEMA_FLAGS, &flags.to_le_bytes());
    put_text(bytes, (at + SCHEMA_UNIT, SCHEMA_UNIT_LEN), field.unit);
    put_text(bytes, (at + SCHEMA_NAME, SCHEMA_NAME_LEN), field.name);
}
