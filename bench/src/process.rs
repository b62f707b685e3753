//! Runs one program to its end and says what it cost.
//!
//! In: a command. Out: its exit status, what it printed, CPU time, wall time and peak memory. Invariant: when `run`
//! returns, the program has ended and has been waited for, also when it had to be stopped at its time limit.
//!
//! The numbers come from `wait4`, so they count the program and the children it waited for and nothing of this
//! process. One caveat: Linux carries the peak memory of a process over `exec`, and before `exec` a child shares the
//! memory of its parent, so no peak below this process' own can be seen (about 3 MB).

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How much of a program's complaint is repeated, in characters.
const LONGEST_REASON: usize = 200;

/// What a program did and what it cost.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// It was stopped because it ran longer than it may.
    pub(crate) timed_out: bool,
    /// User and system time.
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    /// Peak resident memory in bytes.
    pub(crate) peak_memory: u64,
}

impl Outcome {
    /// Why the run counts as failed, if it does; in one line.
    pub(crate) fn failure(&self) -> Option<String> {
        if self.timed_out {
            return Some(format!("stopped after {:.0} s", self.wall.as_secs_f64()));
        }
        if self.status.success() {
            return None;
        }
        // Some engines report on standard output; some spread the reason over several lines.
        let stdout = String::from_utf8_lossy(&self.stdout);
        let said = if self.stderr.trim().is_empty() { stdout.as_ref() } else { &self.stderr };
        let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let reason = if words.is_empty() { "no message" } else { &words };
        Some(format!("{}: {}", self.status, reason.chars().take(LONGEST_REASON).collect::<String>()))
    }
}

/// Runs `command` with empty standard input until it ends or `limit` has passed.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Outcome> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().map_err(|source| Error::Spawn { program: program.clone(), source })?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let waited = wait(&child, limit, start);
    if waited.is_err() {
        // The child is not left behind; that it may be gone already is no second error.
        let _ = child.kill();
        let _ = child.wait();
    }
    let waited = waited.map_err(|source| Error::Wait { program, source })?;
    Ok(Outcome {
        status: waited.status,
        stdout: stdout.join().unwrap_or_default(),
        stderr: String::from_utf8_lossy(&stderr.join().unwrap_or_default()).into_owned(),
        timed_out: waited.timed_out,
        cpu: waited.cpu,
        wall: waited.wall,
        peak_memory: waited.peak_memory,
    })
}

/// Reads a pipe to its end on a thread of its own, so that the child never blocks on a full one.
fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is still what the program printed.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

struct Waited {
    status: ExitStatus,
    timed_out: bool,
    cpu: Duration,
    wall: Duration,
    peak_memory: u64,
}

/// Waits in two steps, so that the process id cannot be reused while the watchdog may still send its signal: first for
/// the end without collecting it, then, with the watchdog gone, for the status and the costs.
fn wait(child: &Child, limit: Duration, start: Instant) -> io::Result<Waited> {
    let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    let (ended, watch) = mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        let expired = watch.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
        if expired {
            kill(pid);
        }
        expired
    });
    let end = wait_for_end(pid);
    let wall = start.elapsed();
    drop(ended);
    let timed_out = watchdog.join().unwrap_or(false);
    end?;
    let (status, usage) = collect(pid)?;
    Ok(Waited {
        status,
        timed_out,
        cpu: duration(usage.ru_utime) + duration(usage.ru_stime),
        wall,
        // Kibibytes on Linux, bytes on macOS.
        peak_memory: u64::try_from(usage.ru_maxrss).unwrap_or(0) * if cfg!(target_os = "macos") { 1 } else { 1024 },
    })
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

fn kill(pid: libc::pid_t) {
    // SAFETY: a system call on a child that has not been collected, so the id is still its own.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

fn wait_for_end(pid: libc::pid_t) -> io::Result<()> {
    retry(|| {
        // SAFETY: `siginfo_t` is plain data for which all zeroes is a value; it lives across the call.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a live local; a pid as id is never negative here.
        unsafe { libc::waitid(libc::P_PID, pid.unsigned_abs(), &raw mut info, libc::WEXITED | libc::WNOWAIT) }
    })
    .map(drop)
}

fn collect(pid: libc::pid_t) -> io::Result<(ExitStatus, libc::rusage)> {
    let mut status = 0;
    // SAFETY: `rusage` is plain data for which all zeroes is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live locals.
    retry(|| unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) })?;
    Ok((ExitStatus::from_raw(status), usage))
}

fn retry(mut call: impl FnMut() -> libc::c_int) -> io::Result<libc::c_int> {
    loop {
        let result = call();
        if result >= 0 {
            return Ok(result);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Outcome {
        run(Command::new("sh").args(["-c", script]), limit).expect("sh is everywhere")
    }

    #[test]
    fn output_and_status_are_kept() {
        let outcome = shell("echo out; echo why >&2; exit 3", Duration::from_secs(60));
        assert_eq!(outcome.stdout, b"out\n");
        assert_eq!(outcome.stderr, "why\n");
        assert_eq!(outcome.status.code(), Some(3));
        assert_eq!(outcome.failure().as_deref(), Some("exit status: 3: why"));
    }

    #[test]
    fn a_reason_is_one_line_and_may_come_from_standard_output() {
        let limit = Duration::from_secs(60);
        assert_eq!(shell("echo a; echo '  b'; exit 1", limit).failure().as_deref(), Some("exit status: 1: a b"));
        assert_eq!(shell("exit 1", limit).failure().as_deref(), Some("exit status: 1: no message"));
        let long = shell("head -c 5000 /dev/zero | tr '\\0' x >&2; exit 1", limit).failure();
        assert_eq!(long.map(|reason| reason.chars().count()), Some("exit status: 1: ".len() + LONGEST_REASON));
    }

    #[test]
    fn cpu_time_is_of_the_program_and_not_of_its_sleep() {
        let busy = shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done", Duration::from_secs(60));
        assert!(busy.cpu > Duration::from_millis(20), "{:?}", busy.cpu);
        let idle = shell("sleep 0.3", Duration::from_secs(60));
        assert!(idle.wall >= Duration::from_millis(300) && idle.cpu < idle.wall / 2, "{idle:?}");
        assert!(idle.peak_memory > 100 * 1024, "{}", idle.peak_memory);
    }

    #[test]
    fn a_program_over_its_limit_is_stopped() {
        let outcome = shell("exec sleep 60", Duration::from_millis(100));
        assert!(outcome.timed_out && outcome.wall < Duration::from_secs(30), "{outcome:?}");
        assert!(outcome.failure().is_some_and(|f| f.starts_with("stopped")));
    }

    #[test]
    fn output_larger_than_a_pipe_does_not_block() {
        let outcome = shell("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2", Duration::from_secs(60));
        assert_eq!((outcome.stdout.len(), outcome.stderr.len()), (1_000_000, 1_000_000));
    }

    #[test]
    fn an_absent_program_is_a_typed_error() {
        let error = run(&mut Command::new("/nonexistent/program"), Duration::from_secs(1)).unwrap_err();
        assert!(matches!(error, Error::Spawn { .. }), "{error}");
    }
}
