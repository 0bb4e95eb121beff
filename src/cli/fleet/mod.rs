//! `railtop top --remote`: other machines' NICs, on the screen or once as text.

mod once;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::config::Settings;
use super::exit::{self, ExitError};
use super::files;
use super::source::{SourceArg, TextOrJson};
use super::top::ended;
use crate::monitor::fleet::{Access, Config, Fleet, Select, Via, access, slurm, target};
use crate::monitor::tui;

/// Which other machines, and how they are asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, clap::Args)]
pub struct FleetArgs {
    /// Show these nodes' NICs and not this one's, by their exporters (`railtop export --listen`): HOST, HOST:PORT,
    /// `[IPV6]:PORT`, `https://HOST:PORT`, `node[01-16]`, @FILE, with commas
    #[arg(long, value_name = "NODES", env = "RAILTOP_REMOTE", conflicts_with = "synthetic")]
    pub remote: Option<String>,

    /// The same for the nodes of a Slurm job; without JOBID of the one around
    #[arg(long, value_name = "JOBID", num_args = 0..=1, default_missing_value = "", conflicts_with = "synthetic")]
    pub nodes_from_slurm: Option<String>,

    /// How NODES without a scheme are asked: by their exporters, or where there are none by `railtop log`, which ssh or srun
    /// runs there (srun within the job of --nodes-from-slurm or the one around) [default: http]
    #[arg(long, value_enum, value_name = "PROGRAM")]
    pub via: Option<ViaArg>,

    /// With https, trust the authorities in this file (PEM), and not the system's
    #[arg(long, value_name = "FILE", env = "RAILTOP_REMOTE_CA")]
    pub remote_ca: Option<PathBuf>,

    /// For exporters that want a password: a file whose first line is USER:PASSWORD
    #[arg(long, value_name = "FILE", env = "RAILTOP_REMOTE_AUTH")]
    pub remote_auth: Option<PathBuf>,

    /// With --remote: no screen, but all nodes once as text or JSON, the worst first
    #[arg(long, value_enum, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    pub once: Option<TextOrJson>,
}

/// `--via` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ViaArg {
    /// The exporters' pages
    #[default]
    Http,
    /// `ssh HOST railtop log`
    Ssh,
    /// `srun --nodelist=HOST railtop log`
    Srun,
}

impl FleetArgs {
    /// Whether other machines are asked for.
    pub(super) fn is_wanted(&self) -> bool {
        self.remote.is_some() || self.nodes_from_slurm.is_some()
    }
}

/// Shows the fleet until the person quits, or writes it once.
///
/// # Errors
/// When the nodes cannot be told, or the terminal or the output cannot be used.
pub(super) fn run(args: &FleetArgs, settings: &Settings) -> anyhow::Result<ExitCode> {
    if args.once.is_none() {
        exit::require_terminal()?;
    }
    // A connection a node.
    files::allow_many();
    let config = config(args, settings)?;
    if let Some(format) = args.once {
        return once::run(config, format);
    }
    tui::watch_panics();
    let mut fleet = Fleet::start(config).context("cannot start the thread that asks the nodes")?;
    let options = tui::TuiOptions { fleet: true, ..settings.screen() };
    Ok(ended(tui::run(&mut fleet, &options)?))
}

fn config(args: &FleetArgs, settings: &Settings) -> anyhow::Result<Config> {
    let usage = |text: String| anyhow::Error::from(ExitError::Usage(text));
    let mut lists = Vec::new();
    if let Some(list) = &args.remote {
        lists.push(("--remote", list.clone()));
    }
    if let Some(job) = &args.nodes_from_slurm {
        let job = Some(job.as_str()).filter(|job| !job.is_empty());
        let list = slurm::nodes(job, |name| std::env::var(name).ok());
        lists.push((
            "--nodes-from-slurm",
            list.map_err(|error| usage(format!("--nodes-from-slurm: {error}")))?,
        ));
    }
    let mut targets = Vec::new();
    for (flag, list) in lists {
        let via = match args.via.unwrap_or_default() {
            ViaArg::Http => Via::Http,
            ViaArg::Ssh => Via::Ssh,
            ViaArg::Srun => Via::Srun(args.nodes_from_slurm.clone().filter(|job| !job.is_empty())),
        };
        let found = target::parse(&list, &via).map_err(|error| usage(format!("{flag}: {error}")))?;
        targets.extend(found.into_iter().filter(|target| !targets.contains(target)).collect::<Vec<_>>());
    }
    target::tell_apart(&mut targets);
    let wants_tls = targets.iter().any(|target| target.tls);
    let tls = wants_tls.then(|| access::tls(args.remote_ca.as_deref())).transpose()?;
    if let Some(path) = args.remote_auth.as_deref().filter(|path| access::is_open_to_all(path)) {
        let path = crate::text::printable(&path.display().to_string());
        exit::say(&format!(
            "railtop: everybody on this machine can read the password in {path}; chmod 600 helps"
        ));
    }
    let authorization = args.remote_auth.as_deref().map(access::password).transpose()?;
    Ok(Config {
        targets,
        access: Access { tls, authorization },
        select: Select {
            device: settings.device.clone(),
            source: settings.source.and_then(SourceArg::only),
            line_rates: settings.line_rates.clone(),
        },
        interval: settings.preferences.interval,
        thresholds: settings.thresholds,
    })
}
