//! Every kernel compiles for every architecture that is in use, without any GPU.

use railtop::transport::gpu::compile::compile;
use railtop::transport::gpu::descriptor::WORDS;
use railtop::transport::gpu::source::{ALL, Source};
use railtop::transport::gpu::{
    BlockId, Exchange, Gpu, GpuError, Moe, PeView, Report, quiet_at, stalls_at, taken_at,
};

/// A100, H100 and H200, B200.
const ARCHS: [&str; 3] = ["compute_80", "compute_90", "compute_100"];

/// What tests run on a GPU.
const PROBE: Source = Source::new("probe.cu", include_str!("on_gpu/probe.cu"));

#[test]
fn every_kernel_compiles() {
    for source in ALL.into_iter().chain([PROBE]) {
        for arch in ARCHS {
            let ptx = match compile(source, arch, None) {
                Err(error @ GpuError::NoCompiler { .. }) => return eprintln!("skipped: {error}"),
                compiled => compiled.unwrap().to_src(),
            };
            let target = format!(".target {}", arch.replace("compute", "sm"));
            assert!(ptx.contains(&target) && ptx.contains(".entry "), "{} for {arch}", source.name);
        }
    }
}

#[test]
fn structures_are_as_large_on_both_sides() {
    let text = format!(
        "{}\nstatic_assert(sizeof(rt_pe) == {}, \"rt_pe\");\nstatic_assert(sizeof(rt_exchange) == {}, \"rt_exchange\");\n\
         static_assert(sizeof(rt_block) == {}, \"rt_block\");\nstatic_assert(sizeof(rt_report) == {}, \"rt_report\");\n\
         static_assert(RT_APART == {} && RT_APART == {}, \"figures of a ring\");\n",
        include_str!("../kernels/alltoall.cu"),
        size_of::<PeView>(),
        size_of::<Exchange>(),
        size_of::<BlockId>(),
        Report::BYTES,
        quiet_at(8, WORDS) - taken_at(8, WORDS),
        stalls_at(8, WORDS) - quiet_at(8, WORDS),
    );
    let moe = format!(
        "{}\nstatic_assert(sizeof(rt_moe) == {}, \"rt_moe\");\nstatic_assert(sizeof(rt_trip) == 16 && sizeof(rt_answer) == 16, \"rows\");\n\
         static_assert(sizeof(rt_part) == 8, \"rt_part\");\n",
        include_str!("../kernels/moe.cu"),
        size_of::<Moe>(),
    );
    let with = |text: String| compile(Source::new("sizes.cu", text.leak()), "compute_90", None);
    match with(text.clone()) {
        Err(error @ GpuError::NoCompiler { .. }) => return eprintln!("skipped: {error}"),
        compiled => drop(compiled.unwrap()),
    }
    drop(with(moe).unwrap());
    let wrong = text.replacen("sizeof(rt_pe) == ", "sizeof(rt_pe) == 1", 1);
    assert!(with(wrong).unwrap_err().to_string().contains("rt_pe"));
}

#[test]
fn what_kernels_get_lies_where_they_look_for_it() {
    let text = include_str!("../kernels/railtop.cuh");
    let fields = text.split_once("struct rt_pe {\n").unwrap().1.split_once("\n};").unwrap().0;
    let mut end = 0_usize;
    let offsets: Vec<_> = fields
        .lines()
        .map(|line| {
            let field = line.split_once(';').unwrap().0.trim();
            let size = if field.contains('*') || field.starts_with("u64 ") { 8 } else { 4 };
            let offset = end.next_multiple_of(size);
            end = offset + size;
            (field.rsplit([' ', '*']).next().unwrap(), offset)
        })
        .collect();
    assert_eq!(offsets, PeView::OFFSETS);
    assert_eq!(end.next_multiple_of(8), size_of::<PeView>());
}

#[test]
fn what_was_compiled_is_kept_and_a_mistake_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let source = ALL[0];
    let first = match compile(source, "compute_90", Some(dir.path())) {
        Err(error @ GpuError::NoCompiler { .. }) => return eprintln!("skipped: {error}"),
        compiled => compiled.unwrap().to_src(),
    };
    let kept: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(std::fs::read_to_string(&kept[0]).unwrap(), first);
    // What lies there is taken; for another architecture it is not.
    std::fs::write(&kept[0], format!("// kept\n{first}")).unwrap();
    assert!(compile(source, "compute_90", Some(dir.path())).unwrap().to_src().starts_with("// kept"));
    // What is damaged is made anew.
    for damaged in ["", "kept", "\0", &first[..first.len() / 2]] {
        std::fs::write(&kept[0], damaged).unwrap();
        assert_eq!(compile(source, "compute_90", Some(dir.path())).unwrap().to_src(), first);
    }
    assert_eq!(
        compile(source, "compute_80", Some(dir.path())).unwrap().to_src().lines().next(),
        first.lines().next()
    );
    let wrong = Source::new("wrong.cu", "#include \"railtop.cuh\"\n__global__ void f() { rt_pout(); }\n");
    let error = compile(wrong, "compute_90", None).unwrap_err().to_string();
    assert!(error.contains("wrong.cu") && error.contains("rt_pout"), "{error}");
}

#[test]
fn without_a_gpu_it_says_what_is_missing() {
    if Gpu::count().is_ok_and(|count| count > 0) {
        return eprintln!("skipped: there is a GPU");
    }
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_railtop"))
        .args(["bench", "alltoall", "--initiator", "gpu"])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("--initiator host") || error.contains("no GPU 0"), "{error}");
    assert!(output.stdout.is_empty());
}
