//! What lies in `deploy/` runs: the commands of the unit and of the `DaemonSet`, without privileges.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::http::get;
use crate::support::{RAILTOP, Running, SECONDS, Site, eventually};

fn deploy(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)).unwrap()
}

/// `export` with these arguments, as a user who may do nothing but what everybody may.
fn as_nobody(site: &Site, args: &[String]) -> Running {
    let ours = site.railtop();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]);
    command.args(["--inh-caps=-all", "--bounding-set=-all", RAILTOP]).args(args);
    for (name, value) in ours.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    site.start(command.env("RAILTOP_CONFIG", "").env_remove("RAILTOP_SYSFS_ROOT"))
}

fn address(exporter: &Running) -> SocketAddr {
    eventually("the exporter says where it is", || {
        let said = exporter.stderr();
        said.split_once("http://")?.1.split_once("/metrics")?.0.parse().ok()
    })
}

#[test]
fn what_the_unit_and_the_daemonset_start_serves_without_privileges() {
    // Programs below a home directory are not everybody's.
    let reachable = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", RAILTOP, "--version"])
        .output();
    if !reachable.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: cannot become nobody and start {RAILTOP}");
        return;
    }
    let unit = deploy("systemd/railtop-exporter.service");
    let flags = unit.split_once("RAILTOP_EXPORT=\"").unwrap().1.split_once('"').unwrap().0;
    assert!(unit.contains("ExecStart=/usr/local/bin/railtop export $RAILTOP_EXPORT\n"));
    let of_unit: Vec<_> = ["export"].into_iter().chain(flags.split(' ')).map(ToOwned::to_owned).collect();
    let daemonset = deploy("kubernetes/daemonset.yaml");
    let args = daemonset.lines().find_map(|line| line.trim().strip_prefix("args: ")).unwrap();
    let of_daemonset: Vec<String> = serde_json::from_str(args).unwrap();
    // A checkout may be its owner's alone; the tree that is read must not be.
    let everybody = tempfile::tempdir().unwrap();
    let tree = everybody.path().join("sys");
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sys/efa-p5");
    for command in [["cp", "-a", fixture], ["chmod", "-R", "a+rX"]] {
        let target = if command[0] == "cp" { &tree } else { everybody.path() };
        assert!(Command::new(command[0]).args(&command[1..]).arg(target).status().unwrap().success());
    }
    let tree = tree.to_str().unwrap();
    for args in [of_unit, of_daemonset] {
        assert!(args.iter().any(|arg| arg.ends_with(":9812")), "{args:?}");
        let here = args.iter().map(|arg| match arg.as_str() {
            "$(HOST_IP):9812" | "127.0.0.1:9812" => "127.0.0.1:0".to_owned(),
            "/host/sys" => tree.to_owned(),
            other => other.to_owned(),
        });
        let site = Site::new();
        let exporter = as_nobody(&site, &here.collect::<Vec<_>>());
        let address = address(&exporter);
        assert_eq!(get(address, "/healthz").code, 200);
        let page = get(address, "/metrics");
        assert_eq!(page.code, 200);
        if args.contains(&"/host/sys".to_owned()) {
            let sent = page.value("rdma_port_transmit_bytes_total{device=\"rdmap79s0\",port=\"1\"}");
            assert_eq!(sent, Some(6_070_000_007.0), "{}", exporter.stderr());
        }
        exporter.signal(nix::sys::signal::Signal::SIGTERM);
        exporter.finish(SECONDS).code(0);
    }
}

#[test]
fn the_unit_is_hardened() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd/railtop-exporter.service");
    let mut analyze = Command::new("systemd-analyze");
    // Tenths: systemd calls what is below 2 safe enough not to say more.
    analyze.args(["security", "--offline=true", "--threshold=20", "--no-pager"]).arg(unit);
    match analyze.output() {
        Err(e) => eprintln!("skipped: systemd-analyze: {e}"),
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
    }
}

#[test]
fn kustomize_builds_the_manifests() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes");
    match Command::new("kubectl").arg("kustomize").arg(dir).output() {
        Err(e) => eprintln!("skipped: kubectl: {e}"),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            for kind in ["DaemonSet", "Service", "ServiceMonitor"] {
                assert_eq!(text.matches(&format!("\nkind: {kind}\n")).count(), 1, "{text}");
            }
        }
    }
}
