//! Echo of streams and datagrams, by guests that block.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::client::{abort, connect};
use crate::host::{has_ipv6, run};

const TCP_ECHO: &[u8] = include_bytes!("guests/tcp_echo.wasm");
const UDP_ECHO: &[u8] = include_bytes!("guests/udp_echo.wasm");

/// This host in both families, as far as it has them.
fn loopbacks() -> Vec<IpAddr> {
    let mut all = vec![Ipv4Addr::LOCALHOST.into()];
    all.extend(has_ipv6().then_some(IpAddr::from(Ipv6Addr::LOCALHOST)));
    all
}

#[test]
fn streams_are_echoed_until_the_client_has_said_all() {
    for ip in loopbacks() {
        let address = SocketAddr::new(ip, 0).to_string();
        let guest = run(TCP_ECHO.to_vec(), &[&address], &[&format!("bind:{address}")], vec![]);
        let address = guest.address();
        assert_eq!(address.ip(), ip);
        // Half a megabyte: more than fits into the buffers between the two.
        let text: Vec<u8> = (0..500_000u32).map(|n| (n % 251) as u8).collect();
        let mut stream = connect(address);
        let mut writer = stream.try_clone().unwrap();
        let sent = text.clone();
        let thread = std::thread::spawn(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut echo = Vec::new();
        stream.read_to_end(&mut echo).unwrap();
        thread.join().unwrap();
        assert!(echo == text, "{} bytes came back", echo.len());
        // Clients that vanish do no harm.
        for _ in 0..20 {
            let mut stream = connect(address);
            stream.write_all(b"some").unwrap();
            abort(stream);
        }
        let mut stream = connect(address);
        let own = stream.local_addr().unwrap();
        stream.write_all(b"quit").unwrap();
        let mut farewell = String::new();
        stream.read_to_string(&mut farewell).unwrap();
        assert_eq!(farewell, format!("bye {own}"));
        assert_eq!(guest.end().0, 0);
    }
}

#[test]
fn datagrams_are_answered_where_they_came_from() {
    for ip in loopbacks() {
        // The guest cannot tell which port it got, so that one is chosen that was free a moment ago.
        let free = UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap();
        // Who may receive may answer.
        let guest = run(UDP_ECHO.to_vec(), &[&free.to_string()], &[&format!("bind:{free}")], vec![]);
        assert_eq!(guest.address(), free);
        let clients: Vec<UdpSocket> = (0..10).map(|_| UdpSocket::bind((ip, 0)).unwrap()).collect();
        let mut buffer = [0; 2048];
        for round in 0..10 {
            for (index, client) in clients.iter().enumerate() {
                client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                client.send_to(format!("{round} {index}").as_bytes(), free).unwrap();
            }
            for (index, client) in clients.iter().enumerate() {
                let (len, from) = client.recv_from(&mut buffer).unwrap();
                assert_eq!((&buffer[..len], from), (format!("{round} {index}").as_bytes(), free));
            }
        }
        clients[0].send_to(b"quit", free).unwrap();
        assert_eq!(clients[0].recv_from(&mut buffer).unwrap().0, 4);
        assert_eq!(guest.end().0, 0);
    }
}

#[test]
fn a_guest_without_a_grant_gets_nowhere() {
    for (grants, told) in [(&[][..], true), (&["bind:127.0.0.1:1"], true), (&["connect:*"], true)] {
        let guest = run(TCP_ECHO.to_vec(), &["127.0.0.1:0"], grants, vec![]);
        let (code, _, errors) = guest.end();
        assert_eq!((code, errors.contains("PermissionDenied")), (1, told), "{errors}");
    }
}
