//! The nodes of a Slurm job.

use std::io::Read;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long Slurm's controller may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Why a job's nodes are not known.
#[derive(Debug, thiserror::Error)]
pub enum SlurmError {
    /// Nobody said which job, and there is none around us.
    #[error("this is no job of Slurm's (SLURM_JOB_NODELIST is not set); name one: --nodes-from-slurm JOBID")]
    NoJob,
    /// What was given is no number of a job.
    #[error("{0:?} is no number of a job, such as 1234 or 1234_5")]
    Number(String),
    /// Slurm's program is not there.
    #[error("cannot run squeue: {0}")]
    Run(#[from] std::io::Error),
    /// It took too long.
    #[error("squeue has not answered within {} s", LIMIT.as_secs())]
    Late,
    /// It said no.
    #[error("squeue knows no such job: {0}")]
    Refused(String),
    /// The job has no nodes.
    #[error("job {0} has no nodes: it waits, or has ended")]
    NoNodes(String),
}

/// The list of the nodes of `job`, or of the job around us where none is named; as Slurm writes it, `gpu[01-04]`.
///
/// # Errors
/// When there is no such job, or it has no nodes.
pub fn nodes(job: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Result<String, SlurmError> {
    let Some(job) = job else {
        // The older name is what a job of Slurm before 2.6 has.
        let list = variable("SLURM_JOB_NODELIST").or_else(|| variable("SLURM_NODELIST"));
        return list.filter(|list| !list.is_empty()).ok_or(SlurmError::NoJob);
    };
    let fits = |c: char| c.is_ascii_digit() || matches!(c, '_' | '+');
    if job.is_empty()
        || job.len() > 40
        || !job.starts_with(|c: char| c.is_ascii_digit())
        || !job.chars().all(fits)
    {
        return Err(SlurmError::Number(crate::text::printable(job)));
    }
    let arguments = ["--noheader", "--states=RUNNING,COMPLETING,SUSPENDED", "--format=%N", "--jobs", job];
    let output = output_of(Command::new("squeue").args(arguments))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said.lines().next().unwrap_or("it said nothing");
        return Err(SlurmError::Refused(crate::text::printable(line)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    // The parts of a job of several (an array's tasks, a heterogeneous job) have a line each.
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { Err(SlurmError::NoNodes(job.to_owned())) } else { Ok(lines.join(",")) }
}

/// What a program writes, if it ends in time.
fn output_of(command: &mut Command) -> Result<Output, SlurmError> {
    /// The longest list of nodes that is read.
    const MOST: u64 = 1 << 20;
    fn all(pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _broken = pipe.take(MOST).read_to_end(&mut bytes);
            bytes
        })
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (out, err) = (child.stdout.take().map(all), child.stderr.take().map(all));
    let deadline = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Err(SlurmError::Late);
        }
        thread::sleep(Duration::from_millis(10));
    };
    let bytes = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
        reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
    };
    Ok(Output { status, stdout: bytes(out), stderr: bytes(err) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_around_us_says_its_nodes() {
        let inside = |name: &str| (name == "SLURM_JOB_NODELIST").then(|| "gpu[01-02]".to_owned());
        assert_eq!(nodes(None, inside).unwrap(), "gpu[01-02]");
        let outside = nodes(None, |_| None).unwrap_err().to_string();
        assert!(outside.contains("--nodes-from-slurm JOBID"), "{outside}");
    }

    #[test]
    fn what_is_no_number_of_a_job_is_passed_to_nobody() {
        for wrong in ["", "-x", "1;ls", "$(id)", "--help", "1\u{1b}[2J"] {
            assert!(matches!(nodes(Some(wrong), |_| None), Err(SlurmError::Number(_))), "{wrong}");
        }
    }
}
