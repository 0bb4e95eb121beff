//! Which nodes, as they are written on the command line: `node[1-4],10.0.0.7:9000,https://gpu9/metrics,@FILE`.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::Path;

use super::hostlist::{self, MAX_HOSTS};

/// The exporter's port where none is given, as in `railtop export --listen 127.0.0.1:9812`.
pub const DEFAULT_PORT: u16 = 9812;
/// The longest file of hosts.
const MAX_FILE: u64 = 1 << 20;

/// How a node is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Via {
    /// Its exporter is there.
    #[default]
    Http,
    /// By `railtop log`, which ssh runs there.
    Ssh,
    /// By `railtop log`, which srun runs there, within the job with this number or the one around.
    Srun(Option<String>),
}

impl Via {
    /// The program that is run here for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Ssh => "ssh",
            Self::Srun(_) => "srun",
        }
    }
}

/// Where a node's exporter is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// What its rows are called: the host, and the port where it is not the usual one.
    pub name: String,
    /// How it is asked.
    pub via: Via,
    /// Over TLS.
    pub tls: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// TCP port; 0 where ssh knows it.
    pub port: u16,
    /// What is asked for, from the slash on.
    pub path: String,
}

impl Target {
    /// Host and port as they stand in a URL and in the `Host` of a request.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == 0 {
            self.host.clone()
        } else if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whether what is sent there stays on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.via, self.tls) {
            (Via::Http, true) => write!(f, "https://{}{}", self.authority(), self.path),
            (Via::Http, false) => write!(f, "http://{}{}", self.authority(), self.path),
            (Via::Ssh, _) if self.port != 0 => write!(f, "ssh://{}", self.authority()),
            (via, _) => write!(f, "{}://{}", via.name(), self.host),
        }
    }
}

/// Why a list of nodes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A part is no host.
    #[error(
        "{part:?}: {why}; a node is HOST, HOST:PORT, [IPV6]:PORT, http(s)://HOST:PORT, node[1-4] or @FILE"
    )]
    Part {
        /// What was written.
        part: String,
        /// What is wrong.
        why: String,
    },
    /// A file cannot be read.
    #[error("cannot read the nodes in {path}: {why}")]
    File {
        /// Its name.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// There is no node in it.
    #[error("it names no node")]
    Empty,
    /// It names more than anybody looks at.
    #[error("it names more than {MAX_HOSTS} nodes")]
    TooMany,
}

/// The nodes of a list, each once, in its order; those without a scheme are asked `via` this.
///
/// # Errors
/// When a part is none, or there are none or too many.
pub fn parse(list: &str, via: &Via) -> Result<Vec<Target>, TargetError> {
    let mut targets = Vec::new();
    add(list, via, true, &mut targets)?;
    let mut seen = HashSet::new();
    targets.retain(|target: &Target| seen.insert(target.to_string()));
    tell_apart(&mut targets);
    if targets.is_empty() { Err(TargetError::Empty) } else { Ok(targets) }
}

/// Gives nodes that would be called the same longer names: with the port, and if that is not enough the whole address.
pub fn tell_apart(targets: &mut [Target]) {
    let longer: [fn(&Target) -> String; 2] = [Target::authority, Target::to_string];
    let same_host = |a: &Target, b: &Target| a.host == b.host;
    let same_name = |a: &Target, b: &Target| a.name == b.name;
    for (longer, alike) in longer.into_iter().zip([same_host as fn(&Target, &Target) -> bool, same_name]) {
        let names: Vec<Option<String>> = targets
            .iter()
            .map(|one| {
                let others = targets.iter().filter(|other| alike(one, other)).count();
                (others > 1).then(|| longer(one))
            })
            .collect();
        for (target, name) in targets.iter_mut().zip(names) {
            target.name = name.unwrap_or_else(|| std::mem::take(&mut target.name));
        }
    }
}

fn add(list: &str, via: &Via, files: bool, targets: &mut Vec<Target>) -> Result<(), TargetError> {
    let wrong = |part: &str, why: &dyn fmt::Display| TargetError::Part {
        part: crate::text::printable(part),
        why: why.to_string(),
    };
    for part in hostlist::split(list).map_err(|error| wrong(list, &error))? {
        let part = part.trim();
        if part.is_empty() {
            continue;
        }
        if let Some(path) = part.strip_prefix('@') {
            if !files {
                return Err(wrong(part, &"a file of nodes names no other file"));
            }
            for line in read(Path::new(path))?.lines() {
                let line = line.split('#').next().unwrap_or_default();
                // One node a line, or several with commas or blanks.
                for word in line.split_whitespace() {
                    add(word, via, false, targets)?;
                }
            }
            continue;
        }
        // The brackets of an address are not those of a list.
        let hosts = if is_ipv6(part) {
            vec![part.to_owned()]
        } else {
            hostlist::expand(part).map_err(|error| wrong(part, &error))?
        };
        for host in hosts {
            targets.push(one(&host, via).map_err(|why| wrong(&host, &why))?);
        }
        if targets.len() > MAX_HOSTS {
            return Err(TargetError::TooMany);
        }
    }
    Ok(())
}

fn is_ipv6(part: &str) -> bool {
    let rest = part.split_once("://").map_or(part, |(_, rest)| rest);
    rest.strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .is_some_and(|(inside, _)| inside.contains(':'))
}

fn read(path: &Path) -> Result<String, TargetError> {
    use std::io::Read as _;
    let wrong =
        |why: String| TargetError::File { path: crate::text::printable(&path.display().to_string()), why };
    let file = fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > MAX_FILE { Err(wrong("it is longer than 1 MiB".to_owned())) } else { Ok(text) }
}

/// One node without brackets of a list.
fn one(text: &str, default: &Via) -> Result<Target, String> {
    let (tls, via, rest) = match text.split_once("://") {
        None => (false, default.clone(), text),
        Some(("http", rest)) => (false, Via::Http, rest),
        Some(("https", rest)) => (true, Via::Http, rest),
        Some(("ssh", rest)) => (false, Via::Ssh, rest),
        Some((scheme, _)) => return Err(format!("{scheme:?} is neither http, https nor ssh")),
    };
    let (authority, path) = rest.find('/').map_or((rest, "/metrics"), |at| rest.split_at(at));
    // A user is no secret, and ssh has a word for it.
    let (user, authority) =
        match authority.split_once('@').filter(|(user, _)| via == Via::Ssh && !user.contains(':')) {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
    if authority.contains('@') {
        return Err(
            "a password on a command line can be read by everybody; --remote-auth FILE names it".to_owned()
        );
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("the bracket is not closed")?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| format!("{host:?} is no IPv6 address"))?;
            (
                host,
                port.strip_prefix(':')
                    .or((port.is_empty()).then_some(""))
                    .ok_or("after the bracket comes :PORT")?,
            )
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let port = match port {
        "" if authority.ends_with(':') => return Err("the port is missing".to_owned()),
        "" if via != Via::Http => 0,
        _ if matches!(via, Via::Srun(_)) => {
            return Err("srun asks Slurm for a node, and has no port".to_owned());
        }
        "" => DEFAULT_PORT,
        port => port.parse().ok().filter(|&port| port > 0).ok_or_else(|| format!("{port:?} is no port"))?,
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    // One that begins with a minus would be an option of ssh.
    if host.is_empty() || host.len() > 253 || !host.chars().all(fits) || host.starts_with(['-', '.']) {
        return Err("it is no name of a host".to_owned());
    }
    if path.len() > 1024 || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the path holds characters that no URL has".to_owned());
    }
    let name = match (port, host.contains(':')) {
        (DEFAULT_PORT | 0, _) => host.to_owned(),
        (port, true) => format!("[{host}]:{port}"),
        (port, false) => format!("{host}:{port}"),
    };
    if user.is_some_and(|user| user.is_empty() || !user.chars().all(fits) || user.starts_with('-')) {
        return Err("it is no name of a user".to_owned());
    }
    let host = user.map_or_else(|| host.to_owned(), |user| format!("{user}@{host}"));
    Ok(Target { name, via, tls, host, port, path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("node7", &["http://node7:9812/metrics"])]
    #[test_case("10.0.0.7:9000", &["http://10.0.0.7:9000/metrics"])]
    #[test_case("[::1]:80,[fe80::1]", &["http://[::1]:80/metrics", "http://[fe80::1]:9812/metrics"])]
    #[test_case("https://gpu9", &["https://gpu9:9812/metrics"])]
    #[test_case("http://a:1/m?x=1", &["http://a:1/m?x=1"])]
    #[test_case("ssh://n[1-2],ssh://ops@x:22", &["ssh://n1", "ssh://n2", "ssh://ops@x:22"])]
    #[test_case("n[1-2]:99, n2:99", &["http://n1:99/metrics", "http://n2:99/metrics"]; "each once")]
    #[test_case("https://n[01-02].x", &["https://n01.x:9812/metrics", "https://n02.x:9812/metrics"])]
    fn stands_for(list: &str, all: &[&str]) {
        assert_eq!(parse(list, &Via::Http).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>(), all);
    }

    #[test_case("", "names no node"; "nothing")]
    #[test_case("a:0", "is no port")]
    #[test_case("a:", "the port is missing")]
    #[test_case("a:99999", "is no port")]
    #[test_case("ftp://a", "neither http, https nor ssh")]
    #[test_case("-oProxyCommand=x", "no name of a host")]
    #[test_case("a b", "no name of a host")]
    #[test_case("https://u:p@a", "--remote-auth FILE")]
    #[test_case("ssh://-o@a", "no name of a user")]
    #[test_case("ssh://u:p@a", "--remote-auth FILE")]
    #[test_case("a[1-", "brackets do not match")]
    #[test_case("[::1", "brackets do not match")]
    #[test_case("[::x]:1", "no IPv6 address")]
    #[test_case("a\u{1b}[31m", "brackets")]
    #[test_case("@/nowhere", "cannot read the nodes in /nowhere")]
    #[test_case("n[0-4095],x", "more than 4096")]
    fn is_none(list: &str, why: &str) {
        let told = parse(list, &Via::Http).unwrap_err().to_string();
        assert!(told.contains(why), "{told}");
        assert!(!told.contains('\u{1b}'), "{told:?}");
    }

    #[test]
    fn srun_has_no_port() {
        let told = parse("n1:22", &Via::Srun(None)).unwrap_err().to_string();
        assert!(told.contains("n1:22") && told.contains("has no port"), "{told}");
        assert_eq!(parse("n1", &Via::Srun(None)).unwrap()[0].port, 0);
    }

    #[test]
    fn no_two_nodes_are_called_the_same() {
        let list = "a,b:1,b:2,c,ssh://c,http://d/x,http://d/y,[::1]:1,[::1]:2";
        let names: Vec<_> = parse(list, &Via::Http).unwrap().into_iter().map(|t| t.name).collect();
        let d = ["http://d:9812/x", "http://d:9812/y"];
        assert_eq!(names, ["a", "b:1", "b:2", "c:9812", "c", d[0], d[1], "[::1]:1", "[::1]:2"]);
    }

    #[test]
    fn a_file_names_nodes_line_by_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "# the rack\nn[1-2]  n9:1\nhttps://x # the odd one\n\n").unwrap();
        let list = format!("first,@{}", file.path().display());
        let names: Vec<_> = parse(&list, &Via::Http).unwrap().into_iter().map(|t| t.name).collect();
        assert_eq!(names, ["first", "n1", "n2", "n9:1", "x"]);
        std::fs::write(&file, "@/etc/passwd\n").unwrap();
        assert!(parse(&list, &Via::Http).unwrap_err().to_string().contains("names no other file"));
    }
}
