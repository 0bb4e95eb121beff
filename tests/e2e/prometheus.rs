//! `railtop export` under the real Prometheus, beside a job that runs in a lab: the alert on imbalance fires and resolves,
//! and every query of the dashboard has data.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::http::get;
use crate::port::Port;
use crate::support::{Running, SECONDS, Shape, Site, eventually, lab_machine};

const SHAPE: Shape = Shape { nodes: 2, pes_per_node: 4, nics_per_pe: 4, nic_rate: "50mbit" };

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

/// Whether Prometheus is here; says so if not.
fn has_prometheus() -> bool {
    for program in ["prometheus", "promtool"] {
        if Command::new(program).arg("--version").output().is_err() {
            eprintln!("skipped: {program} is not installed (Debian: prometheus)");
            return false;
        }
    }
    true
}

/// What `promtool` says of this input, which must be nothing bad.
fn promtool(args: &[&str], input: Option<&Path>) -> String {
    let mut command = Command::new("promtool");
    if let Some(path) = input {
        command.stdin(fs::File::open(path).unwrap());
    }
    let output = command.args(args).output().unwrap();
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "promtool {args:?}: {text}");
    text
}

/// An EFA device and a ConnectX whose counters rise while the test runs: the dashboard is about devices as well.
struct Devices<'a> {
    site: &'a Site,
    done: AtomicBool,
}

/// A counter, and by how much it rises at each step.
type Rising = (&'static str, u64);

/// Device, driver, and its counters.
const DEVICES: [(&str, &str, &[Rising]); 2] = [
    (
        "rdmap0s0",
        "efa",
        &[
            ("hw_counters/tx_bytes", 3_000_000),
            ("hw_counters/rx_bytes", 3_000_000),
            ("hw_counters/rx_drops", 1),
            ("hw_counters/retrans_pkts", 2),
            ("hw_counters/retrans_bytes", 2048),
            ("hw_counters/retrans_timeout_events", 1),
        ],
    ),
    (
        "mlx5_0",
        "mlx5_core",
        &[
            ("counters/port_xmit_data", 250_000),
            ("counters/port_rcv_data", 250_000),
            ("hw_counters/np_cnp_sent", 5),
        ],
    ),
];

impl Devices<'_> {
    fn make(&self) {
        for (device, driver, counters) in DEVICES {
            let dir = self.site.path("class/infiniband").join(device);
            fs::create_dir_all(dir.join("device")).unwrap();
            fs::write(dir.join("device/uevent"), format!("DRIVER={driver}\n")).unwrap();
            for (counter, _) in counters {
                fs::create_dir_all(dir.join("ports/1").join(counter).parent().unwrap()).unwrap();
            }
            for (name, text) in
                [("state", "4: ACTIVE\n"), ("phys_state", "5: LinkUp\n"), ("rate", "100 Gb/sec (4X EDR)\n")]
            {
                fs::write(dir.join("ports/1").join(name), text).unwrap();
            }
        }
        self.step(0);
    }

    fn step(&self, step: u64) {
        for (device, _, counters) in DEVICES {
            let port = self.site.path("class/infiniband").join(device).join("ports/1");
            for (counter, rise) in counters {
                let new = self.site.path("new-value");
                fs::write(&new, format!("{}\n", rise * step)).unwrap();
                fs::rename(&new, port.join(counter)).unwrap();
            }
        }
    }

    fn run(&self) {
        let steps = (1..).take_while(|_| !self.done.load(Ordering::Relaxed));
        for step in steps {
            self.step(step);
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Sets the flag when a test ends, however it ends, so that a thread of its does too.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A Prometheus of the test's own.
struct Prometheus {
    port: Port,
    _running: Running,
}

impl Prometheus {
    /// Scrapes this every second, with our rules in a hurry: what is minutes there is seconds here.
    fn start(site: &Site, target: SocketAddr) -> Self {
        let dir = site.path("prometheus");
        fs::create_dir(&dir).unwrap();
        let rules = fs::read_to_string(deploy("prometheus/railtop.rules.yml")).unwrap();
        let hurried = rules.replace("[2m:]", "[4s:1s]").replace("for: 2m", "for: 2s");
        assert!(hurried.contains("> 1e6)[4s:1s])"), "{hurried}");
        fs::write(dir.join("railtop.rules.yml"), hurried).unwrap();
        let config = dir.join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
             rule_files: [railtop.rules.yml]\n\
             scrape_configs: [{{job_name: railtop, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        fs::write(&config, text).unwrap();
        promtool(&["check", "config", config.to_str().unwrap()], None);
        let port = Port::reserve();
        let address = port.address;
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .current_dir(&dir);
        let running = site.start(&mut command);
        let prometheus = Self { port, _running: running };
        eventually("Prometheus is ready", || {
            let up = std::net::TcpStream::connect(address).is_ok();
            (up && get(address, "/-/ready").code == 200).then_some(())
        });
        prometheus
    }

    fn api(&self, target: &str) -> Value {
        let answer = get(self.port.address, target);
        let value: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        assert_eq!(value["status"], "success", "{target}: {answer:?}");
        value["data"].clone()
    }

    /// The result of a query now.
    fn query(&self, expression: &str) -> Vec<Value> {
        let mut encoded = String::new();
        for byte in expression.bytes() {
            write!(encoded, "%{byte:02X}").unwrap();
        }
        self.api(&format!("/api/v1/query?query={encoded}"))["result"].as_array().unwrap().clone()
    }

    /// The labels of imbalance alerts that fire.
    fn firing(&self) -> Vec<Value> {
        let alerts = self.api("/api/v1/alerts")["alerts"].as_array().unwrap().clone();
        let ours = |a: &&Value| a["labels"]["alertname"] == "RdmaImbalance" && a["state"] == "firing";
        alerts.iter().filter(ours).map(|alert| alert["labels"].clone()).collect()
    }
}

fn traffic(site: &Site, policy: &str) -> Running {
    let words = format!("alltoall --policy {policy} -b 512K -e 512K -w 1 --duration 300s --format json");
    site.start(&mut site.bench_in_lab(SHAPE, &words))
}

/// All queries of the dashboard, with its variables set.
fn queries() -> Vec<String> {
    let text = fs::read_to_string(deploy("grafana/railtop.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let annotations = dashboard["annotations"]["list"].as_array().unwrap();
    let all = targets.chain(annotations).map(|target| target["expr"].as_str().unwrap());
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let variables = variables.iter().filter_map(|variable| variable["definition"].as_str());
    let variables = variables.map(|query| {
        let (series, label) = query.strip_prefix("label_values(").unwrap().rsplit_once(", ").unwrap();
        format!("count by ({}) ({series})", label.trim_end_matches(')'))
    });
    let set = |text: String| {
        let set =
            text.replace("$__rate_interval", "8s").replace("$job", "railtop").replace("$instance", ".*");
        assert!(!set.contains('$'), "a variable that nobody sets: {set}");
        set
    };
    all.map(ToOwned::to_owned).chain(variables).map(set).collect()
}

#[test]
fn promtool_passes_the_rules_and_the_metrics() {
    if !has_prometheus() {
        return;
    }
    let text = promtool(&["check", "rules", deploy("prometheus/railtop.rules.yml").to_str().unwrap()], None);
    assert!(text.contains("SUCCESS"), "{text}");
    promtool(&["check", "config", deploy("prometheus/prometheus.yml").to_str().unwrap()], None);
    promtool(&["test", "rules", deploy("prometheus/railtop.rules.test.yml").to_str().unwrap()], None);
    // Of every kind of device that we have, the hostile ones included.
    for fixture in ["efa-p5", "mlx5-roce", "drivers", "hostile", "damage", "empty"] {
        let site = Site::new();
        let (root, page) = (format!("tests/fixtures/sys/{fixture}"), site.path("rdma.prom"));
        let mut command = site.railtop();
        command.args(["--sysfs-root", &root, "export", "-n", "2", "-i", "50ms", "--textfile"]).arg(&page);
        command.args(["--compat", "node_infiniband"]);
        site.run(&mut command).code(if fixture == "empty" { 3 } else { 0 });
        assert_eq!(promtool(&["check", "metrics"], Some(&page)), "", "{fixture}");
    }
}

#[test]
fn the_alert_on_imbalance_fires_and_resolves_and_every_panel_has_data() {
    if !has_prometheus() {
        return;
    }
    let Some(_alone) = lab_machine() else { return };
    let site = Site::new();
    let devices = Devices { site: &site, done: AtomicBool::new(false) };
    devices.make();
    std::thread::scope(|scope| {
        let _done = Done(&devices.done);
        scope.spawn(|| devices.run());
        let exporter = site.start(site.railtop().args(["export", "--listen", "127.0.0.1:0", "-i", "200ms"]));
        let target = eventually("the exporter says where it is", || {
            let said = exporter.stderr();
            let at = said.split_once("http://")?.1.split_once("/metrics")?.0;
            at.parse::<SocketAddr>().ok()
        });
        let prometheus = Prometheus::start(&site, target);
        let skewed = traffic(&site, "round-robin");
        // Each of the 8 PEs receives on one NIC of its four, and sends on all of them.
        let firing = eventually("the alert fires for every PE", || {
            let firing = prometheus.firing();
            let pes = firing.iter().filter(|labels| labels["pe"].is_string()).count();
            (pes >= 8).then_some(firing)
        });
        for labels in firing.iter().filter(|labels| labels["pe"].is_string()) {
            assert_eq!((&labels["direction"], &labels["severity"]), (&"receive".into(), &"warning".into()));
        }
        for query in queries() {
            eventually(&query, || (!prometheus.query(&query).is_empty()).then_some(()));
        }
        let page = get(target, "/metrics");
        for device in ["rdmap0s0", "mlx5_0"] {
            let errors = page.value(&format!("railtop_read_errors_total{{device=\"{device}\",port=\"1\"}}"));
            assert_eq!(errors, Some(0.0), "{page:?}");
        }
        drop(skewed);
        let _even = traffic(&site, "pair-seq");
        // The rule knows groups that move more than 1 MB/s only: 8 of them are busy, and even.
        let even = "count(railtop:group_imbalance:ratio_avg2m{pe!=\"\",direction=\"receive\"} <= 1.25) == 8";
        let of_pes = || prometheus.firing().iter().filter(|labels| labels["pe"].is_string()).count();
        eventually("the alert resolves while as much moves", || {
            (of_pes() == 0 && !prometheus.query(even).is_empty()).then_some(())
        });
        let fired = prometheus.query(
            "count(count by (pe) (count_over_time(ALERTS{alertname=\"RdmaImbalance\",alertstate=\"firing\",pe!=\"\"}[10m])))",
        );
        assert_eq!(fired[0]["value"][1], "8", "{fired:?}");
        exporter.signal(nix::sys::signal::Signal::SIGTERM);
        exporter.finish(SECONDS).code(0);
    });
}
