//! Running `ip -batch -` and `tc -batch -`, and finding out which line they did not like.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::error::LabError;

/// A batch run of one of iproute2's programs that has started and waits for its lines.
pub(super) struct Batch {
    tool: &'static str,
    /// The namespace it runs in, for messages.
    place: String,
    child: Child,
}

/// The command `tool -batch -`, ready to be given a namespace.
pub(super) fn command(tool: &'static str) -> Result<Command, LabError> {
    let mut command = Command::new(find(tool).ok_or(LabError::ToolMissing(tool))?);
    command.args(["-batch", "-"]).env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    Ok(command)
}

/// Looks in PATH, and in the sbin directories that an ordinary user's PATH may lack.
fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|dir| dir.join(tool))
        .find(|file| file.is_file())
}

impl Batch {
    /// Takes over a started [`command`].
    pub(super) fn new(tool: &'static str, place: String, child: Child) -> Self {
        Self { tool, place, child }
    }

    /// The running program's process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Feeds it the lines and waits for the end.
    pub(super) fn run(mut self, lines: &str) -> Result<(), LabError> {
        if let Some(mut stdin) = self.child.stdin.take() {
            match stdin.write_all(lines.as_bytes()) {
                // It stopped reading at a line it refused; its exit says which.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    return Err(self.failed_to("feed it", error));
                }
                _ => drop(stdin),
            }
        }
        let (tool, place) = (self.tool, self.place.clone());
        match self.child.wait_with_output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => {
                let message = String::from_utf8_lossy(&output.stderr);
                let line = refused_line(&message).and_then(|number| lines.lines().nth(number - 1));
                let line = line.unwrap_or("-batch -").to_owned();
                Err(LabError::Configure { tool, place, line, message: one_line(&message) })
            }
            Err(source) => Err(LabError::Setup { step: format!("run {tool} for {place}"), cause: source }),
        }
    }

    fn failed_to(&self, what: &str, source: io::Error) -> LabError {
        LabError::Setup { step: format!("start {} for {} and {what}", self.tool, self.place), cause: source }
    }
}

/// The number in iproute2's `Command failed -:17`.
fn refused_line(message: &str) -> Option<usize> {
    let (_, rest) = message.split_once("Command failed -:")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok().filter(|&number| number > 0)
}

/// What the tool said, without the line number that means nothing to a reader.
fn one_line(message: &str) -> String {
    let lines: Vec<&str> = message
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with("Command failed"))
        .collect();
    if lines.is_empty() { "it failed and did not say why".to_owned() } else { lines.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_refused_line() {
        let message = "RTNETLINK answers: File exists\nCommand failed -:17\n";
        assert_eq!(refused_line(message), Some(17));
        assert_eq!(one_line(message), "RTNETLINK answers: File exists");
        for odd in ["", "Command failed -:", "Command failed -:0", "Command failed -:x"] {
            assert_eq!(refused_line(odd), None, "{odd:?}");
        }
    }
}
