//! A chat server in C that calls the socket extension itself, and waits by readiness or by edges.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use crate::client::{abort, connect};
use crate::host::{Running, run};

const CHAT: &[u8] = include_bytes!("guests/chat.wasm");

/// Servers that wait in either way.
fn servers() -> impl Iterator<Item = (Running, SocketAddr)> {
    ["level", "edge"].into_iter().map(|how| {
        let guest = run(CHAT.to_vec(), &["0", how], &["bind:127.0.0.1:0"], vec![]);
        let address = guest.address();
        (guest, address)
    })
}

fn quit((guest, address): (Running, SocketAddr)) {
    connect(address).write_all(b"/quit\n").unwrap();
    let (code, _, errors) = guest.end();
    assert_eq!(code, 0, "{errors}");
}

/// Connects some clients, of whom the first has heard each other one.
fn join(address: SocketAddr, count: usize) -> Vec<BufReader<TcpStream>> {
    let mut clients = vec![BufReader::new(connect(address))];
    for _ in 1..count {
        let mut other = BufReader::new(connect(address));
        // Connections are accepted in order, so that the first is there to hear it.
        other.get_mut().write_all(b"here\n").unwrap();
        let mut line = String::new();
        clients[0].read_line(&mut line).unwrap();
        assert_eq!(line, "here\n");
        clients.push(other);
    }
    clients
}

/// The next line that is no greeting.
fn hear(client: &mut BufReader<TcpStream>) -> String {
    loop {
        let mut line = String::new();
        assert!(client.read_line(&mut line).unwrap() > 0, "the end");
        if line != "here\n" {
            return line;
        }
    }
}

#[test]
fn everyone_hears_everyone_else() {
    for server in servers() {
        let mut clients = join(server.1, 20);
        for round in 0..5 {
            for (speaker, client) in clients.iter_mut().enumerate() {
                client.get_mut().write_all(format!("{round} {speaker}\n").as_bytes()).unwrap();
            }
            for (listener, client) in clients.iter_mut().enumerate() {
                let mut heard: Vec<String> = (0..19).map(|_| hear(client)).collect();
                let mut said: Vec<String> =
                    (0..20).filter(|other| *other != listener).map(|other| format!("{round} {other}\n")).collect();
                heard.sort();
                said.sort();
                assert_eq!(heard, said);
            }
        }
        // Some go without a word, and their places are taken.
        for client in clients.drain(10..) {
            abort(client.into_inner());
        }
        let mut late = join(server.1, 2);
        late[1].get_mut().write_all(b"late\n").unwrap();
        clients.iter_mut().for_each(|client| assert_eq!(hear(client), "late\n"));
        quit(server);
    }
}

#[test]
fn who_does_not_read_holds_nobody_up_and_misses_nothing() {
    const LINES: usize = 30_000;
    for server in servers() {
        let mut clients = join(server.1, 3);
        let mut speaker = clients.pop().unwrap();
        let mut quick = clients.pop().unwrap();
        let mut slow = clients.pop().unwrap();
        let line = |n: usize| format!("{n} {}\n", "x".repeat(n % 300));
        let writer = std::thread::spawn(move || {
            (0..LINES).for_each(|n| speaker.get_mut().write_all(line(n).as_bytes()).unwrap());
            speaker
        });
        (0..LINES).for_each(|n| assert!(hear(&mut quick) == line(n), "{n}"));
        let speaker = writer.join().unwrap();
        (0..LINES).for_each(|n| assert!(hear(&mut slow) == line(n), "{n}"));
        drop(speaker);
        quit(server);
    }
}
