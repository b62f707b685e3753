//! A client of HTTP/1.1 that can be slow, impolite or in a hurry. In: requests; out: status and body.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Client(BufReader<TcpStream>);

/// The bytes of a request.
pub(crate) fn request(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Client {
        Client(BufReader::new(connect(address)))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// Reads one response.
    pub(crate) fn response(&mut self) -> (u16, Vec<u8>) {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {line:?}")).parse().unwrap();
        let mut len = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                len = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; len];
        self.0.read_exact(&mut body).unwrap();
        (status, body)
    }

    pub(crate) fn get(&mut self, path: &str) -> (u16, Vec<u8>) {
        self.send(&request("GET", path, b""));
        self.response()
    }

    /// Posts a body while the answer comes in, as either side may wait for the other otherwise.
    pub(crate) fn post(&mut self, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = self.0.get_ref().try_clone().unwrap();
        let bytes = request("POST", path, body);
        std::thread::scope(|scope| {
            scope.spawn(move || stream.write_all(&bytes).unwrap());
            self.response()
        })
    }
}

/// Closes a connection with a reset instead of a farewell.
pub(crate) fn abort(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
}
