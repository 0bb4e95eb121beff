//! Kernels from source to PTX, by NVRTC, kept on disk.

use std::path::{Path, PathBuf};

use cudarc::nvrtc::sys::nvrtcResult;
use cudarc::nvrtc::{CompileError, CompileOptions, Ptx, compile_ptx_with_opts};
use sha2::{Digest, Sha256};

use super::error::GpuError;
use super::source::Source;
use super::version::Version;

/// Compiles `source` for the architecture, as `compute_90`, or takes what an earlier run has made of the very same text.
///
/// # Errors
/// When there is no NVRTC, or the kernel does not compile.
pub fn compile(source: Source, arch: &str, cache: Option<&Path>) -> Result<Ptx, GpuError> {
    let text = source.whole();
    let version = version()?;
    let options =
        vec![format!("--gpu-architecture={arch}"), "--std=c++17".to_owned(), "-lineinfo".to_owned()];
    let kept = cache.map(|dir| dir.join(kept_name(source.name, &text, arch, &options, version)));
    if let Some(ptx) = kept.as_deref().and_then(|path| std::fs::read_to_string(path).ok())
        && is_whole(&ptx)
    {
        return Ok(Ptx::from_src(ptx));
    }
    let options = CompileOptions { name: Some(source.name.to_owned()), options, ..CompileOptions::default() };
    let ptx = compile_ptx_with_opts(&text, options).map_err(|error| GpuError::Compile {
        kernel: source.name.to_owned(),
        arch: arch.to_owned(),
        log: match error {
            CompileError::CompileError { log, .. } => log.to_string_lossy().into_owned(),
            other => format!("{other:?}"),
        },
    })?;
    if let Some(path) = kept {
        keep(&path, &ptx.to_src());
    }
    Ok(ptx)
}

/// NVRTC's version.
///
/// # Errors
/// When there is no NVRTC, or it does not say.
pub fn version() -> Result<Version, GpuError> {
    // SAFETY: only tries to load a library that NVIDIA's own name for it finds.
    #[expect(unsafe_code, reason = "loading a library runs its initializers")]
    if !unsafe { cudarc::nvrtc::sys::is_culib_present() } {
        return Err(GpuError::NoCompiler { driver: None });
    }
    let (mut major, mut minor) = (0, 0);
    // SAFETY: writes two integers; the library is there.
    #[expect(unsafe_code, reason = "a C function that fills in what it is given")]
    let status = unsafe { cudarc::nvrtc::sys::nvrtcVersion(&raw mut major, &raw mut minor) };
    match status {
        nvrtcResult::NVRTC_SUCCESS => Ok(Version { major, minor }),
        failed => Err(GpuError::StrangeCompiler(format!("{failed:?}"))),
    }
}

/// Whether a kept file can be what was kept: the driver would say much less, or stop at a NUL.
fn is_whole(ptx: &str) -> bool {
    ptx.contains(".version ")
        && ptx.contains(".entry ")
        && ptx.trim_end().ends_with('}')
        && !ptx.contains('\0')
}

/// A name that changes with the text, with what it is compiled for, and by what: an older driver does not take what a newer
/// compiler makes.
fn kept_name(name: &str, text: &str, arch: &str, options: &[String], compiler: Version) -> String {
    let (options, version) = (options.join(" "), env!("CARGO_PKG_VERSION"));
    let digest = Sha256::digest(format!("{options}\n{compiler}\n{version}\n{text}"));
    let digest = u128::from_be_bytes(digest.first_chunk().copied().unwrap_or_default());
    format!("{name}-{arch}-{digest:032x}.ptx")
}

/// Keeps a kernel for the next run, whole or not at all; a folder that cannot be written costs the next run a second.
fn keep(path: &Path, ptx: &str) {
    let Some(dir) = path.parent() else { return };
    let partial = path.with_extension(format!("{}.part", std::process::id()));
    let kept = std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(&partial, ptx))
        .and_then(|()| std::fs::rename(&partial, path));
    if kept.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
}

/// Where kernels are kept: `railtop/kernels` in the user's cache.
#[must_use]
pub fn cache_dir() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("railtop").join("kernels"))
}
