//! Echoes one TCP connection after the other, blocking, until a client says `quit`.
//! Argument: the address to listen on. Prints the address it got.

use std::io::{Read, Write};
use wasmedge_wasi_socket::{Shutdown, TcpListener};

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).expect("an address");
    let listener = TcpListener::bind(address, false)?;
    println!("{}", listener.local_addr()?);
    loop {
        // The peer may have gone before its address was asked for.
        let Ok((mut connection, peer)) = listener.accept(false) else { continue };
        let mut buffer = vec![0; 64 * 1024];
        loop {
            // A connection that its peer aborted ends like any other.
            let got = connection.read(&mut buffer).unwrap_or(0);
            if got == 0 {
                break;
            }
            if buffer.starts_with(b"quit") {
                connection.write_all(format!("bye {peer}").as_bytes())?;
                connection.shutdown(Shutdown::Both)?;
                return Ok(());
            }
            if connection.write_all(&buffer[..got]).is_err() {
                break;
            }
        }
    }
}
