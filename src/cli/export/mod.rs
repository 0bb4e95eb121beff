//! `railtop export`: numbers for other tools. As they come for Prometheus, or a recording as a trace.

mod address;
mod live;
mod perfetto;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::GlobalArgs;
use super::exit::ExitError;
use super::source::{Selection, parse_interval};
use crate::monitor::export::Compat;

/// Serve metrics for Prometheus, or turn a recording into a trace
#[derive(Debug, Clone, clap::Args)]
#[command(
    override_usage = "railtop export --listen ADDR [OPTIONS]\n       railtop export --textfile FILE [OPTIONS]\n       \
    railtop export RECORDING --perfetto FILE [OPTIONS]",
    after_help = "Metrics: see docs/fleet.md for their names, alerts and a dashboard. SIGINT and SIGTERM end both in good order, \
    with exit code 0.\n\
    Traces: open them at https://ui.perfetto.dev. Their time is the wall clock of the recording; a rate stands at the beginning of \
    the time it was measured over, and where there is none, a slice says why."
)]
pub struct ExportArgs {
    /// A recording made by `railtop log --record` or with the screen's key for it
    #[arg(value_name = "RECORDING")]
    pub recording: Option<PathBuf>,

    /// Serve metrics over HTTP here, at HOST:PORT, such as 127.0.0.1:9812 or `[::1]:9812`; a port alone is one of 127.0.0.1, port 0 any that is free
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["recording", "textfile"])]
    pub listen: Option<String>,

    /// Write metrics to this file again and again, for `node_exporter`'s textfile collector: a name that ends in .prom; - is
    /// stdout
    #[arg(long, value_name = "FILE", conflicts_with = "recording")]
    pub textfile: Option<PathBuf>,

    /// With --listen, the least time between two reads of the counters: scrapes within it share one [default: 1s]. With
    /// --textfile, the time between two writes [default: 15s]
    #[arg(short, long, value_name = "TIME", value_parser = parse_interval, conflicts_with = "perfetto")]
    pub interval: Option<Duration>,

    /// End after this many writes; with 1 the counters are read twice, a second apart
    #[arg(short = 'n', long, value_name = "COUNT", requires = "textfile", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Also under the names of these exporters, so that dashboards made for them go on; repeatable
    #[arg(long, value_enum, value_name = "NAME", value_delimiter = ',', conflicts_with = "perfetto")]
    pub compat: Vec<Compat>,

    /// Export no more PEs than this; `railtop_pes_left_out` says how many there are beyond
    #[arg(long, value_name = "COUNT", default_value_t = 64, conflicts_with = "perfetto")]
    pub max_pes: usize,

    /// Leave out `rdma_port_hw_counters_total`, which has every counter under the kernel's own name
    #[arg(long, conflicts_with = "perfetto")]
    pub no_hw_counters: bool,

    /// Serve HTTPS with this certificate, and those that lead to its authority, in PEM; read anew when it changes
    #[arg(long, value_name = "FILE", requires_all = ["listen", "tls_key"])]
    pub tls_cert: Option<PathBuf>,

    /// The certificate's key, in PEM
    #[arg(long, value_name = "FILE", requires_all = ["listen", "tls_cert"])]
    pub tls_key: Option<PathBuf>,

    /// Ask for user and password (HTTP basic); lines USER:HASH with bcrypt's hashes, as `htpasswd -nB USER` prints them; read once, at the start
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub auth_file: Option<PathBuf>,

    /// Most connections at a time; when there are more, the one that has idled longest is closed
    #[arg(long, value_name = "COUNT", default_value_t = 2048, requires = "listen", value_parser = parse_connections)]
    pub max_connections: usize,

    /// Write a Perfetto trace to this new file; - is stdout
    #[arg(long, value_name = "FILE", requires = "recording")]
    pub perfetto: Option<PathBuf>,

    /// Replace the trace's FILE if it is there
    #[arg(long, requires = "perfetto")]
    pub force: bool,

    /// Which NICs, by which source.
    #[command(flatten)]
    pub selection: Selection,
}

fn parse_connections(text: &str) -> Result<usize, String> {
    let count: usize = text.parse().map_err(|_| "a number is wanted".to_owned())?;
    if (1..=1_000_000).contains(&count) { Ok(count) } else { Err("between 1 and 1000000".to_owned()) }
}

/// Exports, until it is told to end or the recording is over.
///
/// # Errors
/// When it cannot listen, write or read what it should, or the configuration is wrong.
pub fn run(args: &ExportArgs, global: &GlobalArgs) -> anyhow::Result<ExitCode> {
    if let Some(address) = &args.listen {
        return live::serve(args, global, address);
    }
    if let Some(path) = &args.textfile {
        return live::write(args, global, path);
    }
    let (Some(from), Some(to)) = (&args.recording, &args.perfetto) else {
        let text = "say what to export: `railtop export --listen 127.0.0.1:9812` or `--textfile FILE` for metrics, \
                    `railtop export RECORDING --perfetto FILE` for a trace";
        return Err(ExitError::Usage(text.to_owned()).into());
    };
    perfetto::run(args, global, from, to)
}
