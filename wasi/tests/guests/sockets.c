// Accepting and talking. Expects a listening socket as descriptor 3 and a directory as descriptor 4. The other side
// connects when it reads `ready`, sends `first` when it reads `accepted`, sends the two halves of `0123456789` one after
// the other, then expects `reply` and the end, and closes.
#include "check.h"

enum { LISTENER = 3, DIRECTORY = 4 };

static void say(const char *line) {
  __wasi_ciovec_t out = {(const uint8_t *)line, strlen(line)};
  __wasi_size_t n;
  OK(__wasi_fd_write(1, &out, 1, &n));
}

static void wait_readable(int fd) {
  __wasi_subscription_t sub;
  __wasi_event_t event;
  __wasi_size_t n;
  memset(&sub, 0, sizeof sub);
  sub.u.tag = __WASI_EVENTTYPE_FD_READ;
  sub.u.u.fd_read.file_descriptor = fd;
  OK(__wasi_poll_oneoff(&sub, &event, 1, &n));
  EQ(n, 1);
  EQ(event.error, 0);
  EQ(event.type, __WASI_EVENTTYPE_FD_READ);
}

int main(void) {
  uint8_t buf[16] = {0};
  __wasi_iovec_t in = {buf, sizeof buf};
  __wasi_ciovec_t out = {(const uint8_t *)"re", 2};
  __wasi_size_t n;
  __wasi_roflags_t roflags;
  __wasi_fd_t connection;
  __wasi_fdstat_t stat;
  __wasi_prestat_t prestat;

  // The scan for directories that C libraries make gets past the listener.
  OK(__wasi_fd_prestat_get(LISTENER, &prestat));
  TRUE(prestat.tag != __WASI_PREOPENTYPE_DIR);
  OK(__wasi_fd_prestat_get(DIRECTORY, &prestat));
  EQ(prestat.tag, __WASI_PREOPENTYPE_DIR);

  OK(__wasi_fd_fdstat_get(LISTENER, &stat));
  EQ(stat.fs_filetype, __WASI_FILETYPE_SOCKET_STREAM);
  OK(__wasi_fd_fdstat_set_flags(LISTENER, __WASI_FDFLAGS_NONBLOCK));
  EQ(__wasi_sock_accept(LISTENER, 0, &connection), __WASI_ERRNO_AGAIN);
  OK(__wasi_fd_fdstat_set_flags(LISTENER, 0));
  EQ(__wasi_sock_accept(LISTENER, __WASI_FDFLAGS_APPEND, &connection), __WASI_ERRNO_INVAL);
  EQ(__wasi_sock_accept(1, 0, &connection), __WASI_ERRNO_NOTSOCK);
  EQ(__wasi_sock_accept(99, 0, &connection), __WASI_ERRNO_BADF);
  say("ready\n");
  OK(__wasi_sock_accept(LISTENER, __WASI_FDFLAGS_NONBLOCK, &connection));
  EQ(connection, 5);

  OK(__wasi_fd_fdstat_get(connection, &stat));
  EQ(stat.fs_filetype, __WASI_FILETYPE_SOCKET_STREAM);
  EQ(stat.fs_flags, __WASI_FDFLAGS_NONBLOCK);
  EQ(__wasi_sock_recv(connection, &in, 1, 0, &n, &roflags), __WASI_ERRNO_AGAIN);
  EQ(__wasi_fd_read(connection, &in, 1, &n), __WASI_ERRNO_AGAIN);
  EQ(__wasi_sock_recv(connection, &in, 1, 8, &n, &roflags), __WASI_ERRNO_INVAL);
  EQ(__wasi_sock_recv(1, &in, 1, 0, &n, &roflags), __WASI_ERRNO_NOTSOCK);
  EQ(__wasi_sock_send(DIRECTORY, &out, 1, 0, &n), __WASI_ERRNO_NOTSOCK);
  __wasi_filesize_t at;
  EQ(__wasi_fd_seek(connection, 0, __WASI_WHENCE_SET, &at), __WASI_ERRNO_SPIPE);

  say("accepted\n");
  wait_readable(connection);
  in.buf_len = 3;
  OK(__wasi_sock_recv(connection, &in, 1, __WASI_RIFLAGS_RECV_PEEK, &n, &roflags));
  TRUE(n == 3 && memcmp(buf, "fir", 3) == 0 && roflags == 0);
  in.buf_len = 5;
  OK(__wasi_fd_fdstat_set_flags(connection, 0));
  OK(__wasi_sock_recv(connection, &in, 1, __WASI_RIFLAGS_RECV_WAITALL, &n, &roflags));
  TRUE(n == 5 && memcmp(buf, "first", 5) == 0);
  in.buf_len = 10;
  OK(__wasi_sock_recv(connection, &in, 1, __WASI_RIFLAGS_RECV_WAITALL, &n, &roflags));
  TRUE(n == 10 && memcmp(buf, "0123456789", 10) == 0);

  OK(__wasi_sock_send(connection, &out, 1, 0, &n));
  EQ(n, 2);
  out.buf = (const uint8_t *)"ply";
  out.buf_len = 3;
  OK(__wasi_fd_write(connection, &out, 1, &n));
  EQ(n, 3);
  OK(__wasi_sock_shutdown(connection, __WASI_SDFLAGS_WR));
  EQ(__wasi_sock_send(connection, &out, 1, 0, &n), __WASI_ERRNO_PIPE);
  OK(__wasi_sock_recv(connection, &in, 1, 0, &n, &roflags));
  EQ(n, 0);
  EQ(__wasi_sock_shutdown(1, __WASI_SDFLAGS_RD), __WASI_ERRNO_NOTSOCK);
  EQ(__wasi_sock_shutdown(99, __WASI_SDFLAGS_RD), __WASI_ERRNO_BADF);
  OK(__wasi_fd_close(connection));
  OK(__wasi_fd_close(LISTENER));
  return 0;
}
