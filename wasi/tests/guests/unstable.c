// What differs under the module name wasi_unstable: the numbers of whence, the layout of filestat and of subscriptions.
// The rest of the program uses wasi_snapshot_preview1. Expects a directory as descriptor 3.
#include "check.h"

#define IMPORT(name) __attribute__((import_module("wasi_unstable"), import_name(#name))) int name##_0
IMPORT(fd_seek)(int fd, int64_t offset, int whence, uint64_t *at);
IMPORT(fd_filestat_get)(int fd, void *stat);
IMPORT(path_filestat_get)(int fd, int lookup, const char *path, size_t len, void *stat);
IMPORT(poll_oneoff)(const void *subs, void *events, size_t count, size_t *n);
IMPORT(fd_write)(int fd, const __wasi_ciovec_t *iovs, size_t count, size_t *n);

struct filestat_0 {
  uint64_t dev, ino;
  uint8_t filetype;
  uint32_t nlink;
  uint64_t size, atim, mtim, ctim;
};

struct subscription_0 {
  uint64_t userdata;
  uint8_t tag;
  union {
    struct {
      uint64_t identifier;
      uint32_t id;
      uint64_t timeout, precision;
      uint16_t flags;
    } clock;
    uint32_t fd;
  };
};

_Static_assert(sizeof(struct filestat_0) == 56, "layout of filestat");
_Static_assert(sizeof(struct subscription_0) == 56, "layout of subscription");

int main(void) {
  __wasi_fd_t fd;
  OK(__wasi_path_open(3, 0, "old", __WASI_OFLAGS_CREAT, __WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_WRITE, 0, 0, &fd));
  __wasi_ciovec_t out = {(const uint8_t *)"123456", 6};
  size_t n;
  OK(fd_write_0(fd, &out, 1, &n));
  EQ(n, 6);
  uint64_t at;
  OK(fd_seek_0(fd, -2, 0, &at));
  EQ(at, 4);
  OK(fd_seek_0(fd, -1, 1, &at));
  EQ(at, 5);
  OK(fd_seek_0(fd, 1, 2, &at));
  EQ(at, 1);
  if (exact()) EQ(fd_seek_0(fd, 1, 3, &at), __WASI_ERRNO_INVAL);

  struct {
    struct filestat_0 stat;
    uint64_t guard;
  } old;
  __wasi_filestat_t stat;
  old.guard = 0xabcdef;
  OK(__wasi_fd_filestat_get(fd, &stat));
  OK(fd_filestat_get_0(fd, &old.stat));
  TRUE(old.stat.dev == stat.dev && old.stat.ino == stat.ino && old.stat.filetype == stat.filetype);
  TRUE(old.stat.nlink == 1 && old.stat.size == 6 && old.stat.mtim == stat.mtim && old.stat.ctim == stat.ctim);
  memset(&old.stat, 0, sizeof old.stat);
  OK(path_filestat_get_0(3, 0, "old", 3, &old.stat));
  TRUE(old.stat.size == 6 && old.stat.nlink == 1 && old.stat.ctim == stat.ctim);
  EQ(old.guard, 0xabcdef);

  struct subscription_0 subs[2];
  memset(subs, 0, sizeof subs);
  subs[0].userdata = 11;
  subs[0].clock.id = __WASI_CLOCKID_MONOTONIC;
  subs[0].clock.timeout = 3000000;
  __wasi_timestamp_t before, after;
  __wasi_event_t events[2];
  OK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 0, &before));
  OK(poll_oneoff_0(subs, events, 1, &n));
  OK(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 0, &after));
  TRUE(n == 1 && events[0].userdata == 11 && events[0].error == 0 && events[0].type == __WASI_EVENTTYPE_CLOCK);
  TRUE(after - before >= 3000000 && after - before < 2000000000);
  if (exact()) {
    subs[0].clock.timeout = 10000000000;
    subs[1].userdata = 12;
    subs[1].tag = __WASI_EVENTTYPE_FD_READ;
    subs[1].fd = fd;
    OK(poll_oneoff_0(subs, events, 2, &n));
    TRUE(n == 1 && events[0].userdata == 12 && events[0].type == __WASI_EVENTTYPE_FD_READ);
    EQ(events[0].fd_readwrite.nbytes, 5);
  }
  OK(__wasi_fd_close(fd));
  OK(__wasi_path_unlink_file(3, "old"));
  return 0;
}
