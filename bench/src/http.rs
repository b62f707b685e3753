//! An HTTP server under load: the same program as a guest and natively, by the CPU time that its process takes per request.
//!
//! In: how many connections, for how long. Out: a row per server with microseconds of CPU (user and system) per request, for each
//! number of connections, and for one busy connection beside idle ones; and what idle connections cost in memory. All servers run
//! at once and are asked in turn, so that what the machine does beside it meets all of them. The load comes from `wrk`, which has to be on PATH. Invariant:
//! a server that does not answer, or answers anything but 200, is left out with the reason.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::held::{self, Memory};

/// How long a server may take to answer for the first time.
const START: Duration = Duration::from_secs(30);
/// Before measuring, so that everything is compiled and every buffer has its size.
const WARM_UP: u32 = 2;

/// What is measured.
pub(crate) struct Load {
    pub(crate) connections: Vec<u32>,
    pub(crate) idle: u32,
    pub(crate) seconds: u32,
    pub(crate) runs: u16,
    /// How many idle connections to weigh; 0 for none.
    pub(crate) held: u32,
}

/// The programs that take part.
pub(crate) struct Programs {
    pub(crate) vm: PathBuf,
    pub(crate) wasmedge: Option<PathBuf>,
    /// The folder of the guests.
    pub(crate) guests: PathBuf,
    /// For what is built.
    pub(crate) out: PathBuf,
}

/// How a server gets its socket.
enum Socket {
    /// As descriptor 3.
    Given,
    /// It opens one at the address that is its argument.
    Opens,
    /// The command line names it.
    Named,
}

/// A server to start.
struct Server {
    name: &'static str,
    command: Vec<String>,
    socket: Socket,
}

/// One that runs; it ends with this value.
struct Running {
    child: Child,
    address: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that runs, or why it does not take part, and its figures.
struct Entrant {
    name: &'static str,
    running: std::result::Result<Running, String>,
    figures: Vec<f64>,
}

impl Entrant {
    /// Has a running server measured; what fails is left out from then on.
    fn each(&mut self, measure: impl FnOnce(&Running) -> std::result::Result<f64, String>) -> Option<f64> {
        match measure(self.running.as_ref().ok()?) {
            Ok(figure) => Some(figure),
            Err(why) => {
                self.running = Err(why);
                None
            }
        }
    }

    fn row(&self, text: &str) -> String {
        match &self.running {
            Ok(_) => format!("{:<34}{text}\n", self.name),
            Err(why) => format!("{:<34}  not measured: {why}\n", self.name),
        }
    }
}

/// Measures all servers and answers the tables as text.
///
/// # Errors
/// When `wrk` or this project's binary cannot be started.
pub(crate) fn compare(programs: &Programs, load: &Load) -> Result<String> {
    let entrant = |server: Server| Entrant { name: server.name, running: start(&server), figures: Vec::new() };
    let mut entrants: Vec<Entrant> = servers(programs)?.into_iter().map(entrant).collect();
    for entrant in &mut entrants {
        entrant.each(|running| wrk(running, 10, WARM_UP));
    }
    let mut text = format!("{:<34}", "CPU µs per request");
    for &c in &load.connections {
        text.push_str(&format!("{c:>9}"));
        round(&mut entrants, c, load);
    }
    text.push_str(&format!("{:>17}\n", format!("1 + {} idle", load.idle)));
    beside_idle(&mut entrants, load);
    for entrant in &entrants {
        let width = |i: usize| if i == load.connections.len() { 17 } else { 9 };
        let cells = entrant.figures.iter().enumerate().map(|(i, us)| format!("{us:>0$.1}", width(i)));
        text.push_str(&entrant.row(&cells.collect::<String>()));
    }
    if load.held > 0 {
        text.push_str(&memory(&mut entrants, load.held));
    }
    Ok(text)
}

/// Puts the same load on all servers in turn, several times, and takes the medians.
fn round(entrants: &mut [Entrant], connections: u32, load: &Load) {
    let mut all = vec![Vec::new(); entrants.len()];
    for _ in 0..load.runs {
        for (entrant, runs) in entrants.iter_mut().zip(&mut all) {
            runs.extend(entrant.each(|running| wrk(running, connections, load.seconds)));
        }
    }
    for (entrant, mut runs) in entrants.iter_mut().zip(all) {
        runs.sort_by(f64::total_cmp);
        entrant.figures.extend(runs.get(runs.len() / 2));
    }
}

/// One busy connection beside idle ones.
fn beside_idle(entrants: &mut [Entrant], load: &Load) {
    let mut idle: Vec<TcpStream> = Vec::new();
    for entrant in entrants.iter_mut() {
        entrant.each(|running| {
            for _ in 0..load.idle {
                idle.push(TcpStream::connect(running.address).map_err(|e| format!("an idle connection: {e}"))?);
            }
            Ok(0.0)
        });
    }
    round(entrants, 1, load);
}

/// What idle connections cost in memory.
fn memory(entrants: &mut [Entrant], held: u32) -> String {
    let title = format!("bytes per idle connection, of {held}");
    let mut text = format!("\n{title:<34}{:>9}{:>9}\n", "process", "guest");
    // The kernel keeps what it needed once: later servers seem to cost it nothing.
    let mut both_ends = 0;
    for entrant in entrants {
        let mut cells = String::new();
        entrant.each(|running| {
            let Memory { host, guest, kernel } = held::measure(running.child.id(), running.address, held)?;
            cells = format!("{host:>9}{guest:>9}");
            both_ends = both_ends.max(kernel);
            Ok(0.0)
        });
        text.push_str(&entrant.row(&cells));
    }
    text.push_str(&format!("besides, of the kernel for both ends of one: about {both_ends}\n"));
    text
}

fn servers(p: &Programs) -> Result<Vec<Server>> {
    let text = |path: &Path| path.display().to_string();
    let vm = text(&p.vm);
    let mut servers = Vec::new();
    let native = build_native(p)?;
    servers.push(Server { name: "tokio, native", command: vec![text(&native)], socket: Socket::Given });
    let tokio = text(&p.guests.join("tokio_server.wasm"));
    compile(&p.vm, &["aot", "--quiet", &tokio])?;
    servers.push(Server { name: "tokio, vm", command: vec![vm.clone(), "run".into(), tokio], socket: Socket::Named });
    let extension = p.guests.join("http_server.wasm");
    compile(&p.vm, &["aot", "--quiet", &text(&extension)])?;
    let run = [&vm, "run", "--net", &text(&extension)].map(String::from).to_vec();
    servers.push(Server { name: "tokio_wasi, vm", command: run, socket: Socket::Opens });
    if let Some(wasmedge) = &p.wasmedge {
        let compiled = text(&p.out.join("http_server.so"));
        compile(wasmedge, &["compile", &text(&extension), &compiled])?;
        let run = vec![text(wasmedge), "--run-mode".into(), "aot".into(), compiled];
        servers.push(Server { name: "tokio_wasi, wasmedge compiled", command: run, socket: Socket::Opens });
    }
    Ok(servers)
}

/// The server of the guests' sources for this machine.
fn build_native(p: &Programs) -> Result<PathBuf> {
    let target = p.out.join("native-http");
    let mut command = Command::new("cargo");
    command.args(["build", "--release", "--quiet"]).current_dir(p.guests.join("tokio"));
    // As fast as it can be: the guests' profile asks for small code.
    command.env("CARGO_TARGET_DIR", &target).env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "3").env_remove("RUSTFLAGS");
    let output = command.output().map_err(|source| Error::Spawn { program: "cargo".into(), source })?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::Build { status: output.status.to_string(), stderr });
    }
    Ok(target.join("release/tokio_server"))
}

fn compile(program: &Path, line: &[&str]) -> Result<()> {
    let spawn = |source| Error::Spawn { program: program.display().to_string(), source };
    let output = Command::new(program).args(line).output().map_err(spawn)?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(Error::Build { status: output.status.to_string(), stderr })
}

fn start(server: &Server) -> std::result::Result<Running, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    let (program, arguments) = server.command.split_first().ok_or("no program")?;
    let mut command = match server.socket {
        Socket::Given => {
            // Standard input becomes descriptor 3.
            let mut shell = Command::new("sh");
            shell.args(["-c", "exec \"$0\" \"$@\" 3<&0 0</dev/null", program]).args(arguments);
            shell.stdin(Stdio::from(OwnedFd::from(listener)));
            shell
        }
        Socket::Opens => {
            drop(listener);
            let mut command = Command::new(program);
            command.args(arguments).arg(address.to_string()).stdin(Stdio::null());
            command
        }
        Socket::Named => {
            drop(listener);
            let (run, rest) = arguments.split_at(1);
            let mut command = Command::new(program);
            command.args(run).arg("--listen").arg(address.to_string()).args(rest).stdin(Stdio::null());
            command
        }
    };
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(|e| e.to_string())?;
    let running = Running { child, address };
    let began = Instant::now();
    while !answers(address) {
        if began.elapsed() > START {
            return Err("it does not answer".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(running)
}

/// Whether a request is answered well.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    ask().is_ok_and(|text| text.starts_with("HTTP/1.1 200"))
}

/// Puts load on a server; microseconds of its CPU per request.
fn wrk(server: &Running, connections: u32, seconds: u32) -> std::result::Result<f64, String> {
    let before = cpu(server.child.id())?;
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), &format!("http://{}/", server.address)])
        .output()
        .map_err(|e| format!("cannot start wrk: {e}"))?;
    let after = cpu(server.child.id())?;
    let text = String::from_utf8_lossy(&output.stdout);
    if let Some(line) = text.lines().find(|l| l.contains("Non-2xx") || l.contains("Socket errors")) {
        return Err(line.trim().to_string());
    }
    let requests = requests(&text).ok_or_else(|| format!("wrk says {text:?}"))?;
    Ok((after - before) as f64 / 1e3 / requests.max(1) as f64)
}

/// The number of requests in what `wrk` says: `  12345 requests in 3.00s, 1.2MB read`.
fn requests(text: &str) -> Option<u64> {
    let line = text.lines().find(|l| l.contains(" requests in "))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Nanoseconds that all threads of a process have run.
fn cpu(process: u32) -> std::result::Result<u64, String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).map_err(|e| format!("it has ended: {e}"))?;
    let of = |task: PathBuf| -> Option<u64> {
        fs::read_to_string(task.join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
    };
    Ok(tasks.flatten().filter_map(|t| of(t.path())).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_requests_is_found() {
        let text = "Running 3s test @ http://127.0.0.1:1/\n  1 threads and 10 connections\n  \
                    Thread Stats   Avg      Stdev     Max   +/- Stdev\n  123456 requests in 3.00s, 10.00MB read\n";
        assert_eq!(requests(text), Some(123_456));
        assert_eq!(requests("unable to connect"), None);
    }

    #[test]
    fn this_process_has_run() {
        assert!(cpu(std::process::id()).unwrap() > 0);
    }
}
