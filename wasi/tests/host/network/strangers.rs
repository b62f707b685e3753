//! Who is heard, and what is reached: datagrams from where no grant lets the guest send to, and links in the way of `AF_UNIX` sockets.

use super::*;
use std::os::unix::fs::symlink;
use std::path::Path;

impl Guest {
    fn receive_from(&mut self, fd: u32) -> Result<Vec<u8>> {
        self.iovecs(&[(DATA, 100)]);
        self.buffer(&[0; 128]);
        self.call(|ctx, mem| ctx.sock_recv_from_v2(mem, fd, IOVECS, 1, ADDRESS, 0, OUT + 8, OUT, OUT + 12))?;
        Ok(self.bytes(DATA, self.u32(OUT) as usize).to_vec())
    }

    fn receive(&mut self, fd: u32) -> Result<Vec<u8>> {
        self.iovecs(&[(DATA, 100)]);
        self.call(|ctx, mem| ctx.sock_recv(mem, fd, IOVECS, 1, 0, OUT, OUT + 12))?;
        Ok(self.bytes(DATA, self.u32(OUT) as usize).to_vec())
    }

    fn at_path(&mut self, path: &Path) {
        let mut bytes = [0; 128];
        bytes[0] = UNIX as u8;
        let path = path.as_os_str().as_encoded_bytes();
        bytes[2..][..path.len()].copy_from_slice(path);
        self.buffer(&bytes);
    }

    fn connect_to(&mut self, path: &Path) -> Result<()> {
        let fd = self.socket(UNIX, STREAM)?;
        self.at_path(path);
        self.call(|ctx, mem| ctx.sock_connect_v2(mem, fd, ADDRESS, 0))
    }

    fn bind_at(&mut self, path: &Path) -> Result<u32> {
        let fd = self.socket(UNIX, STREAM)?;
        self.at_path(path);
        self.call(|ctx, mem| ctx.sock_bind_v2(mem, fd, ADDRESS, 0))?;
        Ok(fd)
    }
}

/// A way to receive: the bytes that come.
type Way = fn(&mut Guest, u32) -> Result<Vec<u8>>;

#[test]
fn a_socket_that_no_grant_has_bound_hears_only_whom_it_may_send_to() {
    let friend = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let granted = friend.local_addr().unwrap().port();
    let mut guest = Guest::with_grants(&[&format!("connect:127.0.0.1:{granted}")]);
    let fd = guest.socket(INET4, DGRAM).unwrap();
    assert_eq!(guest.bind(fd, At::V4, 0), Err(Errno::Acces));
    guest.send_to(fd, b"hello", At::V4, granted).unwrap();
    let (_, from) = friend.recv_from(&mut [0; 9]).unwrap();
    let ways: [Way; 3] =
        [|guest, fd| guest.receive_from(fd), |guest, fd| guest.receive(fd), |guest, fd| guest.read(fd, 100)];
    for receive in ways {
        guest.memory[DATA as usize..][..100].fill(0);
        stranger.send_to(b"strange", ("127.0.0.1", from.port())).unwrap();
        stranger.send_to(b"stranger", ("127.0.0.1", from.port())).unwrap();
        friend.send_to(b"hi", ("127.0.0.1", from.port())).unwrap();
        assert_eq!(receive(&mut guest, fd).unwrap(), b"hi");
        assert!(!guest.bytes(DATA, 100).starts_with(b"str"), "nothing of it reaches the guest");
    }
    assert_eq!(guest.send_to(fd, b"x", At::V4, stranger.local_addr().unwrap().port()), Err(Errno::Acces));
    guest.set_flags(fd, NONBLOCK);
    stranger.send_to(b"stranger", ("127.0.0.1", from.port())).unwrap();
    assert_eq!(guest.receive_from(fd), Err(Errno::Again));
}

#[test]
fn links_in_the_way_of_a_granted_socket_lead_nowhere() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    std::fs::create_dir(dir.join("g")).unwrap();
    let granted = dir.join("g/app.sock");
    let _app = UnixListener::bind(&granted).unwrap();
    let _other = UnixListener::bind(dir.join("g/other.sock")).unwrap();
    let mut builder = WasiCtxBuilder::new();
    builder.network(format!("unix:{}", granted.display()).parse().unwrap());
    let mut guest = Guest::new(builder.preopened_dir(dir.join("g"), "/", false).unwrap().build().unwrap());
    guest.connect_to(&granted).unwrap();
    // Another socket under the granted name.
    let link = guest.paths("other.sock", "app2", |ctx, mem, old, new| {
        ctx.path_link(mem, ROOT, 0, old.0, old.1, ROOT, new.0, new.1)
    });
    assert_eq!(link, Err(Errno::Perm));
    let renamed = guest.paths("other.sock", "app.sock", |ctx, mem, old, new| {
        ctx.path_rename(mem, ROOT, old.0, old.1, ROOT, new.0, new.1)
    });
    assert_eq!(renamed, Err(Errno::Perm));
    guest.connect_to(&granted).unwrap();
    // A link to another socket.
    std::fs::remove_file(&granted).unwrap();
    symlink("other.sock", &granted).unwrap();
    assert_eq!(guest.connect_to(&granted), Err(Errno::Acces));
    std::fs::remove_file(&granted).unwrap();
    // The directory replaced by a link to another one.
    std::fs::rename(dir.join("g"), dir.join("old")).unwrap();
    std::fs::create_dir(dir.join("away")).unwrap();
    symlink("away", dir.join("g")).unwrap();
    let bound = guest.bind_at(&granted).unwrap();
    assert!(dir.join("old/app.sock").exists() && !dir.join("away/app.sock").exists());
    // It knows itself by the name that it was given.
    guest.buffer(&[0; 128]);
    guest.call(|ctx, mem| ctx.sock_getlocaladdr_v2(mem, bound, ADDRESS, OUT)).unwrap();
    let name = granted.as_os_str().as_encoded_bytes();
    assert_eq!(guest.bytes(BYTES + 2, name.len()), name);
}
