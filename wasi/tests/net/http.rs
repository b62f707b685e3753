//! HTTP servers and a client. What is asked of each server is the same, whichever way it came by its listener.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::client::{Client, abort, connect, request};
use crate::host::{Running, raise_descriptor_limit, run};

const SERVER: &[u8] = include_bytes!("guests/http_server.wasm");
const CLIENT: &[u8] = include_bytes!("guests/http_client.wasm");
const TOKIO: &[u8] = include_bytes!("guests/tokio_server.wasm");
const GO: &[u8] = include_bytes!("guests/go_http.wasm.gz");

const HELLO: (u16, &[u8]) = (200, b"hello\n");

fn hello(client: &mut Client) {
    let (status, body) = client.get("/");
    assert_eq!((status, body.as_slice()), HELLO);
}

/// The server that opens its own listener.
fn own_listener() -> (Running, SocketAddr) {
    let guest = run(SERVER.to_vec(), &["127.0.0.1:0"], &["bind:127.0.0.1:0"], vec![]);
    let address = guest.address();
    (guest, address)
}

/// A server that is handed its listener.
fn handed_in(module: Vec<u8>) -> (Running, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // The standard library asks for 128, which a burst of connections exceeds.
    rustix::net::listen(&listener, 4096).unwrap();
    let address = listener.local_addr().unwrap();
    (run(module, &[], &[], vec![listener]), address)
}

fn go() -> Vec<u8> {
    let mut module = Vec::new();
    flate2::read::GzDecoder::new(GO).read_to_end(&mut module).unwrap();
    module
}

/// Ends the server; it must not have ended before.
fn quit((guest, address): (Running, SocketAddr)) {
    let mut stream = connect(address);
    stream.write_all(&request("GET", "/quit", b"")).unwrap();
    // A server that sees the end of a connection may leave its last request alone.
    let _ = stream.read_to_end(&mut Vec::new());
    let (code, _, errors) = guest.end();
    assert_eq!(code, 0, "{errors}");
}

fn requests_of_all_kinds(address: SocketAddr) {
    let mut client = Client::new(address);
    hello(&mut client);
    assert_eq!(client.get("/missing").0, 404);
    assert_eq!(client.post("/echo", b"a body"), (200, b"a body".to_vec()));
    let large: Vec<u8> = (0..3_000_000u32).map(|n| (n % 253) as u8).collect();
    let (status, body) = client.post("/echo", &large);
    assert!(status == 200 && body == large, "{status}, {} bytes", body.len());
    // Several requests at once on one connection.
    client.send(&request("GET", "/", b"").repeat(20));
    for _ in 0..20 {
        let (status, body) = client.response();
        assert_eq!((status, body.as_slice()), HELLO);
    }
}

fn many_clients_at_once(address: SocketAddr) {
    std::thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                let mut client = Client::new(address);
                (0..20).for_each(|_| hello(&mut client));
            });
        }
    });
    // Timers run beside each other.
    let start = Instant::now();
    let mut clients: Vec<Client> = (0..50).map(|_| Client::new(address)).collect();
    clients.iter_mut().for_each(|client| client.send(&request("GET", "/slow", b"")));
    clients.iter_mut().for_each(|client| assert_eq!(client.response(), (200, b"late\n".to_vec())));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(50) && took < Duration::from_secs(20), "{took:?}");
}

fn slow_and_vanishing_clients(address: SocketAddr) {
    let bytes = request("GET", "/", b"");
    let mut slow: Vec<Client> = (0..10).map(|_| Client::new(address)).collect();
    for (at, byte) in bytes.iter().enumerate() {
        slow.iter_mut().for_each(|client| client.send(&[*byte]));
        if at % 8 == 0 {
            let mut stream = connect(address);
            stream.write_all(&bytes[..at]).unwrap();
            abort(stream);
            hello(&mut Client::new(address));
        }
    }
    for client in &mut slow {
        let (status, body) = client.response();
        assert_eq!((status, body.as_slice()), HELLO);
    }
    // Some that ask for much and do not stay for the answer.
    for _ in 0..20 {
        let mut stream = connect(address);
        let _ = stream.write_all(&request("POST", "/echo", &[7; 100_000]));
        abort(stream);
    }
    hello(&mut Client::new(address));
}

fn a_burst_of_connections(address: SocketAddr) {
    let mut clients: Vec<Client> = (0..400).map(|_| Client::new(address)).collect();
    clients.iter_mut().for_each(|client| client.send(&request("GET", "/", b"")));
    for client in &mut clients {
        let (status, body) = client.response();
        assert_eq!((status, body.as_slice()), HELLO);
    }
}

fn idle_connections_beside_a_busy_one(address: SocketAddr) {
    raise_descriptor_limit();
    let mut idle: Vec<Client> = (0..1000).map(|_| Client::new(address)).collect();
    idle.iter_mut().step_by(10).for_each(hello);
    let mut busy = Client::new(address);
    (0..100).for_each(|_| hello(&mut busy));
    idle.iter_mut().step_by(7).for_each(hello);
}

fn everything(server: (Running, SocketAddr)) {
    let address = server.1;
    requests_of_all_kinds(address);
    many_clients_at_once(address);
    slow_and_vanishing_clients(address);
    a_burst_of_connections(address);
    idle_connections_beside_a_busy_one(address);
    quit(server);
}

#[test]
fn tokio_wasi_and_hyper_wasi_serve() {
    everything(own_listener());
}

#[test]
fn tokio_and_hyper_serve_on_a_listener_handed_in() {
    everything(handed_in(TOKIO.to_vec()));
}

#[test]
fn go_serves_on_a_listener_handed_in() {
    everything(handed_in(go()));
}

#[test]
fn reqwest_wasi_resolves_and_fetches() {
    let server = own_listener();
    let port = server.1.port();
    let url = format!("http://localhost:{port}/echo");
    let grant = format!("connect:localhost:{port}");
    let (code, output, errors) = run(CLIENT.to_vec(), &[&url, "posted"], &[&grant], vec![]).end();
    assert_eq!((code, output.as_str()), (0, "200 posted\n"), "{errors}");
    // The name may be resolved, but that is all.
    let (code, _, errors) = run(CLIENT.to_vec(), &[&url], &["dns"], vec![]).end();
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("PermissionDenied"), "{errors}");
    // Nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, _, errors) = run(CLIENT.to_vec(), &[&format!("http://{closed}/")], &["all"], vec![]).end();
    assert_eq!(code, 1, "{errors}");
    quit(server);
}
