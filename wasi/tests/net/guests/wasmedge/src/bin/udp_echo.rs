//! Answers every datagram to where it came from, until one says `quit`.
//! Argument: the address to bind to, with a port. Prints it when it is bound.

use wasmedge_wasi_socket::UdpSocket;

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).expect("an address");
    let socket = UdpSocket::bind(&address)?;
    println!("{address}");
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let (got, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..got], from)?;
        if buffer.starts_with(b"quit") {
            return Ok(());
        }
    }
}
